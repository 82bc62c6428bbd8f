/* SPDX-License-Identifier: MIT
 * verify.c: two recounts of the journal against the books that the views show: received and
 * rejected from what frames say, counted through the verdicts; duplicate is the rest. A trimmed
 * journal is recounted behind the newest base, from that one's books on. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/frame.h"
#include "store/base.h"
#include "store/folder.h"
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/upkeep.h"

enum { EXPORT_SCAN = 100000, SITE_NAME_BYTES = CB_SITE_MAX + 1, PATH_BYTES = 4096 };

/* A site's books as the journal has them (behind those of the base), beside those of the views. */
struct tally {
    char name[SITE_NAME_BYTES];
    struct cb_books views, base;
    uint64_t received, events, counted, rejected[CB_REFUSAL_MAX + 1];
};

/* Who is erased at this point of the journal: by the tag of the key, or of the pseudonym. */
struct erased {
    struct tally *tally;
    uint8_t tags[2][CB_VISITOR_BYTES];
    int64_t at_ms;
};

struct verify {
    struct cb_reader *reader;
    struct erased *erased;
    size_t n_erased;
    struct tally *tallies; /* [0]: no site */
    size_t n_tallies, last;
    uint64_t end;     /* the views' position */
    uint64_t counted; /* the recount begins behind this position: 0, or the base's */
    uint64_t records, bytes, first, head;
};

int cb_upkeep_fail(int code, char **sentence, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0) {
        *sentence = NULL;
    }
    va_end(args);
    return code;
}

static struct tally *tally_of(struct verify *verify, struct cb_str site) {
    if (cb_str_is(site, verify->tallies[verify->last].name)) {
        return &verify->tallies[verify->last];
    }
    for (size_t i = 0; i < verify->n_tallies; i++) {
        if (cb_str_is(site, verify->tallies[i].name)) {
            verify->last = i;
            return &verify->tallies[i];
        }
    }
    return &verify->tallies[0]; /* a site that the views do not know is no site, as in the fold */
}

static bool add_site(void *user, struct cb_str name, const struct cb_site *site) {
    struct verify *verify = user;
    struct tally *tallies = realloc(verify->tallies, (verify->n_tallies + 1) * sizeof(*tallies));
    if (!tallies) {
        return false;
    }
    verify->tallies = tallies;
    struct tally *tally = &tallies[verify->n_tallies++];
    *tally = (struct tally){0};
    memcpy(tally->name, name.p, name.len < CB_SITE_MAX ? name.len : CB_SITE_MAX);
    tally->views.received = site->id; /* the id, until the books are read */
    return true;
}

