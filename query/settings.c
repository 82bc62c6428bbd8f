/* SPDX-License-Identifier: MIT
 * settings.c: see settings.h. One table of rules says what a member may be; whoever adds one adds a
 * row, and its line in openapi.json. */
#include "query/settings.h"

#include <stdio.h>

#include "proto/event.h"
#include "proto/json_parser.h"
#include "query/span.h"

enum {
    ORIGINS_MAX = 100,
    TEXT_MAX = 500,
    PATH_MAX_BYTES = CB_PARAM_VALUE_MAX,
};

enum kind {
    BOOL,
    WHOLE,  /* a number from min to max */
    TEXT,   /* min to max characters */
    CHOICE, /* one of choices, which stand between spaces */
    COLOUR, /* #rrggbb */
    LANG,   /* de, de-AT */
    LABEL,  /* [a-zA-Z0-9_.:-]{1,64} */
    LIST,   /* at most max items, each by the first rule of inside */
    OBJECT, /* members by inside */
};

struct rule {
    const char *name;
    enum kind kind;
    int64_t min, max;
    const char *choices;
    const struct rule *inside;
    bool needed;
};

static const struct rule words[] = {
    {.name = "lang", .kind = LANG},
    {.name = "title", .kind = TEXT, .max = TEXT_MAX},
    {.name = "online", .kind = TEXT, .max = TEXT_MAX},
    {.name = "offline", .kind = TEXT, .max = TEXT_MAX},
    {.name = "welcome", .kind = TEXT, .max = TEXT_MAX},
    {.name = "away", .kind = TEXT, .max = TEXT_MAX},
    {.name = "open", .kind = TEXT, .max = TEXT_MAX},
    {.name = "close", .kind = TEXT, .max = TEXT_MAX},
    {.name = "write", .kind = TEXT, .max = TEXT_MAX},
    {.name = "send", .kind = TEXT, .max = TEXT_MAX},
    {.name = "sending", .kind = TEXT, .max = TEXT_MAX},
    {.name = "sent", .kind = TEXT, .max = TEXT_MAX},
    {.name = "failed", .kind = TEXT, .max = TEXT_MAX},
    {.name = "retry", .kind = TEXT, .max = TEXT_MAX},
    {.name = "agent", .kind = TEXT, .max = TEXT_MAX},
    /* of the form before a chat, and of consent */
    {.name = "form", .kind = TEXT, .max = TEXT_MAX},
    {.name = "name", .kind = TEXT, .max = TEXT_MAX},
    {.name = "email", .kind = TEXT, .max = TEXT_MAX},
    {.name = "phone", .kind = TEXT, .max = TEXT_MAX},
    {.name = "notes", .kind = TEXT, .max = TEXT_MAX},
    {.name = "required", .kind = TEXT, .max = TEXT_MAX},
    {.name = "invalid", .kind = TEXT, .max = TEXT_MAX},
    {.name = "start", .kind = TEXT, .max = TEXT_MAX},
    {.name = "consent", .kind = TEXT, .max = TEXT_MAX},
    {.name = "accept", .kind = TEXT, .max = TEXT_MAX},
    {.name = "decline", .kind = TEXT, .max = TEXT_MAX},
    {.name = NULL},
};

static const struct rule texts[] = {
    {.name = "l1", .kind = OBJECT, .inside = words},
    {.name = "l2", .kind = OBJECT, .inside = words},
    {.name = NULL},
};

static const struct rule language[] = {{.kind = LANG}};
static const struct rule url[] = {{.kind = TEXT, .min = 1, .max = 1024}};

static const struct rule form_row[] = {
    {.name = "field", .kind = CHOICE, .choices = " name email phone notes ", .needed = true},
    {.name = "required", .kind = BOOL},
    {.name = NULL},
};
static const struct rule form[] = {{.kind = OBJECT, .inside = form_row}};

