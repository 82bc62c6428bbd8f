/* SPDX-License-Identifier: MIT
 * db_scrub.c: takes out of an environment's file what no row holds any more.
 *
 * LMDB never overwrites a page in use: what a commit replaces stays in the file until its page is
 * used again. And what it writes of a page beyond its rows is whatever its buffer held before. So
 * there are four places, cleaned in this order, since what is in use now may be free later:
 * - the buffers of LMDB in this process, by a transaction that fills pages and is given up;
 * - in pages in use, the gap between the list of rows and the rows, and what is behind the end of a
 *   large value: in a read transaction, since pages that it sees are written by nobody;
 * - free pages: in a write transaction, so that nobody takes one meanwhile, some at a time.
 *   A page that the commit before the newest still needs is left: two small commits come first.
 *
 * The layout of a page is that of LMDB 0.9 on disk (64 bits, little-endian), which is fixed. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "store/db_lmdb.h"

enum {
    PAGE_HEAD = 16,
    PAGE_FLAGS = 10, /* places in a page's head */
    PAGE_LOWER = 12,
    PAGE_UPPER = 14,
    PAGE_COUNT = 12, /* of the pages of a large value */
    FLAG_BRANCH = 1,
    FLAG_LEAF = 2,
    FLAG_OVERFLOW = 4,
    FLAGS_KNOWN = 0x77,
    NODE_HEAD = 8,
    NODE_LARGE = 1, /* flag: the value stands in pages of its own */
    FIRST_PAGE = 2, /* behind the two heads */
    BUFFERS = 8192, /* pages of a process that are filled: what usual commits change */
    STEP_PAGES = 2048,
    PAGE_MAX = 65536,
};

struct scrub {
    struct cb_db *db;
    size_t page_bytes, n_pages;
    int fd;
    uint8_t *free_bits; /* by page */
    uint64_t cleaned;   /* pages written */
    size_t before;      /* the commit behind which nothing is left to be taken out */
    uint8_t page[PAGE_MAX], zeros[PAGE_MAX];
};

