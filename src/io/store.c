/* SPDX-License-Identifier: MIT */
/*
 * The loop's side of the store: takes jobs, wakes the thread, hands out answers.
 */

#include "io/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/util.h"
#include "io/store-private.h"

/* --- what the thread has for us --- */

static bool same_health(const struct error *a, const struct error *b)
{
	return a->kind == b->kind && strcmp(a->text, b->text) == 0;
}

static void tell_health(struct store *store, const struct error *health, const char *aside)
{
	if (!store->events)
		return;

	if (aside[0])
		store->events->on_set_aside(store->events_data, aside);
	if (same_health(health, &store->told))
		return;

	store->told = *health;
	store->events->on_health(store->events_data,
				 health->kind == ERROR_NONE ? NULL : &store->told);
}

static void hand_out(struct store *store, struct list *answered)
{
	struct list *node;

	while ((node = list_pop(answered))) {
		struct store_job *job = list_entry(node, struct store_job, node);

		job->store = NULL;
		if (job->abandoned)
			job->free(job);
		else
			job->on_done(job, job->err.kind == ERROR_NONE ? NULL : &job->err);
		/* Careful: the job may be gone. */
	}
}

/* As many as are one turn's work; whether there are more. */
static bool store_take_answers(struct store *store)
{
	char aside[STORE_ASIDE_SIZE];
	struct list answered, *node;
	struct error health;
	bool more;

	list_init(&answered);
	(void)pthread_mutex_lock(&store->mutex);
	for (size_t n = 0; n < STORE_BATCH_MAX; n++) {
		node = list_pop(&store->shared.answered);
		if (!node)
			break;
		list_append(&answered, node);
		store->shared.stats.queued--;
	}
	more = !list_empty(&store->shared.answered);
	health = store->shared.health;
	memcpy(aside, store->shared.aside, sizeof(aside));
	store->shared.aside[0] = '\0';
	(void)pthread_mutex_unlock(&store->mutex);

	tell_health(store, &health, aside);
	hand_out(store, &answered);
	return more;
}

static void store_on_news(struct ev_loop *ev, struct ev_async *news, int events)
{
	struct store *store = container_of(news, struct store, news);

	if (store_take_answers(store))
		ev_async_send(ev, news);
}

/* --- life --- */

static int init_locks(struct store *store)
{
	pthread_condattr_t attr;
	int r;

	r = pthread_mutex_init(&store->mutex, NULL);
	if (r != 0)
		return r;

	/* The wall clock may be set while somebody waits. */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&store->work, &attr);
	(void)pthread_cond_init(&store->end, &attr);
	(void)pthread_condattr_destroy(&attr);
	return 0;
}

