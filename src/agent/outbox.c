/* SPDX-License-Identifier: MIT */
/*
 * Keeping delegations: into the journal, and from there into memory.
 */

#include "agent/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/outbox-private.h"
#include "base/log.h"

static const char *name_of(const struct outbox *outbox)
{
	return outbox->member->settings->name;
}

static enum lifecycle_state state_of(const struct outbox *outbox)
{
	return *outbox->member->state;
}

bool outbox_may_call(const struct outbox *outbox)
{
	return state_of(outbox) == LIFECYCLE_ONLINE || state_of(outbox) == LIFECYCLE_DEGRADED;
}

struct outbox_entry *outbox_entry(const struct outbox *outbox, const char *id)
{
	list_for_each (node, &outbox->entries) {
		struct outbox_entry *entry = list_entry(node, struct outbox_entry, node);

		if (strcmp(entry->row.id, id) == 0)
			return entry;
	}

	return NULL;
}

/* --- telling --- */

void outbox_tell_rows(struct outbox *outbox, struct list *waiters, struct delegation *rows,
		      size_t n)
{
	outbox->told = (struct delegations){ rows, n };
	waiters_call(waiters, NULL);
	outbox->told = (struct delegations){ NULL };
	outbox->told_duplicate = false;
}

void outbox_tell(struct outbox_entry *entry, struct list *waiters)
{
	outbox_tell_rows(entry->outbox, waiters, &entry->row, 1);
}

/* --- entries --- */

struct outbox_entry *outbox_entry_new(struct outbox *outbox, struct delegation *row)
{
	struct outbox_entry *entry;

	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;

	entry->outbox = outbox;
	entry->row = *row;
	*row = (struct delegation){ .status = DELEGATE_PENDING };
	entry->class = PLATFORM_BACKGROUND;
	list_init(&entry->tried);
	list_init(&entry->ended);
	list_init(&entry->turn);
	list_append(&outbox->entries, &entry->node);
	outbox->n_open[entry->row.status]++;
	if (entry->row.status == DELEGATE_PENDING)
		list_append(&outbox->unsent, &entry->turn);
	return entry;
}

static void entry_free(struct outbox_entry *entry)
{
	struct outbox *outbox = entry->outbox;

	if (entry->sending)
		outbox->n_sending--;
	if (!delegate_status_is_final(entry->row.status))
		outbox->n_open[entry->row.status]--;
	list_remove(&entry->node);
	list_remove(&entry->turn);
	platform_call_stop(&entry->call);
	delegation_fini(&entry->row);
	free(entry);
}

void outbox_drop(struct outbox_entry *entry)
{
	struct error err = { 0 };

	(void)error_set(&err, ERROR_NOT_FOUND, 0, "delegation %s is not in the journal any more",
			entry->row.id);
	waiters_call(&entry->tried, &err);
	waiters_call(&entry->ended, &err);
	entry_free(entry);
}

static void entry_end(struct outbox_entry *entry)
{
	struct outbox *outbox = entry->outbox;

	switch (entry->row.status) {
	case DELEGATE_COMPLETED:
		outbox->n_completed++;
		break;
	case DELEGATE_FAILED:
		outbox->n_failed++;
		break;
	case DELEGATE_UNKNOWN:
		outbox->n_lost++;
		break;
	case DELEGATE_PENDING:
	case DELEGATE_DELEGATED:
	case DELEGATE_DISPATCHED:
	case DELEGATE_QUEUED:
		break;
	}
	log_event(LOG_INFO, name_of(outbox), "delegation_ended", NULL, "delegation %s to %s: %s",
		  entry->row.id, entry->row.to, delegate_status_name(entry->row.status));
	outbox_tell(entry, &entry->tried);
	outbox_tell(entry, &entry->ended);
	entry_free(entry);
}

/* --- changes --- */

void outbox_give_up(struct outbox_entry *entry)
{
	const char *name = name_of(entry->outbox);
	struct outbox_change change = { 0 };
	char why[ERROR_TEXT_MAX];
	struct error err;

	if (entry->exposed) {
		change.status = DELEGATE_UNKNOWN;
		(void)snprintf(why, sizeof(why),
			       "%s was deleted on the platform, which says no more about it", name);
	} else {
		change.status = DELEGATE_FAILED;
		(void)snprintf(why, sizeof(why), "%s was deleted on the platform; it was not sent",
			       name);
	}
	change.error = why;
	if (outbox_write(entry, &change, &err) < 0)
		log_event(LOG_WARNING, name, "journal_failed", NULL, "%s", err.text);
}

static void entry_update(struct outbox_entry *entry, struct delegation *row)
{
	struct outbox *outbox = entry->outbox;

	outbox->n_open[entry->row.status]--;
	delegation_fini(&entry->row);
	entry->row = *row;
	*row = (struct delegation){ .status = DELEGATE_PENDING };
	if (!delegate_status_is_final(entry->row.status))
		outbox->n_open[entry->row.status]++;
	outbox->news_ms = loop_now_ms(outbox->member->context->loop);
	outbox->events->on_updated(outbox->data, &entry->row);
}

static void on_written(struct outbox_job *job, const struct error *err)
{
	struct outbox *outbox = job->owner;
	struct outbox_entry *entry = outbox_entry(outbox, job->row.id);

	if (!entry)
		return;

	entry->writing = false;
	if (err)
		log_event(LOG_WARNING, name_of(outbox), "journal_failed", NULL,
			  "what became of delegation %s is not written down: %s", job->row.id,
			  err->text);
	else
		entry_update(entry, &job->row);
	if (entry->sending)
		outbox_sent(entry, err);

	if (delegate_status_is_final(entry->row.status))
		entry_end(entry);
	else if (state_of(outbox) == LIFECYCLE_REMOVED && !err)
		outbox_give_up(entry);
	else if (!entry->sending)
		outbox_tell(entry, &entry->tried);

	outbox_pump(outbox);
	outbox_follow(outbox, !err);
}

