/* SPDX-License-Identifier: MIT
 * crash.h: named places where a test makes the process kill itself.
 *
 * A build with CB_CRASH_POINTS (the preset `check`, never a release) reads the environment once:
 * CHATBEACON_CRASH=NAME[:N] ends the process with SIGKILL at the N-th pass (the first, unless
 * told) of the point called NAME, counted over all threads. SIGKILL, because nothing may be
 * tidied up: what is not on disk then is gone. Without CB_CRASH_POINTS a point is no code at all.
 *
 * The points, in the order of an event's way (tests/crash uses each):
 *   ingest_before_send     events gathered in an open frame, nothing sent
 *   ingest_after_send      the frame is with nanomsg
 *   ingest_before_answer   the ack is here, no request of the frame is answered
 *   journal_in_batch       some frames of a batch are appended, not committed
 *   journal_before_commit  all of them are
 *   journal_before_ack     committed, not acked
 *   journal_after_ack      acked
 *   journal_in_trim        some records at the front are deleted, not committed
 *   journal_after_trim     they are gone
 *   base_before_check      the views are copied, the file that says that the copy is whole is not
 *   base_before_prune      a new base is whole, the one before it still there
 *   eraser_before_rewrite  an erasure is noted, a base stands behind it, no record is rewritten
 *   eraser_between         some are
 *   eraser_before_scrub    all are, freed pages still hold what they were
 *   eraser_before_tell     nothing on disk holds it any more, the journal does not say so
 *   eraser_before_unmark   it does, the file `erasing` is still there
 *   fold_in_batch          a record is folded in memory
 *   views_before_commit    the rows are written, not committed
 *   fold_before_drop       committed, the overlay still holds what was folded
 *   recovery_in_catch_up   at start: the tail is folded, not committed
 *   bootstrap_after_token  a new folder has its token's file, the journal has not
 *   query_in_report        a report is made, its snapshot is open, nothing is answered */
#ifndef CB_PROTO_CRASH_H
#define CB_PROTO_CRASH_H

#ifdef CB_CRASH_POINTS
/* Any thread. Returns unless it is this point's turn. */
void cb_crash_pass(const char *name);
#define cb_crash_point(name) cb_crash_pass(name)
#else
#define cb_crash_point(name) ((void)0)
#endif

#endif
