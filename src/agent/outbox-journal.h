/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The outbox's work on the journal, a job each: what goes in and what comes out
 * is in the job, which lives in nobody's memory but its own. The table is
 * delegation, see agent/journal.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/delegation.h"
#include "agent/settings.h"
#include "base/list.h"
#include "io/store.h"

#define OUTBOX_PAGE 500 /* rows of one job: it is one turn of the loop */

struct outbox_job;
/* The job is freed afterwards. */
typedef void (*outbox_job_fn)(struct outbox_job *job, const struct error *err);

struct outbox_job {
	struct store_job store;
	int (*fn)(struct outbox_job *job, struct error *err);
	struct list node; /* in its owner's list: it must know what to abandon */
	void *owner;      /* borrowed */
	outbox_job_fn on_done;
	struct list waiters; /* for the owner */

	struct workspace_key workspace; /* whose */
	struct delegation row;          /* owned */
	char *task;                     /* owned; text and length */
	size_t task_len;
	struct delegations found; /* owned */

	bool duplicate;         /* OUTBOX_INSERT: there was one of that key: it is row now */
	bool by_status;         /* OUTBOX_LIST: only those of row.status */
	size_t limit;           /* OUTBOX_LIST */
	int64_t after, last;    /* OUTBOX_OPEN: rows behind the one; the last of the page */
	int64_t before_wall_ms; /* OUTBOX_PRUNE: those that were not touched since */
	size_t n_pruned;
};

enum outbox_job_kind {
	OUTBOX_INSERT, /* row and task; unless the workspace has the key already */
	OUTBOX_TASK,   /* of row.id into task; NULL when it is not there any more */
	OUTBOX_UPDATE, /* what of row may change; the task is dropped: it is needed no more */
	OUTBOX_FIND,   /* row.id, if the workspace has it, into found */
	OUTBOX_LIST,   /* of the workspace, newest first, into found; those before row.id, if any */
	OUTBOX_OPEN,   /* a page of those of all workspaces that have not ended, into found */
	OUTBOX_PRUNE,  /* so many old ones go, of whatever workspace */
};

/* NULL without memory. */
struct outbox_job *outbox_job_new(enum outbox_job_kind kind, void *owner, outbox_job_fn on_done);
void outbox_job_free(struct outbox_job *job); /* takes NULL; one that is not submitted */

/* Into jobs, and to the store; frees it when that fails. */
int outbox_job_submit(struct outbox_job *job, struct store *store, struct list *jobs,
		      struct error *err);
/* Its callback never comes. What it has to write is written all the same. */
void outbox_job_abandon(struct outbox_job *job);
