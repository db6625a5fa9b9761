/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What must outlive the daemon and is more than a file: one SQLite database in
 * the state directory, behind a thread of its own, since a disk may take its
 * time and the loop may not.
 *
 * Work is handed over as jobs. The thread takes all that wait, runs them one
 * after the other within one transaction, and commits once: a single fsync for
 * the whole group. Only then the answers go back to the loop. So an answer
 * without an error means that it is on disk, and survives kill -9 and the power.
 *
 * Neither the thread nor the file is there before the first job, or before
 * store_start() finds a file of an earlier life.
 *
 * A database that is damaged is set aside under another name, never deleted,
 * and a new one is begun: the heartbeats, the secrets and the calls of all
 * workspaces weigh more than a journal which nobody can read. One that a newer
 * daemon has written is left alone, and every job is answered so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "base/metrics.h"
#include "io/loop.h"

#define STORE_FILE "agentd.db"
#define STORE_QUEUE_MAX 4096    /* jobs without an answer: seconds of the slowest disk */
#define STORE_BATCH_MAX 256     /* jobs a commit: their answers are one turn of the loop */
#define STORE_STATEMENTS_MAX 64 /* different statements, kept prepared */
#define STORE_STOP_MS 5000      /* what store_free() waits for at most */

struct sqlite3;
struct sqlite3_stmt;
struct store;
struct store_job;

/*
 * On the store's thread, within the transaction: touches the job and the
 * database, and nothing else. Returns 0, or -errno with err: what it has changed
 * is then undone, and what the others of its group have changed stays.
 */
typedef int (*store_run_fn)(struct store_job *job, struct sqlite3 *db, struct error *err);
/*
 * In the loop, in the order of submission: err is NULL when the group is on disk,
 * else why this job, or all of its group, is not. The job may be freed here, or
 * submitted again.
 */
typedef void (*store_done_fn)(struct store_job *job, const struct error *err);

/* Begins zeroed but for the first four; lives in what belongs to its owner. */
struct store_job {
	store_run_fn run;
	store_done_fn on_done;
	void (*free)(struct store_job *job); /* for one that is abandoned; in the loop */
	bool wipes; /* what it deletes is gone from the files, too, when it is answered */

	/* The store's. */
	struct list node;
	struct store *store; /* NULL: not submitted */
	bool abandoned;
	struct error err;
};

struct store_events {
	/* What is wrong with the store has changed; NULL: nothing is any more. */
	void (*on_health)(void *data, const struct error *err);
	/* A database was damaged; that is where it is now. */
	void (*on_set_aside)(void *data, const char *name);
};

/*
 * path is that of state_dirfd, which is borrowed: SQLite takes no descriptors.
 * migrations: scripts, ended by NULL; a database at version n (PRAGMA
 * user_version) has been through the first n. Each runs in a transaction of its
 * own. Opens nothing.
 */
int store_new(struct loop *loop, int state_dirfd, const char *path, const char *const *migrations,
	      struct store **ret, struct error *err);
/*
 * Finishes what is queued, with its callbacks but no events; nothing can be
 * submitted any more. A disk that does not answer within STORE_STOP_MS is left to
 * itself, with the jobs that wait for it. Not from a callback.
 */
void store_free(struct store *store);

/* events and data are borrowed. */
void store_listen(struct store *store, const struct store_events *events, void *data);
/* Opens the database of an earlier life, on the thread; nothing to do when there is none. */
int store_start(struct store *store, struct error *err);
/* Whether there was one. */
bool store_is_old(const struct store *store);

/* On failure the job stays the caller's. ERROR_OVERLOADED: STORE_QUEUE_MAX wait already. */
int store_submit(struct store *store, struct store_job *job, struct error *err);
/*
 * The callback never comes, and the job is freed by its own free() when the
 * store has done with it. It is done all the same: this takes back interest in
 * the answer, not the change. A job that is not submitted is freed at once.
 */
void store_abandon(struct store_job *job);

/* Whether the thread is at one thing for longer than that: the disk hangs. */
bool store_is_stuck(struct store *store, int64_t for_ms);

struct store_stats {
	size_t queued; /* jobs without an answer */
	uint64_t commits, commit_failures;
	uint64_t jobs, job_failures;
	struct histogram
		commit_seconds; /* of those that succeeded: from the first job to durable */
};

void store_stats(struct store *store, struct store_stats *ret);
void store_write_metrics(struct store *store, struct buffer *out);

/* --- for a store_run_fn --- */

/*
 * A statement that stays prepared: reset, with nothing bound. sql must live for
 * ever, for it is known by its address. Whoever leaves one in the middle of its
 * rows does no harm.
 */
int store_prepare(struct store_job *job, const char *sql, struct sqlite3_stmt **ret,
		  struct error *err);
/* 1: there is a row; 0: no more; or -errno. */
int store_step(struct store_job *job, struct sqlite3_stmt *stmt, struct error *err);
/*
 * 0 for SQLITE_OK, else the error that this code means: CONFLICT for a broken
 * constraint, TOO_LARGE, UNAVAILABLE for all that the disk does.
 */
int store_check(struct store_job *job, int code, struct error *err);
