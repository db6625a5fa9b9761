/* SPDX-License-Identifier: MIT */
/*
 * Sending: what is pending goes to the platform until it says that it has it, or
 * that it will not. One at a time is read from the journal, sent, and written
 * down; a few do so at once. When a try fails, the others wait with it: it is
 * the platform that fails, mostly. Each new one has its first try at once, so
 * that one which never succeeds holds up nobody.
 */

#include <errno.h>
#include <string.h>

#include "agent/outbox-private.h"
#include "base/log.h"

/* Back among those that wait; in front, if its turn was taken from it. */
static void give_turn_back(struct outbox_entry *entry, bool in_front)
{
	struct outbox *outbox = entry->outbox;

	if (entry->sending)
		outbox->n_sending--;
	entry->sending = false;
	entry->class = PLATFORM_BACKGROUND;
	if (in_front)
		list_prepend(&outbox->unsent, &entry->turn);
	else
		list_append(&outbox->unsent, &entry->turn);
}

/* It will be tried again; retry_after_ms is the platform's wish, or 0. */
static void try_failed(struct outbox_entry *entry, const struct error *err, int64_t retry_after_ms)
{
	struct outbox *outbox = entry->outbox;
	int64_t wait_ms;

	outbox->n_send_failures++;
	log_event(LOG_DEBUG, outbox->member->settings->name, "delegation_delayed", NULL,
		  "delegation %s is not sent yet: %s", entry->row.id, err->text);
	give_turn_back(entry, false);
	if (!timer_is_running(&outbox->send_timer) && outbox_may_call(outbox)) {
		wait_ms = backoff_failed(&outbox->send_backoff, &polling_backoff, random_u32());
		timer_start(&outbox->send_timer, MAX(wait_ms, retry_after_ms));
	}
	outbox_tell(entry, &entry->tried);
}

void outbox_sent(struct outbox_entry *entry, const struct error *err)
{
	struct outbox *outbox = entry->outbox;

	if (err) {
		try_failed(entry, err, 0);
		return;
	}

	entry->sending = false;
	outbox->n_sending--;
	outbox->n_sent++;
}

/* The platform has it, or refuses it: either is written down before it counts. */
static void conclude(struct outbox_entry *entry, const struct outbox_change *change)
{
	struct error err;

	if (outbox_write(entry, change, &err) < 0)
		try_failed(entry, &err, 0);
}

static void read_success(struct outbox_entry *entry, const struct platform_reply *reply)
{
	struct outbox *outbox = entry->outbox;
	struct outbox_change change = { 0 };
	struct error err;

	if (!delegate_posted(reply, &change.platform_id, &change.status)) {
		(void)error_set(&err, ERROR_PLATFORM, EBADMSG,
				"the platform took it and does not say under which id");
		try_failed(entry, &err, 0);
		return;
	}

	backoff_succeeded(&outbox->send_backoff, &polling_backoff,
			  loop_now_ms(outbox->member->context->loop));
	conclude(entry, &change);
}

static void on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct outbox_entry *entry = container_of(call, struct outbox_entry, call);
	struct outbox *outbox = entry->outbox;
	struct outbox_change refused = { .status = DELEGATE_FAILED, .error = reply->err.text };

	switch (reply->verdict) {
	case PLATFORM_OK:
		read_success(entry, reply);
		return;
	case PLATFORM_REJECTED:
		conclude(entry, &refused);
		return;
	case PLATFORM_DOWN:
	case PLATFORM_LIMITED:
		try_failed(entry, &reply->err, reply->err.retry_after_ms);
		return;
	case PLATFORM_MISSING:
		conclude(entry, &refused);
		break;
	case PLATFORM_UNAUTHORIZED:
	case PLATFORM_DELETED:
	case PLATFORM_STRAY:
		try_failed(entry, &reply->err, reply->err.retry_after_ms);
		break;
	}

	outbox->events->on_doubt(outbox->data);
}

static void post(struct outbox_entry *entry, const struct outbox_job *job)
{
	const struct membership *member = entry->outbox->member;
	const struct delegate_order order = {
		.source = member->settings->id,
		.name = member->settings->name,
		.token = member->token->text,
		.target = entry->row.to,
		.task = job->task,
		.task_len = job->task_len,
		.key = entry->row.key,
		.class = entry->class,
	};
	struct error err;

	platform_call_init(&entry->call, on_reply);
	entry->exposed = true;
	if (delegate_post(&entry->call, member->platform, &order, &err) < 0)
		try_failed(entry, &err, 0);
}

static void on_task(struct outbox_job *job, const struct error *err)
{
	struct outbox *outbox = job->owner;
	struct outbox_entry *entry = outbox_entry(outbox, job->row.id);

	/* Meanwhile it has ended, or its turn was taken back, or it has another one already. */
	if (!entry || !entry->sending || entry->writing || platform_call_is_running(&entry->call))
		return;

	if (err)
		try_failed(entry, err, 0);
	else if (!job->task)
		outbox_drop(entry);
	else
		post(entry, job);
}

static void take_turn(struct outbox_entry *entry, enum platform_class class)
{
	struct outbox *outbox = entry->outbox;
	struct outbox_job *job;
	struct error err;

	list_remove(&entry->turn);
	entry->sending = true;
	entry->class = class;
	outbox->n_sending++;

	job = outbox_job_new(OUTBOX_TASK, outbox, on_task);
	if (!job) {
		(void)error_set(&err, ERROR_INTERNAL, ENOMEM, "no memory to read it");
		try_failed(entry, &err, 0);
		return;
	}

	memcpy(job->row.id, entry->row.id, sizeof(job->row.id));
	if (outbox_job_submit(job, outbox->member->context->store, &outbox->jobs, &err) < 0)
		try_failed(entry, &err, 0);
}

void outbox_pump(struct outbox *outbox)
{
	while (outbox_may_call(outbox) && !timer_is_running(&outbox->send_timer) &&
	       outbox->n_sending < OUTBOX_SENDING_MAX && !list_empty(&outbox->unsent))
		take_turn(list_entry(outbox->unsent.next, struct outbox_entry, turn),
			  PLATFORM_BACKGROUND);
}

void outbox_send_first(struct outbox_entry *entry)
{
	struct outbox *outbox = entry->outbox;

	if (outbox_may_call(outbox) && outbox->n_sending < OUTBOX_SENDING_MAX)
		take_turn(entry, PLATFORM_FOREGROUND);
}

static void on_timer(struct timer *timer)
{
	outbox_pump(container_of(timer, struct outbox, send_timer));
}

void outbox_send_init(struct outbox *outbox)
{
	timer_init(&outbox->send_timer, outbox->member->context->loop, on_timer);
}

void outbox_send_hold(struct outbox *outbox, bool recall)
{
	timer_stop(&outbox->send_timer);
	if (!recall)
		return;

	list_for_each (node, &outbox->entries) {
		struct outbox_entry *entry = list_entry(node, struct outbox_entry, node);

		if (!entry->sending || entry->writing)
			continue;

		platform_call_stop(&entry->call);
		give_turn_back(entry, true);
		outbox_tell(entry, &entry->tried);
	}
}

void outbox_send_wake(struct outbox *outbox)
{
	if (!timer_is_running(&outbox->send_timer))
		return;

	backoff_reset(&outbox->send_backoff);
	timer_start(&outbox->send_timer,
		    backoff_failed(&outbox->send_backoff, &polling_backoff, random_u32()));
}
