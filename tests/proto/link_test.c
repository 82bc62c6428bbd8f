/* SPDX-License-Identifier: MIT
 * The channels over each transport: what goes in at one end comes out at the other, whichever end
 * was there first; and an address that cannot be had is refused with its code. */
#include "proto/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proto/ask.h"
#include "proto/frame.h"
#include "tests/proto/link_places.h"

enum { WAIT_MS = 10000, ASKS = 1000, UNREAD_MAX = 32 };

struct ends {
    struct place place;
    struct cb_link_store *store;
    struct cb_link_sender *sender;
};

static struct ends ends;

static int setup(enum place_transport transport) {
    memset(&ends, 0, sizeof(ends));
    if (!place_make(transport, &ends.place) || cb_link_store_create(&ends.place.url, &ends.store) ||
        cb_link_sender_create(&ends.place.url, "A", 1, &ends.sender)) {
        return -1;
    }
    return 0;
}

static int setup_inproc(void **state) {
    (void)state;
    return setup(PLACE_INPROC);
}

static int setup_ipc(void **state) {
    (void)state;
    return setup(PLACE_IPC);
}

static int setup_tcp(void **state) {
    (void)state;
    return setup(PLACE_TCP);
}

static int teardown(void **state) {
    (void)state;
    cb_link_sender_destroy(&ends.sender);
    cb_link_store_destroy(&ends.store);
    place_remove(&ends.place);
    return 0;
}

/* ---- helpers: one step each, with a deadline ---- */

static void send_frame(struct cb_link_sender *sender, const void *data, size_t len) {
    int rc;
    while ((rc = cb_link_send_frame(sender, data, len)) == CB_EAGAIN) {
        assert_true(place_readable(cb_link_frames_room_fd(sender), WAIT_MS));
    }
    assert_int_equal(rc, 0);
}

static void expect_frame(struct cb_link_store *store, const void *data, size_t len) {
    struct cb_link_message message;
    int rc;
    while ((rc = cb_link_recv_frame(store, &message)) == CB_EAGAIN) {
        assert_true(place_readable(cb_link_frames_fd(store), WAIT_MS));
    }
    assert_int_equal(rc, 0);
    assert_int_equal(message.len, len);
    assert_memory_equal(message.data, data, len);
    cb_link_message_free(&message);
    assert_null(message.data);
}

/* An ack that is published before the subscriber is connected is lost, so it is repeated; repeats
 * of an earlier one may come first. */
static void expect_ack(struct cb_link_sender *sender, const char *text) {
    int64_t deadline = cb_clock_mono_ms() + WAIT_MS;
    bool came = false;
    while (!came) {
        assert_true(cb_clock_mono_ms() < deadline);
        assert_int_equal(cb_link_send_ack(ends.store, text, strlen(text)), 0);
        struct cb_link_message message;
        if (place_readable(cb_link_acks_fd(sender), 20) && !cb_link_recv_ack(sender, &message)) {
            assert_memory_equal(message.data, text, 2); /* of this sender */
            came = message.len == strlen(text) && memcmp(message.data, text, message.len) == 0;
            cb_link_message_free(&message);
        }
    }
}

static void send_ask(uint32_t id, const void *data, size_t len) {
    int rc;
    while ((rc = cb_link_send_ask(ends.sender, id, data, len)) == CB_EAGAIN) {
        assert_true(place_readable(cb_link_asks_room_fd(ends.sender), WAIT_MS));
    }
    assert_int_equal(rc, 0);
}

static void recv_ask(struct cb_link_message *out) {
    int rc;
    while ((rc = cb_link_recv_ask(ends.store, out)) == CB_EAGAIN) {
        assert_true(place_readable(cb_link_asks_fd(ends.store), WAIT_MS));
    }
    assert_int_equal(rc, 0);
}

static uint32_t recv_answer(struct cb_link_message *out) {
    uint32_t id;
    int rc;
    while ((rc = cb_link_recv_answer(ends.sender, &id, out)) == CB_EAGAIN) {
        assert_true(place_readable(cb_link_answers_fd(ends.sender), WAIT_MS));
    }
    assert_int_equal(rc, 0);
    return id;
}

