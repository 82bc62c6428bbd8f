# SPDX-License-Identifier: MIT
# What ./start and ./check share: both source this file and call setup, then build. Nothing is installed
# that is there already, and nothing is downloaded but Debian packages (packages.txt) and npm packages
# (package-lock.json).
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Ends with one sentence.
fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

say() {
    echo "${0##*/}: $*" >&2
}

# Prints the packages of packages.txt that are missing; with "check" those of its second section too.
missing_packages() {
    local package command rest
    while read -r package command rest; do
        case $package in
        '' | '#'*) continue ;;
        '[check]')
            [ "${1:-}" = check ] || return 0
            continue
            ;;
        esac
        if [ -n "$command" ] && command -v "$command" >/dev/null; then
            continue
        fi
        if ! dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i'; then
            echo "$package"
        fi
    done <"$root/packages.txt"
}

install_packages() {
    local packages as_root=()
    command -v dpkg-query >/dev/null ||
        fail "this is not a Debian system; install what packages.txt names by hand and call cmake as README.md says"
    mapfile -t packages < <(missing_packages "$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    say "installing ${packages[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "cannot install packages without root or sudo; as root: apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q >&2 || fail "apt-get update failed; see above"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}" >&2 ||
        fail "apt-get could not install ${packages[*]}; see above"
}

# node_modules as the lock file says. The stamp is written last: a broken install is done again.
install_npm() {
    local stamp=$root/build/npm-stamp
    if [ -d "$root/node_modules" ] && cmp -s "$root/package-lock.json" "$stamp"; then
        return 0
    fi
    say "installing npm packages"
    (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2) || fail "npm ci failed; see above"
    mkdir -p "$root/build"
    cp "$root/package-lock.json" "$stamp"
}

# setup build | check
setup() {
    install_packages "$@"
    install_npm
}

# build PRESET: configures and builds build/PRESET. A cache that came with a copied or moved tree is made anew.
build() {
    local dir=$root/build/$1 home
    if [ -f "$dir/CMakeCache.txt" ]; then
        home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$dir/CMakeCache.txt")
        if [ "$home" != "$root" ]; then
            say "build/$1 belongs to $home; starting it anew"
            rm -rf "$dir"
        fi
    fi
    (cd "$root" && cmake --preset "$1" >&2) || fail "cmake could not configure build/$1; see above"
    (cd "$root" && cmake --build --preset "$1" >&2) || fail "build/$1 does not build; see above"
}