static const struct rule trigger_row[] = {
    {.name = "id", .kind = LABEL, .needed = true},
    {.name = "name", .kind = TEXT, .min = 1, .max = 200, .needed = true},
    {.name = "message", .kind = TEXT, .min = 1, .max = 1000, .needed = true},
    {.name = "agent", .kind = TEXT, .min = 1, .max = 100},
    {.name = "delay_s", .kind = WHOLE, .max = 86400, .needed = true},
    {.name = "scope", .kind = CHOICE, .choices = " site page urls "},
    {.name = "urls", .kind = LIST, .max = 20, .inside = url},
    {.name = "pages", .kind = WHOLE, .min = 1, .max = 1000},
    {.name = "visits", .kind = WHOLE, .min = 1, .max = 1000},
    {.name = "idle_s", .kind = WHOLE, .min = 1, .max = 86400},
    {.name = "exit_intent", .kind = BOOL},
    {.name = "event", .kind = LABEL},
    {.name = NULL},
};
static const struct rule trigger[] = {{.kind = OBJECT, .inside = trigger_row}};

/* What pages get. */
static const struct rule page_rules[] = {
    {.name = "texts", .kind = OBJECT, .inside = texts},
    {.name = "l2_languages", .kind = LIST, .max = 50, .inside = language},
    {.name = "position",
     .kind = CHOICE,
     .choices = " bottom-right bottom-left top-right top-left "},
    {.name = "colour", .kind = COLOUR},
    {.name = "form", .kind = LIST, .max = CB_FIELD_COUNT, .inside = form},
    {.name = "triggers", .kind = LIST, .max = 32, .inside = trigger},
    {.name = "hide_when_offline", .kind = BOOL},
    {.name = "consent_needed", .kind = BOOL},
    {.name = NULL},
};

/* What the tiers go by; see read_private. */
static const struct rule private_rules[] = {
    {.name = "zone", .kind = TEXT, .min = 1, .max = CB_ZONE_MAX},
    {.name = "idle_minutes", .kind = WHOLE, .min = 1, .max = CB_IDLE_MINUTES_MAX},
    {.name = "raw_days", .kind = WHOLE, .max = CB_RETAIN_DAYS_MAX},
    {.name = "personal_days", .kind = WHOLE, .max = CB_RETAIN_DAYS_MAX},
    {.name = "rollup_days", .kind = WHOLE, .max = CB_RETAIN_DAYS_MAX},
    {.name = "origins", .kind = LIST, .max = ORIGINS_MAX, .inside = url},
    {.name = NULL},
};

static const struct cb_value_ops *const ops = &cb_json_values;

/* Where in the object we are. */
struct place {
    char path[PATH_MAX_BYTES + 1];
    size_t len;
    struct cb_param_error *error;
};

static size_t go_into(struct place *at, const char *name, size_t index) {
    size_t before = at->len, room = sizeof at->path - at->len;
    int n = name ? snprintf(at->path + at->len, room, "%s%s", at->len > 0 ? "." : "", name)
                 : snprintf(at->path + at->len, room, "[%zu]", index);
    at->len += n > 0 && (size_t)n < room ? (size_t)n : 0;
    return before;
}

static void go_back(struct place *at, size_t before) {
    at->len = before;
    at->path[before] = '\0';
}

static int blame(const struct place *at, const char *what) {
    return cb_param_refuse(at->error, at->path, "%s: %s", at->path, what);
}

static bool is_label(struct cb_str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("_.:-", c)))
            return false;
    }
    return text.len >= 1 && text.len <= CB_NAME_MAX;
}

static bool is_colour(struct cb_str text) {
    uint8_t rgb[3];
    return text.len == 7 && text.p[0] == '#' &&
           cb_hex_decode((struct cb_str){text.p + 1, 6}, rgb, sizeof rgb) == 0;
}

/* RFC 5646 in short: a language, perhaps with a script or a region. */
static bool is_language(struct cb_str text) {
    size_t part = 0, parts = 1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '-') {
            if (part < 2)
                return false;
            part = 0;
            parts++;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (parts > 1 && c >= '0' && c <= '9')))
            return false;
        part++;
    }
    return part >= 2 && text.len <= 16 && parts <= 3;
}

