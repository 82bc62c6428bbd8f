/* SPDX-License-Identifier: MIT
 * base.h: a base is a checked copy of the views at a position. The journal is trimmed only behind
 * the newest one, so base + journal always give the views again. See FORMAT.md, "Bases".
 *
 * A base stands in DIR/bases/POSITION and never changes. Its file `check` holds the number of rows
 * and a checksum over all of them. It is made in bases/new and gets its name when it is whole.
 * Whoever reads bases while a store may run holds them (cb_folder_hold); the calls here do not. */
#ifndef CB_STORE_BASE_H
#define CB_STORE_BASE_H

#include <stdatomic.h>

#include "store/views.h"

struct cb_base {
    uint64_t position; /* that its views hold */
    uint64_t rows;
    uint32_t crc; /* CRC-32C over table, key and value of each row, in order */
};

/* The newest base of a data folder, as its `check` describes it. Errors: CB_ENOENT when there is
 * none, CB_ECORRUPT (a `check` that cannot be read), CB_ESYS. */
CB_MUST_USE int cb_base_newest(const char *data_dir, struct cb_base *out);
/* Where it stands: itself like a data folder, with views/ in it. Errors: CB_EINVAL (too long). */
CB_MUST_USE int cb_base_path(const char *data_dir, const struct cb_base *base, char *path,
                             size_t path_bytes);

/* Copies a snapshot of open views into a new base (unless the newest is of their position), reads
 * the copy back from disk and compares, then removes the older ones. Holds a read transaction
 * meanwhile, so the views grow by what the fold changes in that time. *stop, looked at now and
 * then, ends it early (CB_ECLOSED). Errors: CB_EFULL, CB_EIO, CB_ECORRUPT (the copy differs),
 * CB_ESYS, CB_ENOMEM; then the older ones stay.
 */
CB_MUST_USE int cb_base_make(const char *data_dir, uint64_t map_bytes, struct cb_views *views,
                             const atomic_bool *stop, struct cb_base *out);
/* Removes all bases of a data folder whose journal goes back to its first record, and needs none.
 * Errors: CB_ESYS. */
CB_MUST_USE int cb_base_drop(const char *data_dir);
/* Reads a base whole. Errors: CB_ECORRUPT when it is not what its `check` says, CB_EIO, CB_ENOMEM.
 */
CB_MUST_USE int cb_base_check(const char *data_dir, uint64_t map_bytes, const struct cb_base *base);
/* Copies the views of a base into to_dir/views, which must not be there, checking them on the way.
 * Errors as cb_base_make. */
CB_MUST_USE int cb_base_copy_views(const char *data_dir, uint64_t map_bytes,
                                   const struct cb_base *base, const char *to_dir);
/* Copies the whole base into another data folder. Errors as cb_base_make. */
CB_MUST_USE int cb_base_copy(const char *data_dir, uint64_t map_bytes, const struct cb_base *base,
                             const char *to_dir);

#endif
