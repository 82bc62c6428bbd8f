/* SPDX-License-Identifier: MIT
 * draft.h: an event while it is being read: the rules that make members of a body an event, in one
 * place for JSON and msgpack.
 *
 * Members: seq, name and at are needed; page may be there; set and get have key, set has value.
 * Every other member holds a scalar and becomes a prop; a member props holds an object whose
 * members become props too. Members must not repeat, nor props. One owner. */
#ifndef CB_INGEST_DRAFT_H
#define CB_INGEST_DRAFT_H

#include <msgpack.h>

#include "ingest/fault.h"
#include "proto/event.h"
#include "proto/value.h"

/* The largest time that is taken, in ms: that of ECMAScript's Date. */
#define CB_TIME_MAX_MS INT64_C(8640000000000000)

struct cb_draft {
    struct cb_buf pairs; /* the event's props as msgpack, still without their count */
    msgpack_packer packer;
    unsigned n_props;
    struct cb_str keys[CB_PROPS_MAX];
    size_t referrer_len;              /* 0: none of its props says where the visitor came from */
    char referrer[CB_PROP_VALUE_MAX]; /* … as the page wrote it */
    struct cb_fault fault;            /* the first thing that is wrong */
};

/* props_max_bytes bounds what the props of one event may take. packer keeps the draft's address:
 * it must not move. */
void cb_draft_init(struct cb_draft *draft, size_t props_max_bytes);
void cb_draft_fini(struct cb_draft *draft);

/* Begins an event: nothing wrong, no props. */
void cb_draft_begin(struct cb_draft *draft);
/* Adds a prop; what is wrong with it goes to draft->fault. */
void cb_draft_prop(struct cb_draft *draft, struct cb_str key, const struct cb_value *value);
/* Notes a fault unless there is one already. */
void cb_draft_blame(struct cb_draft *draft, enum cb_refusal refusal, const char *message,
                    const char *field);
/* Appends the event's props to out, as they stand in frames, and behind them its referrer (the host
 * of the prop of that name, where it is not the page's own); sets their lengths in the event.
 * Nothing of an event with a fault. What is too large goes to draft->fault. */
void cb_draft_keep(struct cb_draft *draft, struct cb_event *event, struct cb_buf *out);
/* Sets where they stand, once out does not move any more: *at is the event's place in it, and then
 * that of the next. */
void cb_draft_place(struct cb_event *event, const char *data, size_t *at);

/* Sets name, key and value by the rules of names and of set and get; key and value are NULL where
 * the event has none. Of other names they are props. */
void cb_draft_name(struct cb_draft *draft, struct cb_str name, const struct cb_value *key,
                   const struct cb_value *value, bool has_visitor, struct cb_event *out);
void cb_draft_page(struct cb_draft *draft, struct cb_str page, struct cb_event *out);

/* Reads a whole event, all but its props, which cb_draft_keep keeps afterwards. sent_ms is the
 * envelope's. seq is out->seq, 0 where it is not legible, also when the event is refused.
 * out's strings belong to the body. Returns draft->fault.refusal. */
enum cb_refusal cb_draft_event(struct cb_draft *draft, const struct cb_value_ops *ops,
                               const struct cb_value *value, int64_t sent_ms, bool has_visitor,
                               struct cb_event *out);
/* Only the number of an event whose envelope was refused; 0 where it is not legible. */
uint64_t cb_draft_seq(const struct cb_value_ops *ops, const struct cb_value *value);

#endif
