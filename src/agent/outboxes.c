/* SPDX-License-Identifier: MIT */
/*
 * Reading the journal for all, and pruning it.
 */

#include "agent/outboxes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/outbox-journal.h"
#include "agent/outbox.h"
#include "agent/workspace.h"
#include "base/log.h"

#define PRUNE_EVERY_MS 86400000
#define RETRY_MS 60000

static bool has_key(const struct workspace *workspace, const char *key)
{
	return strcmp(workspace_settings_key(&workspace->settings).text, key) == 0;
}

/* key: "ID@HOST", as the rows of a workspace have it. */
static struct workspace *find_workspace(struct outboxes *outboxes, const char *key)
{
	struct workspace *workspace;
	char id[UUID_LEN + 1];

	(void)snprintf(id, sizeof(id), "%s", key);
	workspace = roster_find_id(outboxes->roster, id);
	if (!workspace || has_key(workspace, key))
		return workspace;

	/* Two platforms have workspaces of the same id. */
	list_for_each (node, outboxes->workspaces)
		if (has_key(list_entry(node, struct workspace, node), key))
			return list_entry(node, struct workspace, node);

	return NULL;
}

static int adopt(struct outboxes *outboxes, struct delegation *row, struct error *err)
{
	struct workspace *workspace = find_workspace(outboxes, row->workspace);
	struct outbox *outbox;

	if (!workspace || workspace->state == LIFECYCLE_LEAVING)
		return 0;

	outbox = workspace_outbox(workspace, err);
	if (!outbox)
		return -ENOMEM;

	if (outbox_adopt(outbox, row) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for delegation %s",
				 row->id);
	return 0;
}

static void load_failed(struct outboxes *outboxes, const struct error *err)
{
	log_event(LOG_WARNING, NULL, "journal_failed", NULL,
		  "delegations of earlier go on later: %s", err->text);
	outboxes->loading = false;
	timer_start(&outboxes->load_timer, RETRY_MS);
}

static void load_page(struct outboxes *outboxes, int64_t after);

static void on_page(struct outbox_job *job, const struct error *failed)
{
	struct outboxes *outboxes = job->owner;
	struct error err;
	int r = 0;

	for (size_t i = 0; !failed && r == 0 && i < job->found.n; i++)
		r = adopt(outboxes, &job->found.rows[i], &err);

	if (failed || r < 0) {
		load_failed(outboxes, failed ? failed : &err);
	} else if (job->found.n == OUTBOX_PAGE) {
		load_page(outboxes, job->last);
	} else {
		outboxes->loading = false;
		if (outboxes->again)
			outboxes_load(outboxes);
	}
}

static void load_page(struct outboxes *outboxes, int64_t after)
{
	struct outbox_job *job = outbox_job_new(OUTBOX_OPEN, outboxes, on_page);
	struct error err;

	if (!job) {
		(void)error_set(&err, ERROR_INTERNAL, ENOMEM, "no memory to read the journal");
		load_failed(outboxes, &err);
		return;
	}

	job->after = after;
	if (outbox_job_submit(job, outboxes->context->store, &outboxes->jobs, &err) < 0)
		load_failed(outboxes, &err);
}

static void prune(struct outboxes *outboxes);

static void on_pruned(struct outbox_job *job, const struct error *err)
{
	if (err)
		log_event(LOG_WARNING, NULL, "journal_failed", NULL,
			  "old delegations stay for now: %s", err->text);
	else if (job->n_pruned == OUTBOX_PAGE)
		prune(job->owner);
}

static void prune(struct outboxes *outboxes)
{
	struct outbox_job *job = outbox_job_new(OUTBOX_PRUNE, outboxes, on_pruned);

	/* There is another day. */
	if (!job)
		return;

	job->before_wall_ms = wall_now_ms() - OUTBOXES_KEEP_MS;
	(void)outbox_job_submit(job, outboxes->context->store, &outboxes->jobs, NULL);
}

bool outboxes_have_journal(const struct outboxes *outboxes)
{
	struct store *store = outboxes->context->store;
	struct store_stats stats;

	if (!store)
		return false;

	store_stats(store, &stats);
	return store_is_old(store) || stats.jobs || stats.queued;
}

static void on_prune_timer(struct timer *timer)
{
	struct outboxes *outboxes = container_of(timer, struct outboxes, prune_timer);

	timer_start(timer, PRUNE_EVERY_MS);
	if (outboxes_have_journal(outboxes))
		prune(outboxes);
}

static void on_load_timer(struct timer *timer)
{
	outboxes_load(container_of(timer, struct outboxes, load_timer));
}

void outboxes_init(struct outboxes *outboxes, struct agent_context *context, struct roster *roster,
		   const struct list *workspaces)
{
	*outboxes = (struct outboxes){ context, roster, workspaces };
	list_init(&outboxes->jobs);
	timer_init(&outboxes->prune_timer, context->loop, on_prune_timer);
	timer_init(&outboxes->load_timer, context->loop, on_load_timer);
}

void outboxes_fini(struct outboxes *outboxes)
{
	timer_stop(&outboxes->prune_timer);
	timer_stop(&outboxes->load_timer);
	while (!list_empty(&outboxes->jobs))
		outbox_job_abandon(list_entry(outboxes->jobs.next, struct outbox_job, node));
}

void outboxes_load(struct outboxes *outboxes)
{
	if (!timer_is_running(&outboxes->prune_timer))
		timer_start(&outboxes->prune_timer, 0);

	outboxes->again = outboxes->loading;
	if (outboxes->loading || !outboxes_have_journal(outboxes))
		return;

	timer_stop(&outboxes->load_timer);
	outboxes->loading = true;
	load_page(outboxes, 0);
}
