/* SPDX-License-Identifier: MIT */
#include "tests/power/oracle.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/control.h"
#include "proto/frame.h"
#include "store/base.h"
#include "store/fold.h"
#include "store/folder.h"
#include "store/journal.h"
#include "store/upkeep.h"
#include "tests/power/power.h"
#include "tests/power/recount.h"

enum { DIGEST_BYTES = 32, SENDERS_MAX = 16, WINDOW = 64, AFTER = 6, PATH_BYTES = 4096 };

struct sent {
    struct cb_str frame;
    int64_t journal_ms;
    uint64_t sender, number;
    uint8_t views[DIGEST_BYTES]; /* of the views once this frame is folded */
};

struct oracle {
    struct sent *sent; /* by position; 0: the fresh folder */
    uint64_t n_sent;
};

/* A store at rest on the folder, as store.c opens it. */
struct store {
    const char *dir;
    int lock_fd;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
};

struct verdict {
    char *sentence;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct verdict *verdict, const char *format,
                                                       ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->sentence, verdict->len, format, args);
    va_end(args);
    return false;
}

static void close_store(struct store *store) {
    cb_fold_destroy(&store->fold);
    cb_overlay_destroy(&store->overlay);
    cb_views_close(&store->views);
    cb_journal_close(&store->journal);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    store->lock_fd = -1;
}

static int views_position(struct store *store, uint64_t *position) {
    struct cb_db_txn *txn;
    int rc = cb_db_begin(cb_views_db(store->views), false, &txn);
    if (rc == 0) {
        rc = cb_views_position(store->views, txn, position);
        cb_db_abort(&txn);
    }
    return rc;
}

static bool open_store(struct store *store, const char *dir, struct verdict *verdict) {
    char *text = NULL;
    *store = (struct store){.dir = dir, .lock_fd = -1};
    int rc = cb_folder_open(dir, &store->lock_fd, &text);
    if (rc != 0) {
        fail(verdict, "the folder does not open: %s", text ? text : cb_err_text(rc));
        free(text);
        store->lock_fd = -1;
        return false;
    }
    rc = cb_journal_open(dir, POWER_MAP_BYTES, &store->journal);
    if (rc != 0) {
        return fail(verdict, "the journal does not open: %s", cb_err_text(rc));
    }
    const struct cb_opts opts = {.data = dir, .map = POWER_MAP_BYTES};
    rc = cb_views_renew(&opts, store->journal, &text);
    if (rc != 0) {
        fail(verdict, "the views cannot be made anew: %s", text ? text : cb_err_text(rc));
        free(text);
        return false;
    }
    rc = cb_views_open(dir, POWER_MAP_BYTES, &store->views);
    if (rc != 0) {
        return fail(verdict, "the views do not open: %s", cb_err_text(rc));
    }
    uint64_t position = 0;
    rc = views_position(store, &position);
    if (rc != 0 || position > cb_journal_head(store->journal)) {
        return fail(verdict, "the views are at %llu, ahead of the journal at %llu",
                    (unsigned long long)position,
                    (unsigned long long)cb_journal_head(store->journal));
    }
    rc = cb_overlay_create(1 << 20, &store->overlay);
    if (rc == 0) {
        rc = cb_fold_create(store->journal, store->views, store->overlay, &store->fold);
    }
    return rc == 0 || fail(verdict, "the fold does not catch up: %s", cb_err_text(rc));
}

/* ---- what must be there ---- */

