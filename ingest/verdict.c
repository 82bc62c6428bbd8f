/* SPDX-License-Identifier: MIT
 * verdict.c: see verdict.h. The list is bounded by its number of entries; sentences are static. */
#include "ingest/verdict.h"

#include <inttypes.h>

enum { LIST_MAX_BYTES = CB_VERDICT_LISTED_MAX * 512 };

void cb_verdict_init(struct cb_verdict *v) {
    memset(v, 0, sizeof *v);
    cb_buf_init(&v->list, LIST_MAX_BYTES);
}

void cb_verdict_fini(struct cb_verdict *v) {
    cb_buf_fini(&v->list);
}

void cb_verdict_clear(struct cb_verdict *v) {
    v->accepted = v->rejected = 0;
    v->listed = 0;
    v->first = (struct cb_fault){CB_REFUSE_NONE, NULL, NULL};
    cb_buf_clear(&v->list);
}

static int entry(struct cb_verdict *v, const struct cb_fault *fault, uint64_t index,
                 uint32_t line) {
    int err = cb_buf_printf(&v->list, "%s{\"index\":%" PRIu64, v->listed ? "," : "", index);
    if (!err && line)
        err = cb_buf_printf(&v->list, ",\"line\":%" PRIu32, line);
    if (!err)
        err = cb_buf_printf(&v->list,
                            ",\"code\":\"%s\",\"message\":", cb_refusal_code(fault->refusal));
    if (!err)
        err = cb_buf_append_json(&v->list, cb_str_of(fault->message));
    if (!err)
        err = cb_buf_append_str(&v->list, CB_STR("}"));
    return err;
}

void cb_verdict_refuse(struct cb_verdict *v, const struct cb_fault *fault, uint64_t index,
                       uint64_t n, uint32_t line, bool listed) {
    if (v->rejected == 0)
        v->first = *fault;
    v->rejected += n;
    for (uint64_t i = 0; listed && i < n && v->listed < CB_VERDICT_LISTED_MAX; i++) {
        size_t before = v->list.len;
        if (entry(v, fault, index + i, line)) {
            v->list.len = before; /* out of memory: it is among the rest then */
            return;
        }
        v->listed++;
    }
}

int cb_verdict_status(const struct cb_verdict *v, bool queued) {
    if (v->accepted == 0)
        return cb_refusal_status(v->first.refusal);
    if (queued)
        return 202;
    return v->rejected ? 200 : 204;
}

static int rejected(const struct cb_verdict *v, struct cb_buf *out) {
    if (v->listed == 0)
        return 0;
    int err = cb_buf_append_str(out, CB_STR(",\"rejected\":["));
    if (!err)
        err = cb_buf_append(out, v->list.data, v->list.len);
    if (!err)
        err = cb_buf_append_str(out, CB_STR("]"));
    if (!err && v->rejected > v->listed)
        err = cb_buf_printf(out, ",\"more\":%" PRIu64, v->rejected - v->listed);
    return err;
}

int cb_verdict_json(const struct cb_verdict *v, bool queued, struct cb_buf *out) {
    int err;
    if (v->accepted == 0) {
        err = cb_refusal_json(out, v->first.refusal, v->first.message, v->first.field);
        if (!err)
            out->len--; /* the error's object goes on */
    } else if (queued || v->rejected) {
        err = cb_buf_printf(out, "{\"%s\":%" PRIu64, queued ? "queued" : "accepted", v->accepted);
    } else {
        return 0;
    }
    if (!err)
        err = rejected(v, out);
    return err ? err : cb_buf_append_str(out, CB_STR("}"));
}