/* The views' position, and the books at it, of one snapshot. */
static int read_books(struct verify *verify) {
    struct cb_snapshot *snapshot;
    struct cb_site nowhere = {.id = CB_SITE_ID_NONE};
    int rc = cb_snapshot_begin(verify->reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    verify->end = cb_snapshot_position(snapshot);
    if (!add_site(verify, (struct cb_str){"", 0}, &nowhere)) {
        rc = CB_ENOMEM;
    } else {
        cb_snapshot_sites(snapshot, add_site, verify);
        for (size_t i = 0; i < verify->n_tallies; i++) {
            cb_snapshot_books(snapshot, (uint32_t)verify->tallies[i].views.received,
                              &verify->tallies[i].views);
        }
    }
    cb_snapshot_end(&snapshot);
    return rc;
}

/* What the books were at the base. Sites that the views do not know are none of theirs either. */
static bool add_base(void *user, struct cb_str name, const struct cb_site *site) {
    struct verify *verify = user;
    tally_of(verify, name)->base.received = site->id; /* the id, until the books are read */
    return true;
}

static int add_erased(struct verify *verify, struct tally *tally, const uint8_t *tag,
                      const uint8_t *pseudonym, int64_t at_ms) {
    struct erased *erased = realloc(verify->erased, (verify->n_erased + 1) * sizeof(*erased));
    if (!erased) {
        return CB_ENOMEM;
    }
    verify->erased = erased;
    erased += verify->n_erased++;
    *erased = (struct erased){.tally = tally, .at_ms = at_ms};
    memcpy(erased->tags[0], tag, CB_VISITOR_BYTES);
    cb_visitor_tag(pseudonym, erased->tags[1]);
    return 0;
}

struct base_user {
    struct verify *verify;
    struct tally *tally;
};

/* Without memory the books will not balance, which is said. */
static bool add_base_erasure(void *user, const struct cb_erasure *erasure) {
    struct base_user *u = user;
    return add_erased(u->verify, u->tally, erasure->tag, erasure->pseudonym, erasure->at_ms) == 0;
}

static int read_base_books(struct verify *verify, const struct cb_opts *opts,
                           const struct cb_base *base) {
    char folder[PATH_BYTES];
    struct cb_views *views;
    struct cb_reader *reader;
    struct cb_snapshot *snapshot;
    int rc = cb_base_path(opts->data, base, folder, sizeof(folder));
    if (rc == 0) {
        rc = cb_views_open_read_only(folder, (uint64_t)opts->map, &views);
    }
    if (rc != 0) {
        return rc;
    }
    rc = cb_reader_of(views, NULL, &reader);
    if (rc != 0) {
        goto err_after_views;
    }
    rc = cb_snapshot_begin(reader, &snapshot);
    if (rc != 0) {
        goto err_after_reader;
    }
    cb_snapshot_sites(snapshot, add_base, verify);
    for (size_t i = 0; i < verify->n_tallies; i++) {
        struct tally *tally = &verify->tallies[i];
        /* Nowhere has no row among the sites; any other without one is younger than the base. */
        uint32_t site = (uint32_t)tally->base.received;
        tally->base = (struct cb_books){0};
        if (i == 0 || site != CB_SITE_ID_NONE) {
            cb_snapshot_books(snapshot, site, &tally->base);
        }
        if (site != CB_SITE_ID_NONE) {
            struct base_user user = {verify, tally};
            cb_snapshot_erasures(snapshot, site, add_base_erasure, &user);
        }
    }
    cb_snapshot_end(&snapshot);
err_after_reader:
    cb_reader_close(&reader);
err_after_views:
    cb_views_close(&views);
    return rc;
}

/* The newest base must be sound, and there where the journal needs it. */
static int read_base(struct verify *verify, const struct cb_opts *opts, FILE *out,
                     char **sentence) {
    struct cb_base base = {0};
    int rc = cb_base_newest(opts->data, &base);
    if (rc == CB_ENOENT && verify->first == 1) {
        return 0;
    }
    if (rc == CB_ENOENT || (rc == 0 && base.position + 1 < verify->first)) {
        return cb_upkeep_fail(CB_ECORRUPT, sentence,
                              "the journal begins at position %" PRIu64
                              ", and no base covers what is gone",
                              verify->first);
    }
    if (rc == 0) {
        rc = cb_base_check(opts->data, (uint64_t)opts->map, &base);
    }
    if (rc != 0) {
        return cb_upkeep_fail(rc, sentence, "the base at position %" PRIu64 " is not sound: %s",
                              base.position, cb_err_text(rc));
    }
    fprintf(out, "base: position %" PRIu64 ", %" PRIu64 " rows, its checksum is right\n",
            base.position, base.rows);
    if (verify->first > 1) {
        verify->counted = base.position;
        rc = read_base_books(verify, opts, &base);
    }
    return rc;
}

static bool is_erased(const struct verify *verify, const struct tally *tally,
                      const uint8_t tag[CB_VISITOR_BYTES], int64_t now_ms) {
    for (size_t i = 0; i < verify->n_erased; i++) {
        const struct erased *erased = &verify->erased[i];
        if (erased->tally == tally && now_ms < erased->at_ms + CB_ERASED_DAYS * INT64_C(86400000) &&
            (memcmp(erased->tags[0], tag, CB_VISITOR_BYTES) == 0 ||
             memcmp(erased->tags[1], tag, CB_VISITOR_BYTES) == 0)) {
            return true;
        }
    }
    return false;
}

/* An erasure that asks for what is erased already changes nothing, as in the fold. */
static int note_erasure(struct verify *verify, const struct cb_frame *frame, int64_t now_ms) {
    struct cb_control control;
    int rc = cb_control_decode(frame->body, &control);
    if (rc != 0 || control.op != CB_CONTROL_ERASE) {
        return rc;
    }
    struct tally *tally = tally_of(verify, control.site);
    return tally == &verify->tallies[0] || is_erased(verify, tally, control.tag, now_ms)
               ? 0
               : add_erased(verify, tally, control.tag, control.pseudonym, now_ms);
}

static void tally_frame(struct verify *verify, const struct cb_frame *frame, int64_t now_ms) {
    for (uint32_t i = 0; i < frame->n_sites; i++) {
        tally_of(verify, frame->sites[i].name)->received += frame->sites[i].received;
    }
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    cb_frame_walk_init(&walk, frame);
    for (enum cb_frame_item item;
         (item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END;) {
        if (item == CB_ITEM_REJECT) {
            unsigned slot = reject.refusal <= CB_REFUSAL_MAX ? reject.refusal : CB_REFUSAL_MAX;
            tally_of(verify, reject.site)->rejected[slot] += reject.n;
            continue;
        }
        struct tally *tally = tally_of(verify, envelope.site);
        if (envelope.has_visitor && verify->n_erased > 0) {
            uint8_t tag[CB_VISITOR_BYTES];
            cb_visitor_tag(envelope.visitor, tag);
            if (is_erased(verify, tally, tag, now_ms)) {
                tally->rejected[CB_REFUSE_ERASED] += envelope.n_events;
                continue;
            }
        }
        tally->events += envelope.n_events;
        if (tally == &verify->tallies[0]) {
            tally->rejected[CB_REFUSE_SITE_UNKNOWN] += envelope.n_events;
        }
    }
}

/* Every record to the end of the journal: also those that the views do not hold yet must be sound.
 */
static int read_journal(struct verify *verify, struct cb_journal *journal, char **sentence) {
    struct cb_journal_reader *reader;
    struct cb_frame *frame = malloc(sizeof(*frame));
    if (!frame) {
        return CB_ENOMEM;
    }
    int rc = cb_journal_reader_open(journal, verify->first, &reader);
    if (rc == 0) {
        struct cb_journal_record record;
        while ((rc = cb_journal_reader_next(reader, &record)) == 0) {
            verify->records++;
            verify->bytes += record.frame.len;
            verify->head = record.position;
            rc = cb_frame_decode(record.frame.p, record.frame.len, frame);
            if (rc != 0) {
                break;
            }
            if (frame->kind == CB_FRAME_BEACONS && record.position > verify->counted &&
                record.position <= verify->end) {
                tally_frame(verify, frame, record.journal_ms);
            }
            if (frame->kind == CB_FRAME_CONTROL && record.position > verify->counted) {
                rc = note_erasure(verify, frame, record.journal_ms);
                if (rc != 0) {
                    break;
                }
            }
        }
        cb_journal_reader_close(&reader);
    }
    free(frame);
    if (rc != CB_ENOENT) {
        return cb_upkeep_fail(CB_ECORRUPT, sentence,
                              "the journal is damaged behind position %" PRIu64 ": %s",
                              verify->head, cb_err_text(rc));
    }
    return 0;
}

static bool count_row(void *user, const struct cb_export_row *row) {
    tally_of(user, row->envelope->site)->counted++;
    return true;
}

static int recount(struct verify *verify) {
    struct cb_export_cursor cursor = {verify->counted + 1, 0};
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        struct cb_snapshot *snapshot;
        rc = cb_snapshot_begin(verify->reader, &snapshot);
        if (rc == 0) {
            rc = cb_snapshot_export(snapshot, NULL, &cursor, verify->end, EXPORT_SCAN, count_row,
                                    verify, &more);
            cb_snapshot_end(&snapshot);
        }
    }
    return rc;
}

/* Puts the base's books under what was counted behind it. */
static void add_base_books(struct tally *tally) {
    tally->received += tally->base.received;
    tally->counted += tally->base.counted;
    tally->events += tally->base.counted + tally->base.duplicate;
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++) {
        tally->rejected[i] += tally->base.rejected[i];
    }
}

