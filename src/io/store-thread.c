/* SPDX-License-Identifier: MIT */
/*
 * The store's thread: takes all that waits, one transaction, one commit, answers.
 * While it commits the next group gathers by itself, so the slower the disk, the
 * larger the groups.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "base/util.h"
#include "io/store-private.h"

#define STACK_SIZE ((size_t)512 * 1024)
#define TIDY_AFTER_S 2 /* nothing to do for so long: what memory and log hold is given back */

struct batch {
	struct list jobs;
	size_t n_jobs, n_failed;
	int64_t began_ns;
	bool opened, committed;
	struct error err; /* why all of it failed */
};

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Why it failed is set, even if whoever failed forgot. */
static void ensure_error(struct error *err, int r)
{
	if (err->kind == ERROR_NONE)
		(void)error_set(err, ERROR_INTERNAL, -r, "cannot use " STORE_FILE ": %m");
}

/* --- one group --- */

/* A failure of the transaction, not of the job: then all of the group is lost. */
static int run_job(struct store_db *db, struct store_job *job, struct error *err)
{
	int r, result;

	r = store_db_mark(db, err);
	if (r < 0)
		return r;

	result = job->run(job, db->sqlite, &job->err);
	if (result < 0)
		ensure_error(&job->err, result);
	else
		job->err = (struct error){ 0 };

	/* SQLite ends a transaction by itself when the disk or the memory gives out. */
	if (!store_db_in_transaction(db) || db->damaged) {
		*err = job->err;
		if (err->kind == ERROR_NONE)
			(void)error_set(err, ERROR_UNAVAILABLE, EIO,
					"cannot write " STORE_FILE ": the transaction was lost");
		return -EIO;
	}

	return store_db_release(db, result < 0, err);
}

static int run_jobs(struct store_db *db, struct batch *batch, struct error *err)
{
	int r;

	list_for_each (node, &batch->jobs) {
		struct store_job *job = list_entry(node, struct store_job, node);

		r = run_job(db, job, err);
		if (r < 0)
			return r;
		if (job->err.kind != ERROR_NONE)
			batch->n_failed++;
	}
	return 0;
}

static int run_transaction(struct store_db *db, struct batch *batch, struct error *err)
{
	int r;

	r = store_db_begin(db, err);
	if (r < 0)
		return r;

	r = run_jobs(db, batch, err);
	if (r < 0) {
		store_db_rollback(db);
		return r;
	}

	r = store_db_commit(db, err);
	return r < 0 || !db->wrote ? r : store_db_check_names(db, err);
}

/* What was to be gone and is not is no success, though it was committed. */
static void wipe(struct store_db *db, struct batch *batch)
{
	struct error err;
	int r = 1;

	list_for_each (node, &batch->jobs) {
		struct store_job *job = list_entry(node, struct store_job, node);

		if (!job->wipes || job->err.kind != ERROR_NONE)
			continue;
		if (r > 0)
			r = store_db_empty_log(db, &err);
		if (r == 0)
			continue;
		job->err = err;
		batch->n_failed++;
	}
}

static void run_batch(struct store_db *db, struct batch *batch)
{
	bool was_open = db->sqlite;
	int r;

	r = store_db_open(db, &batch->err);
	batch->opened = r == 0 && !was_open;
	if (r == 0 && batch->n_jobs > 0)
		r = run_transaction(db, batch, &batch->err);
	batch->committed = r == 0;
	if (r == 0) {
		batch->err = (struct error){ 0 };
		wipe(db, batch);
		return;
	}

	ensure_error(&batch->err, r);
	batch->n_failed = batch->n_jobs;
	list_for_each (node, &batch->jobs)
		list_entry(node, struct store_job, node)->err = batch->err;
}

/* --- between the loop and us: with the mutex --- */

/* Up to STORE_BATCH_MAX of what waits. */
static void take_jobs(struct store *store, struct batch *batch)
{
	struct list *node;

	while (batch->n_jobs < STORE_BATCH_MAX && (node = list_pop(&store->shared.queue))) {
		list_append(&batch->jobs, node);
		batch->n_jobs++;
	}
}

static void count_batch(struct store *store, const struct batch *batch)
{
	struct store_stats *stats = &store->shared.stats;

	if (batch->n_jobs == 0)
		return;

	stats->jobs += batch->n_jobs;
	stats->job_failures += batch->n_failed;
	if (!batch->committed) {
		stats->commit_failures++;
		return;
	}
	stats->commits++;
	histogram_observe(&stats->commit_seconds, (double)(now_ns() - batch->began_ns) / 1e9);
}

