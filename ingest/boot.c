/* SPDX-License-Identifier: MIT
 * boot.c: see boot.h. */
#include "ingest/boot.h"

#include <stdio.h>

#include "ingest/reply.h"

enum {
    BOOT_ASK_MS = 2000,
    ANSWER_MAX_BYTES = CB_FIELD_COUNT * 6 * CB_ASK_VALUE_MAX + CB_PAGE_SETTINGS_MAX +
                       4096, /* 6: \u0000 for one byte */
};

struct boot {
    struct cb_str site;
    bool has_visitor;
    uint8_t visitor[CB_VISITOR_BYTES]; /* the hash */
};

static bool blame(struct cb_fault *fault, enum cb_refusal refusal, const char *message,
                  const char *field) {
    *fault = (struct cb_fault){refusal, message, field};
    return false;
}

/* False with *fault set when the body is not legible; its refusal is none without memory. */
static bool read_body(struct cb_worker *w, const struct cb_http_req *req, struct boot *out,
                      struct cb_fault *fault) {
    const struct cb_value_ops *ops = &cb_json_values;
    struct cb_value body, value, visitor = {.type = CB_VALUE_NULL};
    const char *why = NULL;
    *fault = (struct cb_fault){CB_REFUSE_NONE, NULL, NULL};
    memset(out, 0, sizeof *out);
    int err = cb_json_parse(w->beacon->json, req->body, &body, &why);
    if (err)
        return err == CB_EMALFORMED ? blame(fault, CB_REFUSE_BAD_JSON, why, NULL) : false;
    if (body.type != CB_VALUE_OBJECT)
        return blame(fault, CB_REFUSE_BAD_REQUEST, "the body must be an object", NULL);
    struct cb_value_walk walk;
    struct cb_str key;
    bool any_site = false, any_visitor = false;
    ops->begin(&body, &walk);
    while (ops->member(&walk, &key, &value)) {
        bool *any = cb_str_is(key, "site")      ? &any_site
                    : cb_str_is(key, "visitor") ? &any_visitor
                                                : NULL;
        if (!any)
            continue; /* of a newer widget */
        if (*any)
            return blame(fault, CB_REFUSE_BAD_REQUEST, "a member is given twice",
                         any == &any_site ? "site" : "visitor");
        *any = true;
        if (any == &any_visitor)
            visitor = value;
        else if (value.type == CB_VALUE_STRING && cb_site_name_valid(value.s))
            out->site = value.s;
    }
    if (out->site.len == 0)
        return blame(fault, CB_REFUSE_BAD_REQUEST, "site must be the name of a site", "site");
    if (visitor.type == CB_VALUE_NULL)
        return true;
    if (visitor.type != CB_VALUE_STRING || cb_beacon_visitor(out->site, visitor.s, out->visitor))
        return blame(fault, CB_REFUSE_BAD_REQUEST, "visitor must be 32 hex digits", "visitor");
    out->has_visitor = true;
    return true;
}

static int render(struct cb_buf *out, struct cb_str name, const struct cb_site *site,
                  const struct cb_answer *fields) {
    int err = cb_buf_append_str(out, CB_STR("{\"site\":"));
    if (!err)
        err = cb_buf_append_json(out, name);
    if (!err)
        err = cb_buf_printf(out, ",\"status\":\"%s\"",
                            site->status == CB_STATUS_ONLINE ? "online" : "offline");
    /* The members of the page's object, without its braces. */
    if (!err && site->page.len > 2)
        err = cb_buf_printf(out, ",%.*s", (int)site->page.len - 2, site->page.p + 1);
    /* Whoever has the id is to forget it: the next boot comes with another one. */
    if (!err && fields && fields->erased)
        return cb_buf_append_str(out, CB_STR(",\"erased\":true}"));
    for (unsigned i = 0; !err && fields && i < CB_FIELD_COUNT; i++) {
        err = cb_buf_printf(out, "%s\"%s\":", i ? "," : ",\"visitor\":{", cb_field_key(i));
        if (!err)
            err = cb_buf_append_json(out, fields->fields[i]);
    }
    return err ? err : cb_buf_append_str(out, fields ? CB_STR("}}") : CB_STR("}"));
}

static void reply(struct cb_http_req *req, struct cb_str name, const struct cb_site *site,
                  const struct cb_answer *fields) {
    struct cb_buf body;
    char headers[CB_REPLY_ORIGIN_MAX + 128], origin[CB_REPLY_ORIGIN_MAX];
    cb_buf_init(&body, ANSWER_MAX_BYTES);
    snprintf(headers, sizeof headers, CB_REPLY_JSON CB_REPLY_NO_STORE "%s",
             cb_reply_origin(req, site, origin));
    if (render(&body, name, site, fields))
        cb_reply_busy(req);
    else
        cb_http_reply(req, 200, headers, body.data, body.len);
    cb_buf_fini(&body);
}

static void answered(void *user, void *tag, const struct cb_answer *answer) {
    struct cb_worker *w = user;
    struct cb_http_req *req = tag;
    struct boot boot;
    struct cb_fault fault;
    struct cb_site *site;
    /* The body is read again rather than kept: it was legible before. */
    if (!answer || answer->later || !read_body(w, req, &boot, &fault) ||
        cb_lookup_settled(w->lookup, boot.site, &site) != CB_SITE_KNOWN)
        cb_reply_busy(req);
    else
        reply(req, boot.site, site, answer);
}

void cb_boot_handle(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    struct boot boot;
    struct cb_fault fault;
    struct cb_site *site;
    if (!read_body(w, req, &boot, &fault)) {
        if (fault.refusal == CB_REFUSE_NONE)
            cb_reply_busy(req);
        else
            cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
        return;
    }
    switch (cb_hold_site(w, boot.site, settled, &site)) {
    case CB_SITE_WAIT:
        cb_hold_for_site(w, req, boot.site, cb_boot_handle);
        return;
    case CB_SITE_UNAVAILABLE:
        cb_reply_busy(req);
        return;
    case CB_SITE_UNKNOWN:
        blame(&fault, CB_REFUSE_SITE_UNKNOWN, NULL, "site");
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
        return;
    case CB_SITE_KNOWN:
        break;
    }
    if (!cb_reply_origin_allowed(req, site)) {
        blame(&fault, CB_REFUSE_ORIGIN_REFUSED, NULL, "site");
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
        return;
    }
    unsigned wait_s = cb_limit_site_wait(w->limit, boot.site);
    if (wait_s) {
        cb_reply_limited(req, wait_s);
        return;
    }
    cb_limit_site_take(w->limit, boot.site, 1);
    if (!boot.has_visitor) {
        reply(req, boot.site, site, NULL);
        return;
    }
    struct cb_ask ask = {.kind = CB_ASK_FIELDS, .site = boot.site};
    memcpy(ask.visitor, boot.visitor, sizeof ask.visitor);
    if (cb_uplink_ask(w->uplink, &ask, BOOT_ASK_MS, answered, w, req))
        cb_reply_busy(req);
}
