/* SPDX-License-Identifier: MIT */
/*
 * The tables, and forgetting.
 */

#include "agent/journal.h"

#include <errno.h>
#include <stdlib.h>

#include <sqlite3.h>

/*
 * task: only until the platform has it. ended: nothing more comes, which is what
 * a start does not have to look at. Times are Unix milliseconds.
 */
static const char delegations[] = "CREATE TABLE delegation ("
				  " id TEXT NOT NULL PRIMARY KEY,"
				  " workspace TEXT NOT NULL,"
				  " key TEXT NOT NULL,"
				  " target TEXT NOT NULL,"
				  " task TEXT,"
				  " platform_id TEXT,"
				  " status TEXT NOT NULL,"
				  " ended INTEGER NOT NULL,"
				  " preview TEXT,"
				  " error TEXT,"
				  " created_at INTEGER NOT NULL,"
				  " updated_at INTEGER NOT NULL,"
				  " UNIQUE (workspace, key)) STRICT;"
				  "CREATE INDEX delegation_listed"
				  " ON delegation (workspace, created_at);"
				  "CREATE INDEX delegation_open"
				  " ON delegation (ended) WHERE ended = 0;"
				  "CREATE INDEX delegation_old"
				  " ON delegation (updated_at);";

const char *const journal_migrations[] = {
	delegations,
	NULL,
};

struct forgetting {
	struct store_job job;
	struct workspace_key workspace;
	struct list waiters;
};

static int forget(struct store_job *job, struct sqlite3 *db, struct error *err)
{
	struct forgetting *forgetting = container_of(job, struct forgetting, job);
	static const char *const scripts[] = {
		"DELETE FROM delegation WHERE workspace = ?1",
	};

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct sqlite3_stmt *stmt;
		int r;

		r = store_prepare(job, scripts[i], &stmt, err);
		if (r == 0)
			r = store_check(job,
					sqlite3_bind_text(stmt, 1, forgetting->workspace.text, -1,
							  SQLITE_STATIC),
					err);
		if (r == 0)
			r = store_step(job, stmt, err);
		if (r < 0)
			return r;
	}

	return 0;
}

static void forget_free(struct store_job *job)
{
	free(container_of(job, struct forgetting, job));
}

static void on_forgotten(struct store_job *job, const struct error *err)
{
	struct forgetting *forgetting = container_of(job, struct forgetting, job);

	waiters_call(&forgetting->waiters, err);
	forget_free(job);
}

int journal_forget(struct store *store, const struct workspace_key *workspace,
		   struct waiter *waiter, struct error *err)
{
	struct forgetting *forgetting;
	int r;

	forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to forget a workspace");

	forgetting->job = (struct store_job){
		.run = forget,
		.on_done = on_forgotten,
		.free = forget_free,
		.wipes = true,
	};
	forgetting->workspace = *workspace;
	list_init(&forgetting->waiters);
	r = store_submit(store, &forgetting->job, err);
	if (r < 0) {
		forget_free(&forgetting->job);
		return r;
	}

	list_append(&forgetting->waiters, &waiter->node);
	return 0;
}