/* ---- over each transport ---- */

static void frames_arrive_whole_and_in_order(void **state) {
    (void)state;
    char *large = malloc(CB_FRAME_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', CB_FRAME_MAX + 1);
    send_frame(ends.sender, "one", 3);
    expect_frame(ends.store, "one", 3);
    send_frame(ends.sender, "", 0);
    expect_frame(ends.store, "", 0);
    for (int i = 0; i < 3; i++) {
        large[0] = (char)i;
        send_frame(ends.sender, large, CB_FRAME_MAX);
        expect_frame(ends.store, large, CB_FRAME_MAX);
    }
    assert_int_equal(cb_link_send_frame(ends.sender, large, CB_FRAME_MAX + 1), CB_ETOOBIG);
    struct cb_link_message none;
    assert_int_equal(cb_link_recv_frame(ends.store, &none), CB_EAGAIN);
    free(large);
}

static void acks_reach_only_their_sender(void **state) {
    (void)state;
    struct cb_link_sender *other;
    assert_int_equal(cb_link_sender_create(&ends.place.url, "B", 1, &other), 0);
    expect_ack(ends.sender, "A-first");
    expect_ack(other, "B-first");
    /* Both are connected now, and each sees its own only. */
    expect_ack(other, "B-second");
    struct cb_link_message message;
    while (!cb_link_recv_ack(ends.sender, &message)) {
        assert_memory_equal(message.data, "A-", 2);
        cb_link_message_free(&message);
    }
    while (!cb_link_recv_ack(other, &message)) {
        assert_memory_equal(message.data, "B-", 2);
        cb_link_message_free(&message);
    }
    cb_link_sender_destroy(&other);
    assert_null(other);
}

static void a_thousand_asks_are_answered_in_reverse(void **state) {
    (void)state;
    struct cb_link_message asks[ASKS], answer;
    static bool seen[ASKS];
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < ASKS; i++) {
        send_ask(UINT32_C(0x7fffffff) - i, &i, sizeof(i));
        recv_ask(&asks[i]);
        assert_int_equal(asks[i].len, sizeof(i));
    }
    /* nanomsg drops answers to an asker that does not read: this one stays close behind. */
    uint32_t read = 0;
    for (uint32_t sent = 0; sent < ASKS; sent++) {
        uint32_t i = ASKS - 1 - sent, echo[2] = {i, i};
        assert_memory_equal(asks[i].data, &i, sizeof(i));
        assert_int_equal(cb_link_send_answer(ends.store, &asks[i], echo, sizeof(echo)), 0);
        assert_null(asks[i].data);
        assert_null(asks[i].header);
        while (read < sent + 1 - (sent + 1 < UNREAD_MAX ? sent + 1 : UNREAD_MAX) ||
               (sent + 1 == ASKS && read < ASKS)) {
            uint32_t id = recv_answer(&answer), echoed[2];
            assert_int_equal(answer.len, sizeof(echoed));
            memcpy(echoed, answer.data, sizeof(echoed));
            assert_int_equal(id, UINT32_C(0x7fffffff) - echoed[0]);
            assert_false(seen[echoed[0]]);
            seen[echoed[0]] = true;
            read++;
            cb_link_message_free(&answer);
        }
    }
}

static void asks_of_the_greatest_size_pass(void **state) {
    (void)state;
    char *large = calloc(1, CB_ASK_MESSAGE_MAX + 1);
    assert_non_null(large);
    struct cb_link_message ask, answer;
    send_ask(1, large, CB_ASK_MESSAGE_MAX);
    recv_ask(&ask);
    assert_int_equal(ask.len, CB_ASK_MESSAGE_MAX);
    assert_int_equal(cb_link_send_answer(ends.store, &ask, large, CB_ASK_MESSAGE_MAX), 0);
    assert_int_equal(recv_answer(&answer), 1);
    assert_int_equal(answer.len, CB_ASK_MESSAGE_MAX);
    cb_link_message_free(&answer);
    assert_int_equal(cb_link_send_ask(ends.sender, 2, large, CB_ASK_MESSAGE_MAX + 1), CB_ETOOBIG);
    free(large);
}