static int digest_table(struct cb_db_txn *txn, unsigned table, crypto_generichash_state *state) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc = cb_db_cursor_open(txn, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value);
    for (; rc == 0; rc = cb_db_next(cursor, &key, &value)) {
        uint64_t lens[2] = {key.len, value.len};
        crypto_generichash_update(state, (const unsigned char *)lens, sizeof(lens));
        crypto_generichash_update(state, (const unsigned char *)key.p, key.len);
        crypto_generichash_update(state, (const unsigned char *)value.p, value.len);
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Of every row of every table, but for `meta`: that is about the fold, and its position is looked
 * at by itself. */
static int digest_views(struct cb_views *views, uint8_t digest[DIGEST_BYTES]) {
    struct cb_db_txn *txn;
    crypto_generichash_state state;
    int rc = cb_db_begin(cb_views_db(views), false, &txn);
    if (rc != 0) {
        return rc;
    }
    crypto_generichash_init(&state, NULL, 0, DIGEST_BYTES);
    for (unsigned i = 0; rc == 0 && i < CB_TABLE_COUNT; i++) {
        uint8_t number = (uint8_t)i;
        if (i == CB_TABLE_META) {
            continue;
        }
        crypto_generichash_update(&state, &number, 1);
        rc = digest_table(txn, cb_views_table(views, (enum cb_table)i), &state);
    }
    cb_db_abort(&txn);
    crypto_generichash_final(&state, digest, DIGEST_BYTES);
    return rc;
}

/* What the journal lacks at its front is held by a base, which is sound. */
static bool check_base(struct store *store, struct verdict *verdict) {
    struct cb_base base = {0};
    uint64_t first = cb_journal_first(store->journal);
    int rc = cb_base_newest(store->dir, &base);
    if (rc == CB_ENOENT && first == 1) {
        return true;
    }
    if (rc != 0 || base.position + 1 < first) {
        return fail(verdict, "the journal begins at %llu, the newest base is at %llu: %s",
                    (unsigned long long)first, (unsigned long long)base.position, cb_err_text(rc));
    }
    rc = cb_base_check(store->dir, POWER_MAP_BYTES, &base);
    return rc == 0 || fail(verdict, "the base at %llu is damaged: %s",
                           (unsigned long long)base.position, cb_err_text(rc));
}

/* Every record from the first that is kept on is the frame that was sent there, up to and with
 * head. */
static bool check_journal(const struct oracle *oracle, struct store *store, uint64_t head,
                          struct verdict *verdict) {
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    uint64_t position = cb_journal_first(store->journal) - 1;
    if (cb_journal_reader_open(store->journal, position + 1, &reader) != 0) {
        return fail(verdict, "the journal cannot be read");
    }
    bool good = true;
    int rc;
    while (good && (rc = cb_journal_reader_next(reader, &record)) == 0) {
        position++;
        if (position > head) {
            break;
        }
        if (!cb_str_eq(record.frame, oracle->sent[position].frame)) {
            good = fail(verdict, "record %llu is not what was sent", (unsigned long long)position);
        }
    }
    cb_journal_reader_close(&reader);
    if (good && rc != CB_ENOENT && position <= head) {
        return fail(verdict, "behind record %llu: %s", (unsigned long long)position,
                    cb_err_text(rc));
    }
    return good &&
           (position >= head || fail(verdict, "the journal ends at %llu, not at %llu",
                                     (unsigned long long)position, (unsigned long long)head));
}

/* A frame sent again is known, the next one is not. */
static bool check_senders(const struct oracle *oracle, struct store *store, uint64_t head,
                          struct verdict *verdict) {
    uint64_t highest[SENDERS_MAX] = {0};
    for (uint64_t i = 1; i <= head; i++) {
        uint64_t sender = oracle->sent[i].sender - POWER_SENDER;
        if (sender < SENDERS_MAX) {
            highest[sender] = oracle->sent[i].number;
        }
    }
    if (cb_journal_begin(store->journal) != 0) {
        return fail(verdict, "the journal takes no batch");
    }
    bool good = true;
    for (uint64_t i = 0; good && i < SENDERS_MAX; i++) {
        uint64_t first = highest[i] > WINDOW ? highest[i] - WINDOW + 1 : 1;
        for (uint64_t n = first; good && n <= highest[i]; n++) {
            if (cb_journal_admit(store->journal, POWER_SENDER + i, n) != CB_EBUSY) {
                good = fail(verdict, "frame %llu of sender %llu is forgotten",
                            (unsigned long long)n, (unsigned long long)i);
            }
        }
        if (good && cb_journal_admit(store->journal, POWER_SENDER + i, highest[i] + 1) != 0) {
            good = fail(verdict, "frame %llu of sender %llu is known before it came",
                        (unsigned long long)highest[i] + 1, (unsigned long long)i);
        }
    }
    cb_journal_abort(store->journal);
    return good;
}

/* The admin token's file opens what the journal's first frame says. */
static bool check_token(const struct oracle *oracle, struct store *store, struct verdict *verdict) {
    char path[PATH_BYTES], text[128] = "";
    uint8_t hash[CB_TOKEN_HASH_BYTES];
    struct cb_frame *frame = malloc(sizeof(*frame));
    struct cb_control control = {.op = CB_CONTROL_SITE};
    snprintf(path, sizeof(path), "%s/admin-token", store->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    bool good = frame && len > 1 && text[len - 1] == '\n' &&
                cb_frame_decode(oracle->sent[1].frame.p, oracle->sent[1].frame.len, frame) == 0 &&
                cb_control_decode(frame->body, &control) == 0;
    if (good) {
        crypto_generichash(hash, sizeof(hash), (const unsigned char *)text, (size_t)len - 1, NULL,
                           0);
        good = control.op == CB_CONTROL_TOKEN && memcmp(hash, control.token, sizeof(hash)) == 0;
    }
    free(frame);
    return good || fail(verdict, "admin-token does not hold the journal's token");
}

/* Takes frames of another sender, and finds them at the next start. */
static bool go_on(const struct oracle *oracle, struct store *store, uint64_t head,
                  struct verdict *verdict) {
    struct cb_frame_builder *builder = malloc(sizeof(*builder));
    struct cb_buf frame;
    uint64_t position = 0;
    int rc = builder ? 0 : CB_ENOMEM;
    for (uint64_t i = 1; rc == 0 && i <= AFTER; i++) {
        cb_frame_builder_init(builder);
        cb_buf_init(&frame, CB_FRAME_MAX);
        struct cb_reject reject = {.refusal = CB_REFUSE_BAD_JSON, .n = i};
        rc = cb_frame_builder_reject(builder, &reject);
        rc = rc == 0 ? cb_frame_builder_seal(builder, POWER_SENDER_AFTER, i, &frame) : rc;
        rc = rc == 0 ? cb_journal_begin(store->journal) : rc;
        rc = rc == 0 ? cb_journal_admit(store->journal, POWER_SENDER_AFTER, i) : rc;
        struct cb_str bytes = {frame.data, frame.len};
        rc = rc == 0 ? cb_journal_append(store->journal, bytes, &position) : rc;
        rc = rc == 0 ? cb_journal_commit(store->journal) : rc;
        rc = rc == 0 && i % 2 == 0 ? cb_fold_catch_up(store->fold) : rc;
        cb_buf_fini(&frame);
        cb_frame_builder_fini(builder);
    }
    free(builder);
    if (rc != 0 || position != head + AFTER) {
        return fail(verdict, "takes no frame after the crash: %s", cb_err_text(rc));
    }
    close_store(store);
    if (!open_store(store, store->dir, verdict)) {
        return false;
    }
    uint64_t views = 0;
    if (cb_journal_head(store->journal) != head + AFTER || views_position(store, &views) != 0 ||
        views != head + AFTER) {
        return fail(verdict, "what came after the crash is not there at the next start");
    }
    return check_journal(oracle, store, head, verdict) &&
           check_senders(oracle, store, head, verdict);
}

static bool check_store(const struct oracle *oracle, struct store *store,
                        const struct oracle_due *due, struct verdict *verdict) {
    uint64_t head = cb_journal_head(store->journal);
    if (head < due->acked) {
        return fail(verdict, "acked up to %llu, but the journal ends at %llu",
                    (unsigned long long)due->acked, (unsigned long long)head);
    }
    if (head > due->noted) {
        return fail(verdict, "the journal ends at %llu, but only %llu were sent",
                    (unsigned long long)head, (unsigned long long)due->noted);
    }
    if (!check_journal(oracle, store, head, verdict) || !check_base(store, verdict) ||
        !check_senders(oracle, store, head, verdict)) {
        return false;
    }
    uint8_t digest[DIGEST_BYTES];
    uint64_t position = 0;
    if (views_position(store, &position) != 0 || position != head) {
        return fail(verdict, "the views stay at %llu, the journal is at %llu",
                    (unsigned long long)position, (unsigned long long)head);
    }
    if (digest_views(store->views, digest) != 0 ||
        memcmp(digest, oracle->sent[head].views, DIGEST_BYTES) != 0) {
        return fail(verdict, "the views are not those of the journal's %llu frames",
                    (unsigned long long)head);
    }
    if (head > 0) {
        return check_token(oracle, store, verdict) &&
               (!due->go_on || go_on(oracle, store, head, verdict));
    }
    uint8_t hash[CB_TOKEN_HASH_BYTES];
    char *text = NULL;
    int rc = cb_folder_make_token(store->dir, hash, &text);
    free(text);
    return (rc == 0 || fail(verdict, "no token can be made: %s", cb_err_text(rc))) &&
           go_on(oracle, store, head, verdict);
}

bool oracle_check(const struct oracle *oracle, const char *data_dir, const struct oracle_due *due,
                  char *sentence, size_t len) {
    struct store store;
    struct verdict verdict = {sentence, len};
    if (due->without_views) {
        char path[PATH_BYTES];
        snprintf(path, sizeof(path), "%s/views", data_dir);
        cb_db_remove(path);
    }
    bool good =
        open_store(&store, data_dir, &verdict) && check_store(oracle, &store, due, &verdict);
    close_store(&store);
    return good;
}

/* ---- learning ---- */

static bool learn_frames(struct oracle *oracle, const struct disk *disk) {
    uint64_t timed = 0;
    for (uint32_t i = 0; i < disk_n_steps(disk); i++) {
        const struct disk_step *step = disk_step(disk, i);
        if (step->kind == DISK_TIME) {
            for (; timed < step->offset && timed < oracle->n_sent; timed++) {
                memcpy(&oracle->sent[timed + 1].journal_ms, step->data.p, sizeof(int64_t));
            }
        }
        if (step->kind != DISK_FRAME) {
            continue;
        }
        struct sent *grown = realloc(oracle->sent, (step->offset + 1) * sizeof(*grown));
        if (!grown || step->offset != oracle->n_sent + 1) {
            return false;
        }
        oracle->sent = grown;
        struct sent *sent = &grown[step->offset];
        *sent = (struct sent){.frame = step->data};
        if (cb_frame_peek(step->data.p, step->data.len, &sent->sender, &sent->number) != 0) {
            return false;
        }
        oracle->n_sent = step->offset;
    }
    return oracle->n_sent > 0;
}

/* Folds what was noted, frame by frame, into fresh views. */
static bool learn_views(struct oracle *oracle, const char *scratch, struct verdict *verdict) {
    struct cb_views *views = NULL;
    struct recount *recount = recount_create();
    int rc = recount ? 0 : CB_ENOMEM;
    rc = rc == 0 ? cb_views_open(scratch, POWER_MAP_BYTES, &views) : rc;
    rc = rc == 0 ? digest_views(views, oracle->sent[0].views) : rc;
    bool good = rc == 0;
    for (uint64_t position = 1; good && position <= oracle->n_sent; position++) {
        struct sent *sent = &oracle->sent[position];
        const struct cb_journal_record record = {
            .position = position, .journal_ms = sent->journal_ms, .frame = sent->frame};
        uint64_t n_events = 0;
        rc = cb_views_begin(views);
        rc = rc == 0 ? cb_fold_record(views, &record, &n_events) : rc;
        rc = rc == 0 ? cb_views_commit(views, position) : rc;
        rc = rc == 0 ? digest_views(views, sent->views) : rc;
        recount_add(recount, sent->frame);
        good = rc == 0 && recount_equals(recount, views, verdict->sentence, verdict->len);
    }
    if (rc != 0) {
        good = fail(verdict, "%s", cb_err_text(rc));
    }
    cb_views_close(&views);
    recount_destroy(&recount);
    return good;
}

struct oracle *oracle_create(const struct disk *disk, const char *scratch) {
    char sentence[256] = "the log holds no frames";
    struct verdict verdict = {sentence, sizeof(sentence)};
    struct oracle *oracle = calloc(1, sizeof(*oracle));
    if (oracle) {
        oracle->sent = calloc(1, sizeof(*oracle->sent));
    }
    if (!oracle || !oracle->sent || !learn_frames(oracle, disk) ||
        !learn_views(oracle, scratch, &verdict)) {
        fprintf(stderr, "power: no reference: %s\n", sentence);
        return NULL;
    }
    return oracle;
}
