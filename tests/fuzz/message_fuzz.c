/* SPDX-License-Identifier: MIT
 * What the store and its senders tell each other beside frames: acks, asks, answers, control. Each
 * input goes to each decoder. What one takes can be encoded, and decoding that and encoding it once
 * more changes no byte. */
#include "proto/ack.h"
#include "proto/ask.h"
#include "proto/control.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* Decodes data and appends what it means to out. Returns false when it is refused. */
typedef bool turn_fn(const void *data, size_t len, struct cb_buf *out);

static void refused(int rc) {
    FUZZ_CHECK(rc == CB_EMALFORMED || rc == CB_EVERSION);
}

static bool turn_ack(const void *data, size_t len, struct cb_buf *out) {
    static struct cb_ack ack;
    int rc = cb_ack_decode(data, len, &ack);
    if (rc != 0) {
        refused(rc);
        return false;
    }
    uint8_t topic[CB_ACK_TOPIC_BYTES];
    FUZZ_CHECK(ack.n_frames <= CB_ACK_FRAMES_MAX);
    FUZZ_CHECK(cb_ack_encode(&ack, out) == 0);
    size_t topic_len = cb_ack_topic(ack.sender, topic);
    FUZZ_CHECK(out->len >= topic_len && memcmp(out->data, topic, topic_len) == 0);
    return true;
}

static bool turn_ask(const void *data, size_t len, struct cb_buf *out) {
    static struct cb_ask asks[CB_ASKS_MAX];
    uint32_t n = 0;
    int rc = cb_ask_decode(data, len, asks, &n);
    if (rc != 0) {
        refused(rc);
        return false;
    }
    FUZZ_CHECK(n >= 1 && n <= CB_ASKS_MAX);
    FUZZ_CHECK(cb_ask_encode(asks, n, out) == 0);
    return true;
}

static bool turn_answer(const void *data, size_t len, struct cb_buf *out) {
    static struct cb_answer answers[CB_ASKS_MAX];
    uint32_t n = 0;
    int rc = cb_answer_decode(data, len, answers, &n);
    if (rc != 0) {
        refused(rc);
        return false;
    }
    FUZZ_CHECK(n >= 1 && n <= CB_ASKS_MAX);
    FUZZ_CHECK(cb_answer_encode(answers, n, out) == 0);
    return true;
}

static bool turn_control(const void *data, size_t len, struct cb_buf *out) {
    static struct cb_frame frame;
    struct cb_control control;
    int rc = cb_control_decode((struct cb_str){data, len}, &control);
    if (rc != 0) {
        refused(rc);
        return false;
    }
    FUZZ_CHECK(cb_control_encode(&control, out) == 0);
    struct cb_buf wrapped;
    cb_buf_init(&wrapped, CB_FRAME_MAX);
    struct cb_str body = {out->data, out->len};
    FUZZ_CHECK(cb_frame_wrap(CB_FRAME_CONTROL, 1, 2, body, &wrapped) == 0);
    FUZZ_CHECK(cb_frame_decode(wrapped.data, wrapped.len, &frame) == 0);
    FUZZ_CHECK(frame.kind == CB_FRAME_CONTROL && cb_str_eq(frame.body, body));
    cb_buf_fini(&wrapped);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static turn_fn *const turns[] = {turn_ack, turn_ask, turn_answer, turn_control};
    unsigned taken = 0;
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        struct cb_buf once, twice;
        cb_buf_init(&once, CB_ASK_MESSAGE_MAX);
        cb_buf_init(&twice, CB_ASK_MESSAGE_MAX);
        if (turns[i](data, len, &once)) {
            taken++;
            FUZZ_CHECK(turns[i](once.data, once.len, &twice));
            FUZZ_CHECK(cb_str_eq((struct cb_str){once.data, once.len},
                                 (struct cb_str){twice.data, twice.len}));
        }
        cb_buf_fini(&once);
        cb_buf_fini(&twice);
    }
    FUZZ_CHECK(taken <= 1); /* none can be taken for another */
    return 0;
}