static void an_answer_to_a_gone_asker_is_dropped(void **state) {
    (void)state;
    struct cb_link_message ask;
    send_ask(7, "q", 1);
    recv_ask(&ask);
    cb_link_sender_destroy(&ends.sender);
    (void)cb_link_send_answer(ends.store, &ask, "a", 1);
    assert_int_equal(cb_link_sender_create(&ends.place.url, "A", 1, &ends.sender), 0);
    struct cb_link_message answer;
    send_ask(8, "q", 1);
    recv_ask(&ask);
    assert_int_equal(cb_link_send_answer(ends.store, &ask, "b", 1), 0);
    assert_int_equal(recv_answer(&answer), 8);
    assert_memory_equal(answer.data, "b", 1);
    cb_link_message_free(&answer);
}

static void the_store_may_come_later_and_again(void **state) {
    (void)state;
    cb_link_store_destroy(&ends.store);
    assert_null(ends.store);
    cb_link_sender_destroy(&ends.sender);
    assert_int_equal(cb_link_sender_create(&ends.place.url, "A", 1, &ends.sender), 0);
    assert_int_equal(cb_link_send_frame(ends.sender, "lost", 4), CB_EAGAIN);
    assert_int_equal(cb_link_send_ask(ends.sender, 1, "lost", 4), CB_EAGAIN);
    assert_false(place_readable(cb_link_frames_room_fd(ends.sender), 0));
    assert_false(place_readable(cb_link_asks_room_fd(ends.sender), 0));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cb_link_store_create(&ends.place.url, &ends.store), 0);
        send_frame(ends.sender, "later", 5);
        expect_frame(ends.store, "later", 5);
        expect_ack(ends.sender, "A-later");
        cb_link_store_destroy(&ends.store);
        /* Until the end of the connection is noticed, frames are still taken, and lost. */
        int64_t deadline = cb_clock_mono_ms() + WAIT_MS;
        while (cb_link_send_frame(ends.sender, "lost", 4) != CB_EAGAIN) {
            assert_true(cb_clock_mono_ms() < deadline);
        }
    }
}

/* What was read ahead of a lost connection must not be taken for the next one's greeting. */
static void unread_messages_do_not_outlive_their_connection(void **state) {
    (void)state;
    enum { UNREAD = 50 };
    struct cb_link_message message, asks[UNREAD];
    expect_ack(ends.sender, "A-first");
    for (uint32_t i = 0; i < UNREAD; i++) {
        send_ask(i, "q", 1);
        recv_ask(&asks[i]);
    }
    for (uint32_t i = 0; i < UNREAD; i++) {
        assert_int_equal(cb_link_send_ack(ends.store, "A-unread", 8), 0);
        (void)cb_link_send_answer(ends.store, &asks[i], "answer", 6);
    }
    /* The read of one reads the others ahead. */
    assert_true(place_readable(cb_link_acks_fd(ends.sender), WAIT_MS));
    assert_int_equal(cb_link_recv_ack(ends.sender, &message), 0);
    cb_link_message_free(&message);
    (void)recv_answer(&message);
    cb_link_message_free(&message);
    cb_link_store_destroy(&ends.store);
    int64_t begun_ms = cb_clock_mono_ms();
    while (cb_link_send_frame(ends.sender, "lost", 4) != CB_EAGAIN) {
        assert_true(cb_clock_mono_ms() - begun_ms < WAIT_MS);
    }
    assert_int_equal(cb_link_store_create(&ends.place.url, &ends.store), 0);

    bool acked = false, answered = false;
    begun_ms = cb_clock_mono_ms();
    while (!acked || !answered) {
        assert_true(cb_clock_mono_ms() - begun_ms < WAIT_MS);
        cb_link_sender_tend(ends.sender);
        assert_int_equal(cb_link_send_ack(ends.store, "A-second", 8), 0);
        (void)!cb_link_send_ask(ends.sender, 77, "q", 1);
        if (!cb_link_recv_ask(ends.store, &asks[0])) {
            (void)cb_link_send_answer(ends.store, &asks[0], "second", 6);
        }
        if (place_readable(cb_link_acks_fd(ends.sender), 5) &&
            !cb_link_recv_ack(ends.sender, &message)) {
            acked = acked || memcmp(message.data, "A-second", 8) == 0;
            cb_link_message_free(&message);
        }
        uint32_t id;
        if (place_readable(cb_link_answers_fd(ends.sender), 5) &&
            !cb_link_recv_answer(ends.sender, &id, &message)) {
            answered = answered || memcmp(message.data, "second", 6) == 0;
            cb_link_message_free(&message);
        }
    }
}