static bool is_choice(struct cb_str text, const char *choices) {
    char padded[34];
    int n = snprintf(padded, sizeof padded, " %.*s ", (int)text.len, text.len ? text.p : "");
    return text.len > 0 && text.len <= 30 && !memchr(text.p, ' ', text.len) &&
           (size_t)n == text.len + 2 && strstr(choices, padded);
}

static int write_value(struct place *at, const struct rule *rule, const struct cb_value *value,
                       struct cb_json *json);

static const struct rule *find_rule(const struct rule *rules, struct cb_str name) {
    while (rules->name && !cb_str_is(name, rules->name))
        rules++;
    return rules->name ? rules : NULL;
}

/* A key that is none of ours goes into an error: at most so much of it. */
static int blame_unknown(struct place *at, struct cb_str key) {
    char name[65];
    snprintf(name, sizeof name, "%.*s", (int)(key.len < 64 ? key.len : 64), key.p);
    size_t len = strlen(name);
    while (len > 0 && !cb_utf8_valid((struct cb_str){name, len}))
        name[--len] = '\0';
    go_into(at, name, 0);
    return blame(at, "there is no such member");
}

static int write_object(struct place *at, const struct rule *rule, const struct cb_value *value,
                        struct cb_json *json) {
    struct cb_value_walk walk;
    struct cb_value member;
    struct cb_str key;
    uint32_t seen = 0;
    cb_json_object_begin(json);
    ops->begin(value, &walk);
    while (ops->member(&walk, &key, &member)) {
        const struct rule *inside = find_rule(rule->inside, key);
        if (!inside)
            return blame_unknown(at, key);
        size_t before = go_into(at, inside->name, 0);
        if (seen & 1u << (inside - rule->inside))
            return blame(at, "it is given twice");
        seen |= 1u << (inside - rule->inside);
        cb_json_key(json, inside->name);
        int rc = write_value(at, inside, &member, json);
        if (rc)
            return rc;
        go_back(at, before);
    }
    for (const struct rule *inside = rule->inside; inside->name; inside++) {
        if (inside->needed && !(seen & 1u << (inside - rule->inside))) {
            go_into(at, inside->name, 0);
            return blame(at, "it is missing");
        }
    }
    cb_json_object_end(json);
    return 0;
}

static int write_list(struct place *at, const struct rule *rule, const struct cb_value *value,
                      struct cb_json *json) {
    struct cb_value_walk walk;
    struct cb_value item;
    if (ops->count(value) > (size_t)rule->max) {
        char what[64];
        snprintf(what, sizeof what, "at most %d are taken", (int)rule->max);
        return blame(at, what);
    }
    cb_json_array_begin(json);
    ops->begin(value, &walk);
    for (size_t i = 0; ops->item(&walk, &item); i++) {
        size_t before = go_into(at, NULL, i);
        int rc = write_value(at, rule->inside, &item, json);
        if (rc)
            return rc;
        go_back(at, before);
    }
    cb_json_array_end(json);
    return 0;
}

static int write_text(struct place *at, const struct rule *rule, struct cb_str text,
                      struct cb_json *json) {
    char what[128];
    size_t len = cb_utf8_length(text);
    if (rule->kind == TEXT && (len < (size_t)rule->min || len > (size_t)rule->max)) {
        snprintf(what, sizeof what, "a text of %d to %d characters is expected", (int)rule->min,
                 (int)rule->max);
        return blame(at, what);
    }
    if (rule->kind == CHOICE && !is_choice(text, rule->choices)) {
        snprintf(what, sizeof what, "one of%sis expected", rule->choices);
        return blame(at, what);
    }
    if (rule->kind == COLOUR && !is_colour(text))
        return blame(at, "a colour like #1a2b3c is expected");
    if (rule->kind == LANG && !is_language(text))
        return blame(at, "the code of a language like de or de-AT is expected");
    if (rule->kind == LABEL && !is_label(text))
        return blame(at, "up to 64 letters, digits and _ . : - are expected");
    cb_json_str(json, text);
    return 0;
}

