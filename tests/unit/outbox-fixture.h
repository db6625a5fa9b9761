/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An online workspace with a journal, and short words for what tests of the
 * outbox do with it.
 */

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "agent/outbox.h"
#include "io/store.h"
#include "workspace-fixture.h"

#define TO "7c9e6679-7425-40de-944b-e07fc1f90ae7"
#define THEIRS "11111111-1111-4111-8111-111111111111"
#define POST_DELEGATE "POST", "/workspaces/" ID "/delegate"
#define GET_DELEGATIONS "GET", "/workspaces/" ID "/delegations"
#define GET_LOG "GET", "/workspaces/" ID "/activity?type=delegation&limit=500"
#define ACCEPTED "{\"delegation_id\":\"" THEIRS "\",\"status\":\"delegated\"}"
#define LISTED(status) "[{\"delegation_id\":\"" THEIRS "\",\"status\":\"" status "\"}]"

/* What a waiter was told: of one delegation. */
struct told {
	struct waiter waiter;
	struct outbox *outbox;
	int called;
	bool duplicate;
	size_t n;
	char id[UUID_LEN + 1], status[16], key[OUTBOX_KEY_MAX + 1], error[ERROR_TEXT_MAX];
	char preview[64];
	struct error err;
};

static inline void told_on_done(struct waiter *waiter, const struct error *err)
{
	struct told *told = container_of(waiter, struct told, waiter);
	const struct delegations *rows = &told->outbox->told;

	told->called++;
	told->err = err ? *err : (struct error){ 0 };
	told->n = rows->n;
	told->duplicate = told->outbox->told_duplicate;
	if (!rows->n)
		return;

	(void)snprintf(told->id, sizeof(told->id), "%s", rows->rows->id);
	(void)snprintf(told->status, sizeof(told->status), "%s",
		       delegate_status_name(rows->rows->status));
	(void)snprintf(told->key, sizeof(told->key), "%s", rows->rows->key);
	(void)snprintf(told->error, sizeof(told->error), "%s",
		       rows->rows->error ? rows->rows->error : "");
	(void)snprintf(told->preview, sizeof(told->preview), "%s",
		       rows->rows->preview ? rows->rows->preview : "");
}

static inline struct outbox *outbox_of(struct fixture *fixture)
{
	struct outbox *outbox = workspace_outbox(fixture->workspace, NULL);

	CHECK(outbox);
	return outbox;
}

static inline void told_init(struct told *told, struct fixture *fixture)
{
	*told = (struct told){ .outbox = outbox_of(fixture) };
	waiter_init(&told->waiter, told_on_done);
}

static inline void outbox_begin(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_open_store(fixture);
	fixture_begin_online(fixture);
}

/* Until it is on disk, and sent if it may be. key may be NULL. */
static inline void outbox_order(struct fixture *fixture, const char *task, const char *key,
				struct told *told)
{
	struct outbox_order order = { TO, task, strlen(task), key };

	told_init(told, fixture);
	CHECK_INT(outbox_create(told->outbox, &order, &told->waiter, NULL), 0);
	CHECK_INT(told->called, 0);
	fixture_settle_store(fixture);
	CHECK_INT(told->called, 1);
}

static inline void outbox_answer(struct fixture *fixture, const char *method, const char *end,
				 int status, const char *body)
{
	fixture_settle_store(fixture);
	fixture_answer(fixture, method, end, status, body);
	fixture_settle_store(fixture);
}

/* One that the platform has. */
static inline void outbox_deliver(struct fixture *fixture, const char *task, struct told *told)
{
	outbox_order(fixture, task, NULL, told);
	outbox_answer(fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_INT(outbox_of(fixture)->n_open[DELEGATE_DELEGATED], 1);
}

/* Ends a timer that runs. */
static inline void outbox_expire(struct fixture *fixture, struct timer *timer)
{
	CHECK(timer_is_running(timer));
	timer_stop(timer);
	timer->fn(timer);
	fixture_settle(fixture);
}

/* Asks the platform what has become of them. */
static inline void outbox_poll(struct fixture *fixture, int status, const char *body)
{
	outbox_expire(fixture, &outbox_of(fixture)->follow_timer);
	outbox_answer(fixture, GET_DELEGATIONS, status, body);
}

static inline void outbox_turn_to(struct fixture *fixture, const char *status)
{
	fixture_expire(fixture, AGENDA_POLL);
	fixture_answer(fixture, GET_STATE, 200, status);
	fixture_settle_store(fixture);
}

struct asking {
	struct store_job job;
	const char *sql;
	char text[1024];
};

static inline int asking_run(struct store_job *job, struct sqlite3 *db, struct error *err)
{
	struct asking *asking = container_of(job, struct asking, job);
	sqlite3_stmt *stmt;

	CHECK_INT(sqlite3_prepare_v2(db, asking->sql, -1, &stmt, NULL), 0);
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0))
		(void)snprintf(asking->text, sizeof(asking->text), "%s",
			       sqlite3_column_text(stmt, 0));
	CHECK_INT(sqlite3_finalize(stmt), 0);
	return 0;
}

static inline void asking_on_done(struct store_job *job, const struct error *err)
{
	CHECK(!err);
}

/* What the journal says now, as one text; "" for nothing and for NULL. */
static inline const char *outbox_sql(struct fixture *fixture, const char *sql)
{
	static struct asking asking;

	asking = (struct asking){ { .run = asking_run, .on_done = asking_on_done }, sql, "" };
	CHECK_INT(store_submit(fixture->store, &asking.job, NULL), 0);
	fixture_settle_store(fixture);
	return asking.text;
}