static void a_second_store_is_refused_and_harms_nothing(void **state) {
    (void)state;
    struct cb_link_store *second = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cb_link_store_create(&ends.place.url, &second), CB_EBUSY);
        assert_null(second);
    }
    /* Also when only the last of its addresses is taken. */
    struct place other;
    assert_true(place_make(PLACE_INPROC, &other));
    memcpy(other.url.asks, ends.place.url.asks, sizeof(other.url.asks));
    assert_int_equal(cb_link_store_create(&other.url, &second), CB_EBUSY);
    assert_null(second);
    send_frame(ends.sender, "still", 5);
    expect_frame(ends.store, "still", 5);
    expect_ack(ends.sender, "A-still");
}

/* ---- addresses ---- */

static void addresses_are_read_strictly(void **state) {
    (void)state;
    struct cb_link_url url;
    assert_int_equal(cb_link_url_parse("inproc://all", &url), 0);
    assert_string_equal(url.frames, "inproc://all/frames");
    assert_string_equal(url.acks, "inproc://all/acks");
    assert_string_equal(url.asks, "inproc://all/asks");
    assert_int_equal(cb_link_url_parse("ipc:///run/cb/", &url), 0);
    assert_string_equal(url.frames, "ipc:///run/cb/frames");
    assert_int_equal(cb_link_url_parse("ipc://data/link", &url), 0);
    assert_string_equal(url.asks, "ipc://data/link/asks");
    assert_int_equal(cb_link_url_parse("tcp://127.0.0.1:7000", &url), 0);
    assert_string_equal(url.frames, "tcp://127.0.0.1:7000");
    assert_string_equal(url.acks, "tcp://127.0.0.1:7001");
    assert_string_equal(url.asks, "tcp://127.0.0.1:7002");
    assert_int_equal(cb_link_url_parse("tcp://[::1]:65533", &url), 0);
    assert_string_equal(url.asks, "tcp://[::1]:65535");

    char longest[CB_LINK_URL_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "ipc:///", 7);
    longest[CB_LINK_URL_MAX - 1 - 7] = '\0'; /* room for /frames and the NUL, no more */
    assert_int_equal(cb_link_url_parse(longest, &url), 0);
    assert_int_equal(strlen(url.frames), CB_LINK_URL_MAX - 1);
    longest[CB_LINK_URL_MAX - 1 - 7] = 'a';
    longest[CB_LINK_URL_MAX - 1 - 6] = '\0';

    struct cb_link_url before = url;
    const char *bad[] = {"",
                         "inproc://",
                         "ipc://",
                         "ipc:///",
                         "ipc:/run",
                         "ws://a:1",
                         "tcp://",
                         "tcp://:7000",
                         "tcp://h",
                         "tcp://h:",
                         "tcp://h:0",
                         "tcp://h:65534",
                         "tcp://h:99999999999999999999",
                         "tcp://h:70x",
                         "tcp://h:-7",
                         "tcp://::1:7000",
                         "tcp://[]:7000",
                         "tcp://lo;h:7000",
                         "inproc://a b",
                         "inproc://a\nlevel=error",
                         "ipc:///\xff",
                         longest};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cb_link_url_parse(bad[i], &url), CB_EINVAL);
    }
    assert_int_equal(cb_link_url_parse(NULL, &url), CB_EINVAL);
    assert_memory_equal(&before, &url, sizeof(url));
}

