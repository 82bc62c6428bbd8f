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
/* Syncs the entries of a folder. */
CB_MUST_USE int cb_folder_sync(const char *path);

/* Makes a random token of 256 bits, writes its text to DIR/admin-token (0600, fsynced), and gives
 * its hash. */
CB_MUST_USE int cb_folder_make_token(const char *data_dir, uint8_t hash[CB_TOKEN_HASH_BYTES],
                                     char **sentence);

#endif
