# SPDX-License-Identifier: MIT
# cb_embed: web files into the binary, as a table of struct cb_asset (asset.h).
#
#   cb_embed(query cb_dashboard_assets SOURCE_DIR dashboard ENTRIES app.js app.css STATIC index.html)
#
# bundles and minifies each of ENTRIES with the esbuild that package-lock.json names (a script as an
# IIFE, so for <script src> with or without type=module), takes each of STATIC as it is, and compiles
#
#   extern const struct cb_asset cb_dashboard_assets[];
#
# into the target. A path in the table is the file's path in SOURCE_DIR. Any source that was part of
# the build, also one that an entry imports, rebuilds it when it changes.
find_program(CB_NODE NAMES node nodejs)

function(cb_embed target symbol)
  cmake_parse_arguments(PARSE_ARGV 2 embed "" "SOURCE_DIR" "ENTRIES;STATIC")
  if(embed_UNPARSED_ARGUMENTS OR NOT embed_SOURCE_DIR)
    message(FATAL_ERROR "cb_embed(${target} ${symbol}): SOURCE_DIR DIR ENTRIES … STATIC … are expected")
  endif()
  if(NOT CB_NODE)
    message(FATAL_ERROR "node is missing: the widget and the dashboard are built with it "
      "(Debian package nodejs; ./start installs it)")
  endif()
  set(lock ${CMAKE_SOURCE_DIR}/node_modules/.package-lock.json)
  if(NOT EXISTS ${lock})
    message(FATAL_ERROR "node_modules is missing: run \"npm ci\" in ${CMAKE_SOURCE_DIR} "
      "(./start does it) and configure again")
  endif()

  cmake_path(ABSOLUTE_PATH embed_SOURCE_DIR NORMALIZE OUTPUT_VARIABLE source)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  set(script ${CMAKE_SOURCE_DIR}/proto/embed.mjs)
  set(arguments)
  foreach(entry IN LISTS embed_ENTRIES)
    list(APPEND arguments --entry ${entry})
  endforeach()
  foreach(file IN LISTS embed_STATIC)
    list(APPEND arguments --static ${file})
  endforeach()
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CB_NODE} ${script} --symbol ${symbol} --source ${source} --out ${out}
            --depfile ${out}.d ${arguments}
    DEPENDS ${script} ${lock}
    DEPFILE ${out}.d
    COMMENT "Embedding ${embed_SOURCE_DIR} as ${symbol}"
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