int store_new(struct loop *loop, int state_dirfd, const char *path, const char *const *migrations,
	      struct store **ret, struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	struct stat st;

	if (store)
		store->path = strdup(path);
	if (!store || !store->path || init_locks(store) != 0) {
		if (store)
			free(store->path);
		free(store);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the store");
	}

	store->loop = loop;
	store->db.dirfd = state_dirfd;
	store->db.path = store->path;
	store->db.migrations = migrations;
	store->is_old = fstatat(state_dirfd, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;
	list_init(&store->shared.queue);
	list_init(&store->shared.answered);
	*ret = store;
	return 0;
}

void store_destroy(struct store *store)
{
	(void)pthread_cond_destroy(&store->work);
	(void)pthread_cond_destroy(&store->end);
	(void)pthread_mutex_destroy(&store->mutex);
	free(store->path);
	free(store);
}

/* Whether the thread has ended in time; if not, the store is its own from here on. */
static bool store_wait_for_end(struct store *store)
{
	struct timespec until;
	bool ended;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STORE_STOP_MS / 1000;

	(void)pthread_mutex_lock(&store->mutex);
	store->shared.stopping = true;
	(void)pthread_cond_signal(&store->work);
	while (!store->shared.ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&store->end, &store->mutex, &until);
	ended = store->shared.ended;
	if (!ended) {
		ev_async_stop(store->loop->ev, &store->news);
		(void)pthread_detach(store->thread);
		store->shared.deserted = true;
	}
	(void)pthread_mutex_unlock(&store->mutex);
	return ended;
}

void store_free(struct store *store)
{
	if (!store)
		return;

	store->closed = true;
	store->events = NULL;
	if (store->has_thread) {
		if (!store_wait_for_end(store)) {
			log_error("the disk does not answer: left while writing " STORE_FILE);
			return;
		}

		(void)pthread_join(store->thread, NULL);
		while (store_take_answers(store))
			;
		ev_async_stop(store->loop->ev, &store->news);
	}
	store_destroy(store);
}

void store_listen(struct store *store, const struct store_events *events, void *data)
{
	store->events = events;
	store->events_data = data;
}

static int store_need_thread(struct store *store, struct error *err)
{
	int r;

	if (store->has_thread)
		return 0;

	ev_async_init(&store->news, store_on_news);
	ev_async_start(store->loop->ev, &store->news);
	r = store_thread_start(store, err);
	if (r < 0) {
		ev_async_stop(store->loop->ev, &store->news);
		return r;
	}

	store->has_thread = true;
	return 0;
}

int store_start(struct store *store, struct error *err)
{
	int r;

	if (!store->is_old)
		return 0;

	r = store_need_thread(store, err);
	if (r < 0)
		return r;

	(void)pthread_mutex_lock(&store->mutex);
	store->shared.opening = true;
	(void)pthread_cond_signal(&store->work);
	(void)pthread_mutex_unlock(&store->mutex);
	return 0;
}

bool store_is_old(const struct store *store)
{
	return store->is_old;
}

/* --- jobs --- */

int store_submit(struct store *store, struct store_job *job, struct error *err)
{
	bool full;
	int r;

	if (store->closed)
		return error_set(err, ERROR_UNAVAILABLE, ESHUTDOWN,
				 "cannot write " STORE_FILE ": molecule-agentd is stopping");

	r = store_need_thread(store, err);
	if (r < 0)
		return r;

	(void)pthread_mutex_lock(&store->mutex);
	full = store->shared.stats.queued >= STORE_QUEUE_MAX;
	if (!full) {
		job->store = store;
		job->abandoned = false;
		job->err = (struct error){ 0 };
		list_append(&store->shared.queue, &job->node);
		store->shared.stats.queued++;
		(void)pthread_cond_signal(&store->work);
	}
	(void)pthread_mutex_unlock(&store->mutex);
	if (full)
		return error_set(err, ERROR_OVERLOADED, EAGAIN,
				 "cannot take more than %d changes that wait for the disk; try "
				 "again later",
				 STORE_QUEUE_MAX);
	return 0;
}

/* Only the loop looks at the mark: when the job is back. */
void store_abandon(struct store_job *job)
{
	if (job->store)
		job->abandoned = true;
	else
		job->free(job);
}

int store_prepare(struct store_job *job, const char *sql, struct sqlite3_stmt **ret,
		  struct error *err)
{
	return store_db_prepare(&job->store->db, sql, ret, err);
}

int store_step(struct store_job *job, struct sqlite3_stmt *stmt, struct error *err)
{
	int code = sqlite3_step(stmt);

	if (code == SQLITE_ROW)
		return 1;

	return code == SQLITE_DONE ? 0 : store_db_failed(&job->store->db, code, err);
}

int store_check(struct store_job *job, int code, struct error *err)
{
	return code == SQLITE_OK ? 0 : store_db_failed(&job->store->db, code, err);
}

/* --- how it does --- */

bool store_is_stuck(struct store *store, int64_t for_ms)
{
	int64_t since_ms;

	(void)pthread_mutex_lock(&store->mutex);
	since_ms = store->shared.busy_since_ms;
	(void)pthread_mutex_unlock(&store->mutex);
	return since_ms != 0 && loop_now_ms(store->loop) - since_ms > for_ms;
}

void store_stats(struct store *store, struct store_stats *ret)
{
	(void)pthread_mutex_lock(&store->mutex);
	*ret = store->shared.stats;
	(void)pthread_mutex_unlock(&store->mutex);
}

static void write_results(struct buffer *out, const char *family, const char *help, uint64_t all,
			  uint64_t failed)
{
	static const char *const of_ok[] = { "result", "ok", NULL };
	static const char *const of_failed[] = { "result", "failed", NULL };

	metrics_family(out, family, METRIC_COUNTER, NULL, help);
	metrics_sample(out, family, METRIC_COUNTER, of_ok, (double)(all - failed));
	metrics_sample(out, family, METRIC_COUNTER, of_failed, (double)failed);
}

void store_write_metrics(struct store *store, struct buffer *out)
{
	struct store_stats stats;

	store_stats(store, &stats);
	metrics_family(out, "molecule_store_queued", METRIC_GAUGE, NULL,
		       "Changes that wait for the disk.");
	metrics_sample(out, "molecule_store_queued", METRIC_GAUGE, NULL, (double)stats.queued);
	write_results(out, "molecule_store_jobs", "Changes, by result.", stats.jobs,
		      stats.job_failures);
	write_results(out, "molecule_store_commits",
		      "Groups of changes, each with one fsync, by result.",
		      stats.commits + stats.commit_failures, stats.commit_failures);
	metrics_family(out, "molecule_store_commit_seconds", METRIC_HISTOGRAM, "seconds",
		       "From the first change of a group until all are on disk.");
	metrics_histogram(out, "molecule_store_commit_seconds", NULL, &stats.commit_seconds);
}
