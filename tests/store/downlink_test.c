/* SPDX-License-Identifier: MIT
 * Which socket takes which frames, and when a control frame is acked: by a whole store over inproc
 * and ipc, with uplinks as query and ingest have them. */
#include <event2/event.h>
#include <ftw.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "proto/log.h"
#include "proto/uplink.h"
#include "store/reader.h"
#include "store/store.h"

enum { DEADLINE_MS = 20000 };

static char dir[64];
static struct cb_store *store;
static struct cb_store_places places;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state) {
    char folder[100], *sentence = NULL;
    (void)state;
    cb_log_set_level(CB_LOG_ERROR); /* what is refused is warned of */
    snprintf(dir, sizeof(dir), "/tmp/chatbeacon-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(folder, sizeof(folder), "ipc://%s/link", dir);
    places = (struct cb_store_places){.n_controls = 2};
    assert_int_equal(cb_link_url_parse("inproc://downlink-test", &places.frames), 0);
    assert_int_equal(cb_link_url_control("inproc://downlink-test", &places.controls[0]), 0);
    assert_int_equal(cb_link_url_control(folder, &places.controls[1]), 0);
    struct cb_opts opts = {.data = dir, .map = 64 * 1024 * 1024, .sites = "demo"};
    int rc = cb_store_setup(&opts, &places, &store, &sentence);
    if (rc != 0) {
        fprintf(stderr, "%s\n", sentence ? sentence : "?");
    }
    free(sentence);
    return rc;
}

static int teardown(void **state) {
    (void)state;
    cb_store_teardown(&store);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

struct sent {
    struct event_base *base;
    unsigned left;
    enum cb_uplink_result result;
    uint64_t position;
};

static void on_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    struct sent *sent = user;
    (void)tag;
    sent->result = result;
    sent->position = position;
    if (--sent->left == 0) {
        event_base_loopbreak(sent->base);
    }
}

/* Sends the control, or where it is NULL a click, n times as n frames; waits for all acks. */
static struct sent send_to(const struct cb_link_url *url, const struct cb_control *control,
                           unsigned n) {
    struct sent sent = {.base = event_base_new(), .left = n};
    struct cb_uplink_opts opts = {
        .url = *url, .resend_ms = 100, .expire_ms = DEADLINE_MS, .acked = on_acked, .user = &sent};
    struct cb_uplink *uplink;
    struct cb_frame_builder builder;
    struct cb_buf body;
    struct cb_envelope envelope = {.site = CB_STR("demo"), .received_ms = 1000, .n_events = 1};
    struct cb_event event = {.seq = 1, .name_code = CB_NAME_CLICK, .name = CB_STR("onClick")};
    assert_int_equal(cb_uplink_create(sent.base, &opts, &uplink), 0);
    cb_frame_builder_init(&builder);
    cb_buf_init(&body, CB_CONTROL_MAX);
    for (unsigned i = 0; i < n; i++) {
        if (control) {
            cb_buf_clear(&body);
            assert_int_equal(cb_control_encode(control, &body), 0);
            assert_int_equal(
                cb_uplink_send_control(uplink, (struct cb_str){body.data, body.len}, NULL), 0);
        } else {
            assert_int_equal(cb_frame_builder_add(&builder, &envelope, &event, 1), 0);
            assert_int_equal(cb_uplink_send(uplink, &builder, NULL), 0);
        }
    }
    assert_true(event_base_dispatch(sent.base) >= 0);
    assert_int_equal(sent.left, 0);
    cb_buf_fini(&body);
    cb_frame_builder_fini(&builder);
    cb_uplink_destroy(&uplink);
    event_base_free(sent.base);
    return sent;
}

static unsigned status_of(const char *name, uint64_t *position) {
    struct cb_reader *reader;
    struct cb_snapshot *snapshot;
    struct cb_site site = {.status = 0};
    assert_int_equal(cb_reader_borrow(store, &reader), 0);
    assert_int_equal(cb_snapshot_begin(reader, &snapshot), 0);
    int rc = cb_snapshot_site(snapshot, cb_str_of(name), &site);
    *position = cb_snapshot_position(snapshot);
    cb_snapshot_end(&snapshot);
    cb_reader_close(&reader);
    return rc == 0 ? site.status : 0;
}

/* An ack says that the views hold it: no waiting, no asking again. */
static void an_ack_means_readable(void **state) {
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct cb_control control = {.op = CB_CONTROL_STATUS,
                                     .made_ms = 1,
                                     .site = CB_STR("demo"),
                                     .status = i % 2 ? CB_STATUS_ONLINE : CB_STATUS_OFFLINE};
        uint64_t position;
        struct sent sent = send_to(&places.controls[i / 2 % 2], &control, 1);
        assert_int_equal(sent.result, CB_UPLINK_OK);
        assert_int_equal(status_of("demo", &position), control.status);
        assert_true(sent.position > 0 && position >= sent.position);
    }
}

static void many_at_once_are_all_acked(void **state) {
    struct cb_control control = {.op = CB_CONTROL_STATUS,
                                 .made_ms = 1,
                                 .site = CB_STR("demo"),
                                 .status = CB_STATUS_AUTOMATIC};
    uint64_t position;
    (void)state;
    struct sent sent = send_to(&places.controls[0], &control, CB_UPLINK_CREDITS);
    assert_int_equal(sent.result, CB_UPLINK_OK);
    assert_int_equal(status_of("demo", &position), CB_STATUS_AUTOMATIC);
    assert_true(position >= sent.position);
}

static void each_socket_takes_its_own(void **state) {
    struct cb_control token = {.op = CB_CONTROL_TOKEN, .made_ms = 1, .role = CB_ROLE_ADMIN};
    struct cb_reader *reader;
    struct cb_snapshot *snapshot;
    struct cb_token found;
    (void)state;
    memset(token.token, 7, sizeof(token.token));
    assert_int_equal(send_to(&places.frames, &token, 1).result, CB_UPLINK_REFUSED);
    /* What only the store writes, whoever sends it. */
    struct cb_control swept = {.op = CB_CONTROL_SWEPT, .made_ms = 1, .site = CB_STR("demo")};
    assert_int_equal(send_to(&places.controls[0], &swept, 1).result, CB_UPLINK_REFUSED);
    assert_int_equal(send_to(&places.controls[0], NULL, 1).result, CB_UPLINK_REFUSED);
    assert_int_equal(send_to(&places.frames, NULL, 1).result, CB_UPLINK_OK);
    assert_int_equal(cb_reader_borrow(store, &reader), 0);
    assert_int_equal(cb_snapshot_begin(reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), CB_ENOENT);
    cb_snapshot_end(&snapshot);
    cb_reader_close(&reader);
    assert_int_equal(cb_uplink_hello(&places.controls[1], DEADLINE_MS), 0);
}

static void tcp_has_no_control(void **state) {
    struct cb_link_url url;
    (void)state;
    assert_int_equal(cb_link_url_control("tcp://127.0.0.1:7000", &url), CB_EINVAL);
    assert_int_equal(cb_link_url_control("ipc:///a", &url), 0);
    assert_string_equal(url.frames, "ipc:///a/control");
    assert_string_equal(url.acks, "ipc:///a/acks");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_ack_means_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once_are_all_acked, setup, teardown),
        cmocka_unit_test_setup_teardown(each_socket_takes_its_own, setup, teardown),
        cmocka_unit_test(tcp_has_no_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