static uint16_t u16_at(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t u64_at(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static int read_at(struct scrub *s, size_t page, size_t len) {
    ssize_t n = pread(s->fd, s->page, len, (off_t)(page * s->page_bytes));
    return n == (ssize_t)len ? 0 : CB_EIO;
}

/* Zeros where there are none yet: a page that is clean is not written again. */
static int clear(struct scrub *s, const uint8_t *have, off_t at, size_t len) {
    if (memcmp(have, s->zeros, len) == 0) {
        return 0;
    }
    s->cleaned++;
    return pwrite(s->fd, s->zeros, len, at) == (ssize_t)len ? 0
           : errno == ENOSPC                                ? CB_EFULL
                                                            : CB_EIO;
}

/* ---- small commits, and the buffers ---- */

/* A commit that changes next to nothing; *id is its number. */
static int touch(struct cb_db *db, size_t *id) {
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val key = {1, "n"}, value;
    uint64_t n = 0;
    int rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0) {
        return cb_db_translate(rc, "txn_begin");
    }
    rc = mdb_dbi_open(txn, "scrub", MDB_CREATE, &table);
    if (rc == 0 && mdb_get(txn, table, &key, &value) == 0 && value.mv_size == sizeof(n)) {
        memcpy(&n, value.mv_data, sizeof(n));
    }
    n++;
    value = (MDB_val){sizeof(n), &n};
    rc = rc == 0 ? mdb_put(txn, table, &key, &value, 0) : rc;
    if (rc != 0) {
        mdb_txn_abort(txn);
        return cb_db_translate(rc, "put");
    }
    *id = mdb_txn_id(txn);
    return cb_db_translate(mdb_txn_commit(txn), "txn_commit");
}

static int fill_buffers(struct scrub *s) {
    MDB_txn *txn;
    MDB_dbi table;
    int rc = mdb_txn_begin(s->db->env, NULL, 0, &txn);
    if (rc != 0) {
        return cb_db_translate(rc, "txn_begin");
    }
    rc = mdb_dbi_open(txn, "scrub", MDB_CREATE, &table);
    for (uint32_t i = 0; rc == 0 && i < BUFFERS; i++) {
        MDB_val key = {sizeof(i), &i}, value = {s->page_bytes - PAGE_HEAD, s->zeros};
        rc = mdb_put(txn, table, &key, &value, 0);
    }
    mdb_txn_abort(txn);
    /* Where the map has no room for so many, there are not so many to fill. */
    return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL ? 0 : cb_db_translate(rc, "put");
}

/* ---- which pages are free ---- */

struct oldest {
    size_t txn;
};

/* A line of mdb_reader_list: process, thread, transaction (or "-"). */
static int look_at_reader(const char *line, void *user) {
    struct oldest *oldest = user;
    size_t txn;
    int pid;
    if (sscanf(line, "%d %*x %zu", &pid, &txn) == 2 && txn < oldest->txn) {
        oldest->txn = txn;
    }
    return 0;
}

/* Marks the pages that are free as of txn, a read transaction; below: only those freed by commits
 * before that one. */
static int mark_free(struct scrub *s, MDB_txn *txn, size_t below) {
    MDB_cursor *cursor;
    MDB_val key, value;
    memset(s->free_bits, 0, s->n_pages / 8 + 1);
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc != 0) {
        return cb_db_translate(rc, "cursor_open");
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const uint8_t *ids = value.mv_data;
        size_t n = (size_t)u64_at(ids);
        if (u64_at(key.mv_data) >= below) {
            continue;
        }
        for (size_t i = 1; i <= n && (i + 1) * 8 <= value.mv_size; i++) {
            uint64_t page = u64_at(ids + 8 * i);
            if (page < s->n_pages) {
                s->free_bits[page / 8] |= (uint8_t)(1u << page % 8);
            }
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : cb_db_translate(rc, "cursor_get");
}

static bool is_free(const struct scrub *s, size_t page) {
    return s->free_bits[page / 8] >> page % 8 & 1;
}

/* The size of the file as a transaction begun now sees it. */
static int size_up(struct scrub *s) {
    MDB_envinfo info;
    free(s->free_bits);
    mdb_env_info(s->db->env, &info);
    s->n_pages = info.me_last_pgno + 1;
    s->free_bits = malloc(s->n_pages / 8 + 1);
    return s->free_bits ? 0 : CB_ENOMEM;
}

/* ---- pages in use ---- */

/* What is behind the end of a leaf's large values. s->page holds the leaf. */
static int clear_tails(struct scrub *s, const uint8_t *leaf, size_t lower) {
    int rc = 0;
    for (size_t at = PAGE_HEAD; rc == 0 && at + 2 <= lower; at += 2) {
        size_t node = u16_at(leaf + at);
        if (node + NODE_HEAD > s->page_bytes || !(u16_at(leaf + node + 4) & NODE_LARGE)) {
            continue;
        }
        size_t key = u16_at(leaf + node + 6);
        size_t len = u16_at(leaf + node) | (size_t)u16_at(leaf + node + 2) << 16;
        size_t end = PAGE_HEAD + len, last = (end - 1) / s->page_bytes;
        if (node + NODE_HEAD + key + 8 > s->page_bytes || end % s->page_bytes == 0) {
            continue;
        }
        size_t page = (size_t)u64_at(leaf + node + NODE_HEAD + key) + last;
        size_t from = end % s->page_bytes;
        uint8_t tail[PAGE_MAX];
        off_t place = (off_t)(page * s->page_bytes + from);
        if (page < s->n_pages && !is_free(s, page)) {
            size_t room = s->page_bytes - from;
            rc = pread(s->fd, tail, room, place) == (ssize_t)room ? clear(s, tail, place, room)
                                                                  : CB_EIO;
        }
    }
    return rc;
}

/* *pages: how many it takes. What is no page of a tree is passed over. */
static int clear_page(struct scrub *s, size_t page, size_t *pages) {
    int rc = read_at(s, page, s->page_bytes);
    unsigned flags = u16_at(s->page + PAGE_FLAGS);
    *pages = 1;
    if (rc != 0 || u64_at(s->page) != page || (flags & ~(unsigned)FLAGS_KNOWN) != 0) {
        return rc;
    }
    if (flags & FLAG_OVERFLOW) {
        uint32_t count;
        memcpy(&count, s->page + PAGE_COUNT, sizeof(count));
        *pages = count > 0 ? count : 1;
        return 0;
    }
    size_t lower = u16_at(s->page + PAGE_LOWER), upper = u16_at(s->page + PAGE_UPPER);
    if (!(flags & (FLAG_BRANCH | FLAG_LEAF)) || lower < PAGE_HEAD || upper < lower ||
        upper > s->page_bytes) {
        return 0;
    }
    rc = clear(s, s->page + lower, (off_t)(page * s->page_bytes + lower), upper - lower);
    return rc == 0 && (flags & FLAG_LEAF) ? clear_tails(s, s->page, lower) : rc;
}

static int clear_used(struct scrub *s, const atomic_bool *stop) {
    MDB_txn *txn;
    int rc = cb_db_translate(mdb_txn_begin(s->db->env, NULL, MDB_RDONLY, &txn), "txn_begin");
    if (rc != 0) {
        return rc;
    }
    rc = size_up(s);
    rc = rc == 0 ? mark_free(s, txn, SIZE_MAX) : rc;
    for (size_t page = FIRST_PAGE, n; rc == 0 && page < s->n_pages; page += n) {
        n = 1;
        if (!is_free(s, page)) {
            rc = clear_page(s, page, &n);
        }
        if (rc == 0 && stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            rc = CB_ECLOSED;
        }
    }
    mdb_txn_abort(txn);
    return rc;
}

/* ---- free pages ---- */

/* Some of them, from *page on, while nobody writes. */
static int clear_some_free(struct scrub *s, size_t *page) {
    MDB_txn *lock, *txn;
    struct oldest oldest = {SIZE_MAX};
    int rc = cb_db_translate(mdb_txn_begin(s->db->env, NULL, 0, &lock), "txn_begin");
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_translate(mdb_txn_begin(s->db->env, NULL, MDB_RDONLY, &txn), "txn_begin");
    if (rc == 0) {
        mdb_reader_list(s->db->env, look_at_reader, &oldest);
        /* A reader from before that commit may need what it freed. */
        rc = oldest.txn <= s->before ? CB_EAGAIN : size_up(s);
        rc = rc == 0 ? mark_free(s, txn, s->before + 1) : rc;
        mdb_txn_abort(txn);
    }
    for (unsigned n = 0; rc == 0 && *page < s->n_pages && n < STEP_PAGES; ++*page) {
        if (is_free(s, *page)) {
            rc = read_at(s, *page, s->page_bytes);
            rc = rc == 0 ? clear(s, s->page, (off_t)(*page * s->page_bytes), s->page_bytes) : rc;
            n++;
        }
    }
    mdb_txn_abort(lock);
    return rc;
}

static int clear_free(struct scrub *s, const atomic_bool *stop) {
    size_t page = FIRST_PAGE;
    int rc = 0;
    do {
        rc = clear_some_free(s, &page);
        if (rc == 0 && stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            rc = CB_ECLOSED;
        }
    } while (rc == 0 && page < s->n_pages);
    return rc;
}

int cb_db_scrub(struct cb_db *db, const atomic_bool *stop) {
    struct scrub *s = calloc(1, sizeof(*s));
    MDB_stat stat;
    size_t second;
    if (!s) {
        return CB_ENOMEM;
    }
    s->db = db;
    mdb_env_stat(db->env, &stat);
    s->page_bytes = stat.ms_psize;
    int rc = s->page_bytes <= PAGE_MAX ? cb_db_translate(mdb_env_get_fd(db->env, &s->fd), "get_fd")
                                       : CB_EIO;
    rc = rc == 0 ? fill_buffers(s) : rc;
    rc = rc == 0 ? touch(db, &s->before) : rc;
    rc = rc == 0 ? touch(db, &second) : rc;
    rc = rc == 0 ? clear_used(s, stop) : rc;
    rc = rc == 0 ? clear_free(s, stop) : rc;
    if (rc == 0 && fdatasync(s->fd) != 0) {
        rc = CB_EIO;
    }
    cb_log(CB_LOG_DEBUG, "scrubbed", "pages=%llu rc=%d", (unsigned long long)s->cleaned, rc);
    free(s->free_bits);
    free(s);
    return rc;
}