static int write_value(struct place *at, const struct rule *rule, const struct cb_value *value,
                       struct cb_json *json) {
    char what[96];
    switch (rule->kind) {
    case BOOL:
        if (value->type != CB_VALUE_BOOL)
            return blame(at, "true or false is expected");
        cb_json_bool(json, value->boolean);
        return 0;
    case WHOLE:
        if (value->type != CB_VALUE_UINT || value->u < (uint64_t)rule->min ||
            value->u > (uint64_t)rule->max) {
            snprintf(what, sizeof what, "a whole number from %d to %d is expected", (int)rule->min,
                     (int)rule->max);
            return blame(at, what);
        }
        cb_json_uint(json, value->u);
        return 0;
    case LIST:
        return value->type == CB_VALUE_ARRAY ? write_list(at, rule, value, json)
                                             : blame(at, "a list is expected");
    case OBJECT:
        return value->type == CB_VALUE_OBJECT ? write_object(at, rule, value, json)
                                              : blame(at, "an object is expected");
    case TEXT:
    case CHOICE:
    case COLOUR:
    case LANG:
    case LABEL:
        break;
    }
    return value->type == CB_VALUE_STRING ? write_text(at, rule, value->s, json)
                                          : blame(at, "a text is expected");
}

/* ---- what the tiers go by ---- */

static int read_origins(struct place *at, const struct cb_value *value, struct cb_buf *text) {
    struct cb_value_walk walk;
    struct cb_value item;
    ops->begin(value, &walk);
    for (size_t i = 0; ops->item(&walk, &item); i++) {
        size_t before = go_into(at, NULL, i);
        if (!cb_origin_valid(item.s))
            return blame(at, "an origin like https://shop.example is expected, in lower case, "
                             "without a path");
        if (text->len + item.s.len + 1 > CB_ORIGINS_MAX_BYTES)
            return blame(at, "these origins are too long together");
        int rc = text->len > 0 ? cb_buf_append(text, " ", 1) : 0;
        if (!rc)
            rc = cb_buf_append_str(text, item.s);
        if (rc)
            return rc;
        go_back(at, before);
    }
    return 0;
}

/* The rule of the table has passed: what is left is what a table cannot say. */
static int read_private(struct place *at, const char *name, const struct cb_value *value,
                        struct cb_buf *text, struct cb_settings *out) {
    char zone[CB_ZONE_MAX + 1];
    if (!strcmp(name, "zone")) {
        snprintf(zone, sizeof zone, "%.*s", (int)value->s.len, value->s.p);
        out->zone = value->s;
        if (value->s.len > CB_ZONE_MAX || strlen(zone) != value->s.len || !cb_zone_known(zone) ||
            !cb_settings_valid(out))
            return blame(at, "the name of an IANA zone, like Europe/Athens, is expected");
    } else if (!strcmp(name, "origins")) {
        return read_origins(at, value, text);
    } else {
        uint32_t *number = !strcmp(name, "idle_minutes")    ? &out->idle_minutes
                           : !strcmp(name, "raw_days")      ? &out->raw_days
                           : !strcmp(name, "personal_days") ? &out->personal_days
                                                            : &out->rollup_days;
        *number = (uint32_t)value->u;
    }
    return 0;
}

/* Checks a member by its table, and throws the JSON away. */
static int check(struct place *at, const struct rule *rule, const struct cb_value *value) {
    struct cb_buf sink;
    struct cb_json json;
    cb_buf_init(&sink, 2 * CB_ORIGINS_MAX_BYTES * 8);
    cb_json_init(&json, &sink);
    int rc = write_value(at, rule, value, &json);
    cb_buf_fini(&sink);
    return rc ? rc : json.err == CB_ETOOBIG ? blame(at, "it is too long") : json.err;
}

