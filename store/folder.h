/* SPDX-License-Identifier: MIT
 * folder.h: the data folder: made, locked, its format version checked; and the admin token's file.
 */
#ifndef CB_STORE_FOLDER_H
#define CB_STORE_FOLDER_H

#include "proto/buf.h"
#include "proto/control.h"

enum { CB_FORMAT_VERSION = 1 };

/* Makes the folder when it is not there (0700, fsynced with its parent), takes its lock (DIR/lock),
 * and checks or writes DIR/format. *lock_fd holds the lock until it is closed. *sentence (heap,
 * caller frees) says what is wrong. Errors: CB_EBUSY (locked by another process), CB_EVERSION,
 * CB_ECORRUPT, CB_ESYS, CB_EIO, CB_EINVAL. */
CB_MUST_USE int cb_folder_open(const char *data_dir, int *lock_fd, char **sentence);

/* Checks DIR/format of a folder that is only read. option names it in *sentence. */
CB_MUST_USE int cb_folder_check_format(const char *data_dir, const char *option, char **sentence);
CB_MUST_USE int cb_folder_write_format(const char *data_dir);
/* Holds the journal's front and the bases as they are while somebody reads them (a lock on
 * DIR/format, kept by *fd until it is closed). alone: to change them; does not wait. Errors:
 * CB_EBUSY (alone only: somebody reads), CB_ENOENT (no data folder), CB_ESYS. */
CB_MUST_USE int cb_folder_hold(const char *data_dir, bool alone, int *fd);
/* Writes a whole file so that it is there in full or not at all, also after a power cut. Errors:
 * CB_ESYS, CB_EIO, CB_EINVAL. */
CB_MUST_USE int cb_folder_write_file(const char *data_dir, const char *name, const char *text);
/* Syncs the entries of a folder. */
CB_MUST_USE int cb_folder_sync(const char *path);

/* Makes a random token of 256 bits, writes its text to DIR/admin-token (0600, fsynced), and gives
 * its hash. */
CB_MUST_USE int cb_folder_make_token(const char *data_dir, uint8_t hash[CB_TOKEN_HASH_BYTES],
                                     char **sentence);

#endif
