/* SPDX-License-Identifier: MIT
 * opt.c: fills struct cb_opts from the table, weakest source first: default, file, environment,
 * command line. */
#include "proto/opt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_LINE_MAX = 8192 };

struct row {
    const char *name;
    enum cb_opt_type type;
    unsigned tiers;
    const char *fallback;
    int64_t min, max;
    const char *argument, *help;
    size_t offset; /* of the field in struct cb_opts */
};

static const struct row rows[] = {
#define CB_OPT_ROW(field, name, type, tiers, def, min, max, arg, help)                             \
    {name, type, tiers, def, min, max, arg, help, offsetof(struct cb_opts, field)},
    CB_OPTIONS(CB_OPT_ROW)
#undef CB_OPT_ROW
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Strings that options point to, in a list so that cb_opt_fini can free them. */
struct owned {
    struct owned *next;
    char text[];
};

__attribute__((format(printf, 2, 3))) static int fail(char **sentence, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0) {
        *sentence = NULL;
    }
    va_end(args);
    return *sentence ? CB_EINVAL : CB_ENOMEM;
}

static const struct row *row_of(const char *name, size_t len) {
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool number_of(const struct row *row, const char *text, int64_t *out) {
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    int shift = 0;
    if (row->type == CB_OPT_BYTES && *end != '\0') {
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : -1;
        end++;
    }
    if (*end != '\0' || shift < 0 || value > (INT64_MAX >> shift)) {
        return false;
    }
    *out = (int64_t)value << shift;
    return *out >= row->min && *out <= row->max;
}

/* source names where the text comes from: "--body", "CHATBEACON_BODY" or "body in FILE". */
static int assign(struct cb_opts *opts, const struct row *row, const char *text, const char *source,
                  char **sentence) {
    char *field = (char *)opts + row->offset;
    if (row->type != CB_OPT_STRING) {
        int64_t value;
        if (!number_of(row, text, &value)) {
            return fail(sentence, "%s: \"%s\" is not a whole number from %lld to %lld%s", source,
                        text, (long long)row->min, (long long)row->max,
                        row->type == CB_OPT_BYTES ? " (K, M and G are understood)" : "");
        }
        memcpy(field, &value, sizeof(value));
        return 0;
    }
    size_t len = strlen(text);
    if ((int64_t)len < row->min || (int64_t)len > row->max) {
        return fail(sentence, "%s takes %lld to %lld characters", source, (long long)row->min,
                    (long long)row->max);
    }
    struct owned *owned = malloc(sizeof(*owned) + len + 1);
    if (!owned) {
        return fail(sentence, "out of memory");
    }
    memcpy(owned->text, text, len + 1);
    owned->next = opts->owned;
    opts->owned = owned;
    const char *kept = owned->text;
    memcpy(field, &kept, sizeof(kept));
    return 0;
}

static int from_defaults(struct cb_opts *opts, char **sentence) {
    for (size_t i = 0; i < N_ROWS; i++) {
        int rc = assign(opts, &rows[i], rows[i].fallback, rows[i].name, sentence);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

static int from_line(struct cb_opts *opts, unsigned tiers, char *line, const char *path, int number,
                     char **sentence) {
    char *text = trim(line);
    if (text[0] == '\0' || text[0] == '#') {
        return 0;
    }
    char *equals = strchr(text, '=');
    if (!equals) {
        return fail(sentence, "%s:%d: not of the form name = value", path, number);
    }
    *equals = '\0';
    char *name = trim(text);
    const struct row *row = row_of(name, strlen(name));
    if (!row) {
        return fail(sentence, "%s:%d: there is no option \"%s\"", path, number, name);
    }
    if (!(row->tiers & tiers)) {
        return 0; /* another tier's: several processes may share one file */
    }
    char source[512];
    snprintf(source, sizeof(source), "%s in %s:%d", name, path, number);
    return assign(opts, row, trim(equals + 1), source, sentence);
}

static int from_file(struct cb_opts *opts, unsigned tiers, const char *path, char **sentence) {
    FILE *file = fopen(path, "re");
    if (!file) {
        int rc = fail(sentence, "--config: cannot read %s: %s", path, strerror(errno));
        return rc == CB_EINVAL ? CB_EIO : rc;
    }
    char line[CONFIG_LINE_MAX];
    int rc = 0;
    for (int number = 1; rc == 0 && fgets(line, sizeof(line), file); number++) {
        if (!strchr(line, '\n') && !feof(file)) {
            rc = fail(sentence, "%s:%d: the line is over %d bytes", path, number,
                      CONFIG_LINE_MAX - 2);
            break;
        }
        rc = from_line(opts, tiers, line, path, number, sentence);
    }
    if (rc == 0 && ferror(file)) {
        rc = fail(sentence, "--config: cannot read %s", path);
        rc = rc == CB_EINVAL ? CB_EIO : rc;
    }
    fclose(file);
    return rc;
}

/* Options of other tiers are passed over: several processes may share one environment, and one
 * file. */
static int from_environment(struct cb_opts *opts, unsigned tiers, char **envp, char **sentence) {
    static const char prefix[] = "CHATBEACON_";
    for (; envp && *envp; envp++) {
        const char *equals = strchr(*envp, '=');
        if (strncmp(*envp, prefix, sizeof(prefix) - 1) != 0 || !equals) {
            continue;
        }
        char name[64];
        size_t len = (size_t)(equals - *envp) - (sizeof(prefix) - 1);
        if (len >= sizeof(name)) {
            continue;
        }
        for (size_t i = 0; i < len; i++) {
            char c = (*envp)[sizeof(prefix) - 1 + i];
            name[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        const struct row *row = row_of(name, len);
        if (!row || !(row->tiers & tiers)) {
            continue; /* another tier's, or somebody else's: CHATBEACON_BINARY and the like */
        }
        char source[128];
        snprintf(source, sizeof(source), "%.*s", (int)(equals - *envp), *envp);
        int rc = assign(opts, row, equals + 1, source, sentence);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Takes --name VALUE or --name=VALUE at argv[*i]; *value points at VALUE, *len is that of the name.
 */
static int split_argument(int argc, char **argv, int *i, const char **name, size_t *len,
                          const char **value, char **sentence) {
    const char *text = argv[*i];
    if (text[0] != '-' || text[1] != '-' || text[2] == '\0') {
        return fail(sentence, "\"%s\" is not an option; options begin with --", text);
    }
    *name = text + 2;
    const char *equals = strchr(*name, '=');
    *len = equals ? (size_t)(equals - *name) : strlen(*name);
    if (equals) {
        *value = equals + 1;
        return 0;
    }
    bool known = row_of(*name, *len) || (*len == 6 && memcmp(*name, "config", 6) == 0);
    if (known && *i + 1 >= argc) {
        return fail(sentence, "%s needs a value", text);
    }
    *value = *i + 1 < argc ? argv[++*i] : "";
    return 0;
}

static int from_arguments(struct cb_opts *opts, unsigned tiers, int argc, char **argv,
                          bool config_only, char **sentence) {
    for (int i = 0; i < argc; i++) {
        const char *name = NULL, *value = NULL;
        size_t len = 0;
        int rc = split_argument(argc, argv, &i, &name, &len, &value, sentence);
        if (rc != 0) {
            return rc;
        }
        if (len == 6 && memcmp(name, "config", 6) == 0) {
            rc = config_only ? from_file(opts, tiers, value, sentence) : 0;
        } else if (!config_only) {
            const struct row *row = row_of(name, len);
            if (!row) {
                return fail(sentence, "there is no option --%.*s; see --help", (int)len, name);
            }
            if (!(row->tiers & tiers)) {
                return fail(sentence, "--%s does not belong to this command; see --help",
                            row->name);
            }
            char source[80];
            snprintf(source, sizeof(source), "--%s", row->name);
            rc = assign(opts, row, value, source, sentence);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int cb_opt_parse(unsigned tiers, int argc, char **argv, char **envp, struct cb_opts *out,
                 char **sentence) {
    *out = (struct cb_opts){0};
    *sentence = NULL;
    int rc = from_defaults(out, sentence);
    if (rc == 0) {
        rc = from_arguments(out, tiers, argc, argv, true, sentence);
    }
    if (rc == 0) {
        rc = from_environment(out, tiers, envp, sentence);
    }
    if (rc == 0) {
        rc = from_arguments(out, tiers, argc, argv, false, sentence);
    }
    if (rc != 0) {
        cb_opt_fini(out);
    }
    return rc;
}

void cb_opt_fini(struct cb_opts *opts) {
    struct owned *owned = opts->owned;
    while (owned) {
        struct owned *next = owned->next;
        free(owned);
        owned = next;
    }
    *opts = (struct cb_opts){0};
}

int cb_opt_help(unsigned tiers, struct cb_buf *out) {
    int rc = cb_buf_printf(
        out, "  --config FILE\n        options from a file, a line each: name = value\n");
    for (size_t i = 0; rc == 0 && i < N_ROWS; i++) {
        if (!(rows[i].tiers & tiers)) {
            continue;
        }
        rc = cb_buf_printf(out, "  --%s %s\n        %s", rows[i].name, rows[i].argument,
                           rows[i].help);
        if (rc == 0 && rows[i].fallback[0] != '\0') {
            rc = cb_buf_printf(out, " (default %s)", rows[i].fallback);
        }
        if (rc == 0) {
            rc = cb_buf_append(out, "\n", 1);
        }
    }
    return rc;
}

int cb_opt_address(const char *text, char *host, size_t host_bytes, uint16_t *port) {
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text) {
        return CB_EINVAL;
    }
    const char *first = text;
    size_t len = (size_t)(colon - text);
    if (text[0] == '[') {
        if (len < 3 || text[len - 1] != ']') {
            return CB_EINVAL;
        }
        first++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return CB_EINVAL; /* an IPv6 address wants its brackets */
    }
    if (len >= host_bytes || colon[1] < '0' || colon[1] > '9') {
        return CB_EINVAL;
    }
    char *end;
    errno = 0;
    long value = strtol(colon + 1, &end, 10);
    if (errno != 0 || *end != '\0' || value > 65535) {
        return CB_EINVAL;
    }
    memcpy(host, first, len);
    host[len] = '\0';
    *port = (uint16_t)value;
    return 0;
}