/* Two triggers of one id could not be told apart in reports. */
static int check_trigger_ids(struct place *at, const struct cb_value *list) {
    struct cb_str ids[32], key;
    struct cb_value_walk items, members;
    struct cb_value item, value;
    size_t n = 0;
    ops->begin(list, &items);
    for (; ops->item(&items, &item) && n < 32; n++) {
        ops->begin(&item, &members);
        while (ops->member(&members, &key, &value))
            if (cb_str_is(key, "id"))
                ids[n] = value.s;
        for (size_t i = 0; i < n; i++) {
            if (cb_str_eq(ids[i], ids[n])) {
                go_into(at, NULL, n);
                go_into(at, "id", 0);
                return blame(at, "another trigger has this id");
            }
        }
    }
    return 0;
}

int cb_settings_read(const struct cb_value *object, struct cb_buf *text, struct cb_settings *out,
                     struct cb_param_error *error) {
    struct place at = {.error = error};
    struct cb_value_walk walk;
    struct cb_value value;
    struct cb_buf page;
    struct cb_json json;
    struct cb_str key;
    uint32_t seen = 0; /* private ones in the upper half */
    int rc = 0;
    *out = cb_settings_default();
    cb_buf_clear(text);
    cb_buf_init(&page, CB_PAGE_SETTINGS_MAX);
    cb_json_init(&json, &page);
    cb_json_object_begin(&json);
    ops->begin(object, &walk);
    while (!rc && ops->member(&walk, &key, &value)) {
        const struct rule *mine = find_rule(private_rules, key), *rule = find_rule(page_rules, key);
        if (!mine && !rule) {
            rc = blame_unknown(&at, key);
            break;
        }
        uint32_t bit = mine ? 1u << (16 + (mine - private_rules)) : 1u << (rule - page_rules);
        size_t before = go_into(&at, mine ? mine->name : rule->name, 0);
        if (seen & bit) {
            rc = blame(&at, "it is given twice");
        } else if (mine) {
            rc = check(&at, mine, &value);
            if (!rc)
                rc = read_private(&at, mine->name, &value, text, out);
        } else {
            cb_json_key(&json, rule->name);
            rc = write_value(&at, rule, &value, &json);
            if (!rc && !strcmp(rule->name, "triggers"))
                rc = check_trigger_ids(&at, &value);
        }
        seen |= bit;
        if (!rc)
            go_back(&at, before);
    }
    cb_json_object_end(&json);
    if (!rc && json.err)
        rc = json.err == CB_ETOOBIG ? cb_param_refuse(error, "", "what pages get is over %d bytes",
                                                      CB_PAGE_SETTINGS_MAX)
                                    : json.err;
    size_t origins_len = text->len;
    if (!rc)
        rc = cb_buf_append(text, page.data, page.len);
    if (!rc) {
        out->origins = (struct cb_str){text->data, origins_len};
        out->page = (struct cb_str){text->data + origins_len, text->len - origins_len};
    }
    cb_buf_fini(&page);
    return rc;
}

/* ---- writing ---- */

void cb_settings_write(struct cb_json *json, const struct cb_settings *settings) {
    cb_json_key(json, "zone");
    cb_json_str(json, settings->zone);
    cb_json_key(json, "idle_minutes");
    cb_json_uint(json, settings->idle_minutes);
    cb_json_key(json, "raw_days");
    cb_json_uint(json, settings->raw_days);
    cb_json_key(json, "personal_days");
    cb_json_uint(json, settings->personal_days);
    cb_json_key(json, "rollup_days");
    cb_json_uint(json, settings->rollup_days);
    cb_json_key(json, "origins");
    cb_json_array_begin(json);
    for (size_t from = 0; from < settings->origins.len;) {
        const char *p = settings->origins.p + from;
        const char *space = memchr(p, ' ', settings->origins.len - from);
        size_t len = space ? (size_t)(space - p) : settings->origins.len - from;
        cb_json_str(json, (struct cb_str){p, len});
        from += len + 1;
    }
    cb_json_array_end(json);
    /* The members of the page's object, without its braces. */
    if (settings->page.len > 2)
        cb_json_members(json, (struct cb_str){settings->page.p + 1, settings->page.len - 2});
}