/* Prints a site's line; false when journal and views disagree, or the books do not balance. */
static bool report(const struct tally *tally, FILE *out) {
    uint64_t rejected = 0, views_rejected = 0;
    bool same = true;
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++) {
        rejected += tally->rejected[i];
        views_rejected += tally->views.rejected[i];
        same &= tally->rejected[i] == tally->views.rejected[i];
    }
    /* Events of no site are refused as a whole; all others were counted or are duplicates. */
    uint64_t counted = tally->name[0] != '\0' ? tally->counted : 0;
    uint64_t duplicate = tally->name[0] != '\0' ? tally->events - tally->counted : 0;
    same &= tally->received == tally->views.received && counted == tally->views.counted &&
            duplicate == tally->views.duplicate;
    bool balanced = tally->received == counted + duplicate + rejected;
    fprintf(out,
            "%s: received %" PRIu64 ", counted %" PRIu64 ", duplicate %" PRIu64
            ", rejected %" PRIu64 ": %s\n",
            tally->name[0] != '\0' ? tally->name : "(no site)", tally->received, counted, duplicate,
            rejected,
            !same      ? "the views say otherwise"
            : balanced ? "balanced, as the views say"
                       : "NOT balanced");
    if (!same) {
        fprintf(out,
                "  views: received %" PRIu64 ", counted %" PRIu64 ", duplicate %" PRIu64
                ", rejected %" PRIu64 "\n",
                tally->views.received, tally->views.counted, tally->views.duplicate,
                views_rejected);
    }
    return same && balanced;
}

