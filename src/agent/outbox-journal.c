/* SPDX-License-Identifier: MIT */
/*
 * Delegations in the journal. What runs here runs on the store's thread, and
 * touches nothing but its job.
 */

#include "agent/outbox-journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

/* How a row is read: see read_row(). */
#define ROW                                                                             \
	" id, workspace, key, target, platform_id, status, preview, error, created_at," \
	" updated_at, rowid"

/* A statement and its parameters, given in order; nothing is done after the first failure. */
struct question {
	struct outbox_job *job;
	struct sqlite3_stmt *stmt;
	struct error *err;
	int n_given;
	int r; /* what next_row() answers if it is a failure */
};

static struct question ask(struct outbox_job *job, const char *sql, struct error *err)
{
	struct question question = { .job = job, .err = err };

	question.r = store_prepare(&job->store, sql, &question.stmt, err);
	return question;
}

static void check(struct question *question, int code)
{
	question->r = store_check(&question->job->store, code, question->err);
}

static void give_text(struct question *question, const char *text, size_t len)
{
	if (question->r == 0)
		check(question, sqlite3_bind_text64(question->stmt, ++question->n_given, text, len,
						    SQLITE_STATIC, SQLITE_UTF8));
}

static void give(struct question *question, const char *text)
{
	give_text(question, text, text ? strlen(text) : 0);
}

static void give_int(struct question *question, int64_t value)
{
	if (question->r == 0)
		check(question, sqlite3_bind_int64(question->stmt, ++question->n_given, value));
}

/* 1: a row, 0: no more, or the first failure. */
static int next_row(struct question *question)
{
	return question->r < 0 ? question->r
			       : store_step(&question->job->store, question->stmt, question->err);
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for what the journal holds");
}

/* false without memory; NULL stays NULL. */
static bool read_text(struct question *question, int column, char **ret)
{
	const unsigned char *text = sqlite3_column_text(question->stmt, column);

	if (!text)
		return sqlite3_column_type(question->stmt, column) == SQLITE_NULL;

	*ret = strdup((const char *)text);
	return *ret != NULL;
}

static void read_id(struct question *question, int column, char dst[static UUID_LEN + 1])
{
	const unsigned char *text = sqlite3_column_text(question->stmt, column);

	(void)snprintf(dst, UUID_LEN + 1, "%s", text ? (const char *)text : "");
}

static int read_row(struct question *question, struct delegation *row)
{
	const unsigned char *status = sqlite3_column_text(question->stmt, 5);

	read_id(question, 0, row->id);
	read_id(question, 3, row->to);
	row->created_wall_ms = sqlite3_column_int64(question->stmt, 8);
	row->updated_wall_ms = sqlite3_column_int64(question->stmt, 9);
	if (!status || !delegate_status_parse((const char *)status, &row->status))
		return error_set(question->err, ERROR_INTERNAL, EBADMSG,
				 "delegation %s is in no state that is known here", row->id);

	if (!read_text(question, 1, &row->workspace) || !read_text(question, 2, &row->key) ||
	    !read_text(question, 4, &row->platform_id) || !read_text(question, 6, &row->preview) ||
	    !read_text(question, 7, &row->error))
		return no_memory(question->err);

	return 0;
}

static int run_insert(struct outbox_job *job, struct error *err)
{
	static const char look[] =
		"SELECT" ROW " FROM delegation WHERE workspace = ?1 AND key = ?2";
	static const char insert[] =
		"INSERT INTO delegation (id, workspace, key, target, task, status, ended,"
		" created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)";
	struct delegation *row = &job->row;
	struct question question = ask(job, look, err);
	int r;

	give(&question, job->workspace.text);
	give(&question, row->key);
	r = next_row(&question);
	if (r < 0)
		return r;

	if (r > 0) {
		job->duplicate = true;
		delegation_fini(row);
		return read_row(&question, row);
	}

	question = ask(job, insert, err);
	give(&question, row->id);
	give(&question, job->workspace.text);
	give(&question, row->key);
	give(&question, row->to);
	give_text(&question, job->task, job->task_len);
	give(&question, delegate_status_name(row->status));
	give_int(&question, row->created_wall_ms);
	give_int(&question, row->updated_wall_ms);
	return next_row(&question);
}

static int run_task(struct outbox_job *job, struct error *err)
{
	static const char look[] = "SELECT task FROM delegation WHERE id = ?1";
	struct question question = ask(job, look, err);
	const void *text;
	int r;

	give(&question, job->row.id);
	r = next_row(&question);
	if (r <= 0 || sqlite3_column_type(question.stmt, 0) == SQLITE_NULL)
		return r < 0 ? r : 0;

	text = sqlite3_column_text(question.stmt, 0);
	job->task_len = (size_t)sqlite3_column_bytes(question.stmt, 0);
	job->task = text ? malloc(job->task_len + 1) : NULL;
	if (!job->task)
		return no_memory(err);

	memcpy(job->task, text, job->task_len);
	job->task[job->task_len] = '\0';
	return 0;
}

static int run_update(struct outbox_job *job, struct error *err)
{
	static const char update[] =
		"UPDATE delegation SET task = NULL, platform_id = ?1, status = ?2, ended = ?3,"
		" preview = ?4, error = ?5, updated_at = ?6 WHERE id = ?7";
	const struct delegation *row = &job->row;
	struct question question = ask(job, update, err);

	give(&question, row->platform_id);
	give(&question, delegate_status_name(row->status));
	give_int(&question, delegate_status_is_final(row->status));
	give(&question, row->preview);
	give(&question, row->error);
	give_int(&question, row->updated_wall_ms);
	give(&question, row->id);
	return next_row(&question);
}