/* What is new in it replaces what is old; false without memory. */
static bool replace_text(char **text, const char *by, bool as_it_is)
{
	char *copy;

	if (!by)
		return true;

	copy = as_it_is ? strdup(by) : delegate_text_dup(by);
	if (!copy)
		return false;

	free(*text);
	*text = copy;
	return true;
}

int outbox_write(struct outbox_entry *entry, const struct outbox_change *change, struct error *err)
{
	struct outbox *outbox = entry->outbox;
	struct outbox_job *job;
	int r;

	job = outbox_job_new(OUTBOX_UPDATE, outbox, on_written);
	if (!job || delegation_copy(&job->row, &entry->row) < 0 ||
	    !replace_text(&job->row.platform_id, change->platform_id, true) ||
	    !replace_text(&job->row.preview, change->preview, false) ||
	    !replace_text(&job->row.error, change->error, false)) {
		outbox_job_free(job);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for delegation %s",
				 entry->row.id);
	}

	job->row.status = change->status;
	job->row.updated_wall_ms = wall_now_ms();
	r = outbox_job_submit(job, outbox->member->context->store, &outbox->jobs, err);
	if (r < 0)
		return r;

	entry->writing = true;
	return 0;
}

/* --- life --- */

int outbox_new(const struct membership *member, const struct outbox_events *events, void *data,
	       struct outbox **ret, struct error *err)
{
	struct outbox *outbox;

	if (!member->context->store)
		return error_set(err, ERROR_UNAVAILABLE, ENODEV, "there is no journal to use");

	outbox = calloc(1, sizeof(*outbox));
	if (!outbox)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the delegations of %s",
				 member->settings->name);

	*outbox = (struct outbox){ .member = member, .events = events, .data = data };
	list_init(&outbox->entries);
	list_init(&outbox->unsent);
	list_init(&outbox->jobs);
	outbox_send_init(outbox);
	outbox_follow_init(outbox);
	*ret = outbox;
	return 0;
}

/* Those who wait are told why; what the journal was given it keeps. */
static void outbox_stop(struct outbox *outbox)
{
	struct error err = { 0 };

	(void)error_set(&err, lifecycle_refusal(state_of(outbox)), 0, "%s is %s", name_of(outbox),
			lifecycle_state_name(state_of(outbox)));
	outbox_send_hold(outbox, true);
	outbox_follow_hold(outbox);
	while (!list_empty(&outbox->jobs)) {
		struct outbox_job *job = list_entry(outbox->jobs.next, struct outbox_job, node);

		waiters_call(&job->waiters, &err);
		outbox_job_abandon(job);
	}
	list_for_each (node, &outbox->entries) {
		struct outbox_entry *entry = list_entry(node, struct outbox_entry, node);

		waiters_call(&entry->tried, &err);
		waiters_call(&entry->ended, &err);
	}
}

void outbox_free(struct outbox *outbox)
{
	if (!outbox)
		return;

	outbox_stop(outbox);
	while (!list_empty(&outbox->entries))
		entry_free(list_entry(outbox->entries.next, struct outbox_entry, node));
	free(outbox);
}

static void give_all_up(struct outbox *outbox)
{
	list_for_each_safe (node, &outbox->entries) {
		struct outbox_entry *entry = list_entry(node, struct outbox_entry, node);

		if (!entry->writing)
			outbox_give_up(entry);
	}
}

void outbox_on_state(struct outbox *outbox)
{
	switch (state_of(outbox)) {
	case LIFECYCLE_ONLINE:
	case LIFECYCLE_DEGRADED:
		outbox_pump(outbox);
		outbox_follow(outbox, true);
		return;
	case LIFECYCLE_JOINING:
	case LIFECYCLE_UNREACHABLE:
		outbox_send_hold(outbox, false);
		outbox_follow_hold(outbox);
		return;
	case LIFECYCLE_PAUSED:
	case LIFECYCLE_MISROUTED:
	case LIFECYCLE_AUTH_LOST:
		outbox_send_hold(outbox, true);
		outbox_follow_hold(outbox);
		return;
	case LIFECYCLE_REMOVED:
		outbox_send_hold(outbox, true);
		outbox_follow_hold(outbox);
		give_all_up(outbox);
		return;
	case LIFECYCLE_LEAVING:
		outbox_stop(outbox);
		return;
	}
}

void outbox_wake(struct outbox *outbox)
{
	outbox_send_wake(outbox);
	outbox_follow_wake(outbox);
}

int outbox_adopt(struct outbox *outbox, struct delegation *row)
{
	struct outbox_entry *entry;

	if (delegate_status_is_final(row->status) || outbox_entry(outbox, row->id))
		return 0;

	entry = outbox_entry_new(outbox, row);
	if (!entry)
		return -ENOMEM;

	/* An earlier life may have sent it, and not lived to hear the answer. */
	entry->exposed = true;
	outbox->events->on_updated(outbox->data, &entry->row);
	if (state_of(outbox) == LIFECYCLE_REMOVED)
		outbox_give_up(entry);
	outbox_pump(outbox);
	outbox_follow(outbox, true);
	return 0;
}
