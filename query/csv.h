/* SPDX-License-Identifier: MIT
 * csv.h: a report's JSON as a table: CSV by RFC 4180, with a line of titles. One way for every
 * report: what its rows are is a word in the table of routes. Pure. Any thread. */
#ifndef CB_QUERY_CSV_H
#define CB_QUERY_CSV_H

#include "proto/buf.h"

enum { CB_CSV_COLUMNS_MAX = 4096, CB_CSV_DEPTH_MAX = 16 };

/* What stands for the rows of a report in cb_csv_write. */
#define CB_CSV_PAIRS "" /* the whole report as rows of name and value */
#define CB_CSV_OBJECTS                                                                             \
    "*" /* each member that is an object is a row; the column `name` is its key */

/* Appends json, an object that this service wrote (json.h), as a table. rows: one of the two above,
 * or the names of members, with + between them: an array has a row in each item, an object of
 * objects one in each member (the column `name` is its key), any other object is one. Several
 * members, and a member `compare` that has the same ones, are told apart by a first column (`part`,
 * `span`). An object in a row becomes columns with a dot between the names, an array of plain
 * values numbered ones; another array is JSON in a cell. A text that a spreadsheet would take for a
 * formula gets a single quote before it. Without rows nothing is written.
 * Errors: CB_ETOOBIG (columns, depth, out), CB_ENOMEM, CB_EMALFORMED. */
CB_MUST_USE int cb_csv_write(struct cb_str json, const char *rows, struct cb_buf *out);

/* A member of such an object as it stands there; empty where there is none. Lives as long as json.
 */
struct cb_str cb_csv_member(struct cb_str json, struct cb_str name);

/* Appends a text as a cell: in quotes where it must be, safe from spreadsheets. Also before a
 * single quote there is put another, so that taking away the first one gives the text back in every
 * case. Errors: those of cb_buf_append. */
CB_MUST_USE int cb_csv_cell(struct cb_buf *out, struct cb_str text);

#endif