static void hosts_have_names_too(void **state) {
    (void)state;
    struct cb_link_url url;
    char text[64];
    (void)snprintf(text, sizeof(text), "tcp://localhost:%u", place_ports());
    assert_int_equal(cb_link_url_parse(text, &url), 0);
    assert_int_equal(cb_link_store_create(&url, &ends.store), 0);
    assert_int_equal(cb_link_sender_create(&url, "A", 1, &ends.sender), 0);
    send_frame(ends.sender, "name", 4);
    expect_frame(ends.store, "name", 4);
    cb_link_sender_destroy(&ends.sender);
    cb_link_store_destroy(&ends.store);
    assert_int_equal(cb_link_url_parse("tcp://host.invalid:7000", &url), 0);
    assert_int_equal(cb_link_store_create(&url, &ends.store), CB_EINVAL);
    assert_null(ends.store);
}

static void an_ipc_folder_is_made_closed_and_must_be_ours(void **state) {
    (void)state;
    struct place place;
    struct stat st;
    struct cb_link_store *store = NULL;
    char path[128], link_path[96];
    assert_true(place_make(PLACE_IPC, &place));

    assert_int_equal(rmdir(place.folder), 0);
    mode_t mask = umask(0);
    assert_int_equal(cb_link_store_create(&place.url, &store), 0);
    umask(mask);
    assert_int_equal(lstat(place.folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    cb_link_store_destroy(&store);

    assert_int_equal(chmod(place.folder, 0750), 0);
    assert_int_equal(cb_link_store_create(&place.url, &store), CB_ESYS);
    assert_int_equal(chmod(place.folder, 0700), 0);

    (void)snprintf(link_path, sizeof(link_path), "%s-link", place.folder);
    assert_int_equal(symlink(place.folder, link_path), 0);
    struct cb_link_url linked;
    (void)snprintf(path, sizeof(path), "ipc://%s", link_path);
    assert_int_equal(cb_link_url_parse(path, &linked), 0);
    assert_int_equal(cb_link_store_create(&linked, &store), CB_ESYS);
    assert_int_equal(unlink(link_path), 0);

    (void)snprintf(path, sizeof(path), "%s/frames", place.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(cb_link_store_create(&place.url, &store), CB_ESYS);
    assert_int_equal(lstat(path, &st), 0); /* it is not ours to remove */
    assert_int_equal(unlink(path), 0);

    struct cb_link_url deep;
    (void)snprintf(path, sizeof(path), "ipc://%s/not/there", place.folder);
    assert_int_equal(cb_link_url_parse(path, &deep), 0);
    assert_int_equal(cb_link_store_create(&deep, &store), CB_ESYS);
    assert_null(store);
    place_remove(&place);
}

static void a_socket_left_behind_is_removed(void **state) {
    (void)state;
    struct place place;
    struct cb_link_store *store = NULL;
    assert_true(place_make(PLACE_IPC, &place));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/acks", place.folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(cb_link_store_create(&place.url, &store), CB_EBUSY); /* alive */
    close(fd);
    assert_int_equal(cb_link_store_create(&place.url, &store), 0);
    cb_link_store_destroy(&store);
    cb_link_store_destroy(&store);
    place_remove(&place);
}

#define OVER(transport, test)                                                                      \
    { #test " over " #transport, test, setup_##transport, teardown, NULL }
#define OVER_ALL(test) OVER(inproc, test), OVER(ipc, test), OVER(tcp, test)

int main(void) {
    const struct CMUnitTest tests[] = {
        OVER_ALL(frames_arrive_whole_and_in_order),
        OVER_ALL(acks_reach_only_their_sender),
        OVER_ALL(a_thousand_asks_are_answered_in_reverse),
        OVER_ALL(asks_of_the_greatest_size_pass),
        OVER_ALL(an_answer_to_a_gone_asker_is_dropped),
        OVER_ALL(the_store_may_come_later_and_again),
        OVER_ALL(unread_messages_do_not_outlive_their_connection),
        OVER_ALL(a_second_store_is_refused_and_harms_nothing),
        cmocka_unit_test(addresses_are_read_strictly),
        cmocka_unit_test(hosts_have_names_too),
        cmocka_unit_test(an_ipc_folder_is_made_closed_and_must_be_ours),
        cmocka_unit_test(a_socket_left_behind_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