static void tell_loop(struct store *store)
{
	if (!store->shared.deserted)
		ev_async_send(store->loop->ev, &store->news);
}

/* Whether the disk can be written now is known. */
static bool is_proved(const struct store_db *db, const struct batch *batch)
{
	if (!batch->committed)
		return true;

	/* What only reads proves nothing about a disk that is full. */
	return batch->opened || (db->wrote && !db->grows);
}

static void tell_aside(struct store *store)
{
	if (!store->db.aside[0])
		return;

	memcpy(store->shared.aside, store->db.aside, sizeof(store->db.aside));
	store->db.aside[0] = '\0';
}

static void answer(struct store *store, struct batch *batch)
{
	struct list *node;

	(void)pthread_mutex_lock(&store->mutex);
	count_batch(store, batch);
	tell_aside(store);
	if (is_proved(&store->db, batch))
		store->shared.health = batch->err;
	while ((node = list_pop(&batch->jobs)))
		list_append(&store->shared.answered, node);
	tell_loop(store);
	(void)pthread_mutex_unlock(&store->mutex);
}

/* --- the thread --- */

static void checkpoint(struct store *store, bool force)
{
	struct error err = { 0 };

	if (store_db_checkpoint(&store->db, force, &err) == 0)
		return;

	(void)pthread_mutex_lock(&store->mutex);
	store->shared.health = err;
	tell_loop(store);
	(void)pthread_mutex_unlock(&store->mutex);
}

static void tidy(struct store *store)
{
	checkpoint(store, true);
	if (store->db.sqlite)
		(void)sqlite3_db_release_memory(store->db.sqlite);
}

static bool has_work(const struct store_shared *shared)
{
	return shared->opening || shared->stopping || !list_empty(&shared->queue);
}

/* Whether there is work; false when nothing came for a while. */
static bool wait_for_work(struct store *store, bool is_tidy)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TIDY_AFTER_S;
	while (!has_work(&store->shared) && r != ETIMEDOUT)
		r = is_tidy ? pthread_cond_wait(&store->work, &store->mutex)
			    : pthread_cond_timedwait(&store->work, &store->mutex, &until);
	return has_work(&store->shared);
}

/* Whether to go on. */
static bool turn(struct store *store, bool *is_tidy)
{
	struct batch batch = { .n_jobs = 0 };
	bool works, ends;

	list_init(&batch.jobs);
	(void)pthread_mutex_lock(&store->mutex);
	store->shared.busy_since_ms = 0;
	works = wait_for_work(store, *is_tidy);
	batch.began_ns = now_ns();
	store->shared.busy_since_ms = batch.began_ns / 1000000;
	take_jobs(store, &batch);
	works = works && (batch.n_jobs > 0 || store->shared.opening);
	ends = store->shared.deserted || (!works && store->shared.stopping);
	store->shared.opening = false;
	(void)pthread_mutex_unlock(&store->mutex);
	if (ends)
		return false;

	*is_tidy = !works;
	if (works) {
		run_batch(&store->db, &batch);
		answer(store, &batch);
		checkpoint(store, false);
	} else {
		tidy(store);
	}
	return true;
}

static void configure_sqlite(void)
{
	/* Our mutex, not theirs; and no temporary file, whose place nobody would look at. */
	(void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
}

static void *store_thread(void *data)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct store *store = data;
	bool is_tidy = true, deserted;

	(void)pthread_once(&once, configure_sqlite);
	(void)pthread_setname_np(pthread_self(), "store");
	while (turn(store, &is_tidy))
		;
	store_db_close(&store->db);

	(void)pthread_mutex_lock(&store->mutex);
	store->shared.ended = true;
	deserted = store->shared.deserted;
	(void)pthread_cond_signal(&store->end);
	(void)pthread_mutex_unlock(&store->mutex);
	if (deserted)
		store_destroy(store);
	return NULL;
}

int store_thread_start(struct store *store, struct error *err)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r == 0) {
		/* Signals are the loop's. */
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
		r = pthread_create(&store->thread, &attr, store_thread, store);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		(void)pthread_attr_destroy(&attr);
	}
	if (r != 0)
		return error_set(err, ERROR_UNAVAILABLE, r, "cannot start the store's thread: %m");

	return 0;
}
