/* SPDX-License-Identifier: MIT
 * db_lmdb.h: what the two files that know LMDB share: db.c and db_scrub.c. */
#ifndef CB_STORE_DB_LMDB_H
#define CB_STORE_DB_LMDB_H

#include <lmdb.h>

#include "store/db.h"

struct cb_db {
    MDB_env *env;
};

/* LMDB's codes as ours; all but "not found" are logged. */
CB_MUST_USE int cb_db_translate(int code, const char *call);

#endif