int cb_verify(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct verify verify = {0};
    int hold_fd;
    int rc = cb_reader_open(opts->data, (uint64_t)opts->map, 0, &verify.reader, sentence);
    if (rc != 0) {
        return rc;
    }
    rc = cb_folder_hold(opts->data, false, &hold_fd);
    if (rc != 0) {
        cb_reader_close(&verify.reader);
        return cb_upkeep_fail(rc, sentence, "cannot hold %s: %s", opts->data, cb_err_text(rc));
    }
    rc = read_books(&verify);
    if (rc == 0) {
        rc = cb_journal_oldest(cb_reader_journal(verify.reader), &verify.first);
    }
    if (rc == 0) {
        rc = read_base(&verify, opts, out, sentence);
    }
    if (rc == 0) {
        rc = read_journal(&verify, cb_reader_journal(verify.reader), sentence);
    }
    if (rc == 0 && verify.head < verify.end) {
        rc = cb_upkeep_fail(CB_ECORRUPT, sentence,
                            "the views hold position %" PRIu64 ", the journal ends at %" PRIu64,
                            verify.end, verify.head);
    }
    if (rc == 0) {
        fprintf(out,
                "journal: %" PRIu64 " records from position %" PRIu64 " on, %" PRIu64
                " bytes, every checksum and frame is sound\n",
                verify.records, verify.first, verify.bytes);
        fprintf(out, "views: position %" PRIu64 " of %" PRIu64 "\n", verify.end, verify.head);
        rc = recount(&verify);
    }
    bool sound = true;
    for (size_t i = 0; rc == 0 && i < verify.n_tallies; i++) {
        add_base_books(&verify.tallies[i]);
        sound &= report(&verify.tallies[i], out);
    }
    if (rc == 0 && !sound) {
        rc = cb_upkeep_fail(
            CB_ECORRUPT, sentence,
            "the books do not follow from the journal; stop the store and run chatbeacon rebuild");
    }
    free(verify.tallies);
    free(verify.erased);
    close(hold_fd);
    cb_reader_close(&verify.reader);
    if (rc != 0 && !*sentence) {
        rc = cb_upkeep_fail(rc, sentence, "cannot verify %s: %s", opts->data, cb_err_text(rc));
    }
    return rc;
}