/* All rows there are, at most so many. */
static int read_rows(struct question *question, size_t max)
{
	struct delegations *found = &question->job->found;
	int r;

	found->rows = calloc(max, sizeof(*found->rows));
	if (!found->rows)
		return no_memory(question->err);

	while ((r = next_row(question)) > 0 && found->n < max) {
		struct delegation *row = &found->rows[found->n++];

		question->job->last = sqlite3_column_int64(question->stmt, 10);
		r = read_row(question, row);
		if (r < 0)
			return r;
	}

	return r < 0 ? r : 0;
}

static int run_find(struct outbox_job *job, struct error *err)
{
	static const char look[] = "SELECT" ROW " FROM delegation WHERE id = ?1 AND workspace = ?2";
	struct question question = ask(job, look, err);

	give(&question, job->row.id);
	give(&question, job->workspace.text);
	return read_rows(&question, 1);
}

/* Where a list goes on behind the one that it is to be before; from the newest without one. */
struct place {
	int64_t created_wall_ms, rowid;
};

static int find_place(struct outbox_job *job, struct place *ret, struct error *err)
{
	static const char look[] =
		"SELECT created_at, rowid FROM delegation WHERE id = ?1 AND workspace = ?2";
	struct question question;
	int r;

	*ret = (struct place){ INT64_MAX, INT64_MAX };
	if (!job->row.id[0])
		return 0;

	question = ask(job, look, err);
	give(&question, job->row.id);
	give(&question, job->workspace.text);
	r = next_row(&question);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, ENOENT,
				 "there is no delegation %s that others could be before",
				 job->row.id);
	if (r < 0)
		return r;

	ret->created_wall_ms = sqlite3_column_int64(question.stmt, 0);
	ret->rowid = sqlite3_column_int64(question.stmt, 1);
	return 0;
}

static int run_list(struct outbox_job *job, struct error *err)
{
	static const char look[] =
		"SELECT" ROW " FROM delegation WHERE workspace = ?1 AND (?2 IS NULL OR status = ?2)"
		" AND created_at <= ?3 AND (created_at < ?3 OR rowid < ?4)"
		" ORDER BY created_at DESC, rowid DESC LIMIT ?5";
	struct question question;
	struct place before;
	int r;

	r = find_place(job, &before, err);
	if (r < 0)
		return r;

	question = ask(job, look, err);
	give(&question, job->workspace.text);
	give(&question, job->by_status ? delegate_status_name(job->row.status) : NULL);
	give_int(&question, before.created_wall_ms);
	give_int(&question, before.rowid);
	give_int(&question, (int64_t)job->limit);
	return read_rows(&question, job->limit);
}

static int run_open(struct outbox_job *job, struct error *err)
{
	static const char look[] = "SELECT" ROW " FROM delegation WHERE ended = 0 AND rowid > ?1"
				   " ORDER BY rowid LIMIT ?2";
	struct question question = ask(job, look, err);

	give_int(&question, job->after);
	give_int(&question, OUTBOX_PAGE);
	return read_rows(&question, OUTBOX_PAGE);
}

/*
 * Never one that has not ended: it was promised, and a clock that is wrong for as
 * long as it takes to be set, at the start of a host, may say that it is old.
 */
static int run_prune(struct outbox_job *job, struct error *err)
{
	static const char prune[] =
		"DELETE FROM delegation WHERE rowid IN"
		" (SELECT rowid FROM delegation WHERE updated_at < ?1 AND ended = 1"
		" ORDER BY updated_at LIMIT ?2) RETURNING 1";
	struct question question = ask(job, prune, err);
	int r;

	give_int(&question, job->before_wall_ms);
	give_int(&question, OUTBOX_PAGE);
	while ((r = next_row(&question)) > 0)
		job->n_pruned++;
	return r;
}

static int run(struct store_job *store, struct sqlite3 *db, struct error *err)
{
	struct outbox_job *job = container_of(store, struct outbox_job, store);

	return job->fn(job, err);
}

void outbox_job_free(struct outbox_job *job)
{
	if (!job)
		return;

	list_remove(&job->node);
	delegation_fini(&job->row);
	delegations_fini(&job->found);
	free(job->task);
	free(job);
}

static void store_free_job(struct store_job *store)
{
	outbox_job_free(container_of(store, struct outbox_job, store));
}

static void on_done(struct store_job *store, const struct error *err)
{
	struct outbox_job *job = container_of(store, struct outbox_job, store);

	list_remove(&job->node);
	job->on_done(job, err);
	outbox_job_free(job);
}

struct outbox_job *outbox_job_new(enum outbox_job_kind kind, void *owner, outbox_job_fn done)
{
	static int (*const fns[])(struct outbox_job * job, struct error * err) = {
		[OUTBOX_INSERT] = run_insert, [OUTBOX_TASK] = run_task,
		[OUTBOX_UPDATE] = run_update, [OUTBOX_FIND] = run_find,
		[OUTBOX_LIST] = run_list,     [OUTBOX_OPEN] = run_open,
		[OUTBOX_PRUNE] = run_prune,
	};
	struct outbox_job *job;

	job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;

	job->store = (struct store_job){ .run = run, .on_done = on_done, .free = store_free_job };
	job->fn = fns[kind];
	job->owner = owner;
	job->on_done = done;
	list_init(&job->node);
	list_init(&job->waiters);
	return job;
}

int outbox_job_submit(struct outbox_job *job, struct store *store, struct list *jobs,
		      struct error *err)
{
	int r;

	r = store_submit(store, &job->store, err);
	if (r < 0) {
		outbox_job_free(job);
		return r;
	}

	list_append(jobs, &job->node);
	return 0;
}

void outbox_job_abandon(struct outbox_job *job)
{
	list_remove(&job->node);
	store_abandon(&job->store);
}
