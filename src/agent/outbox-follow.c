/* SPDX-License-Identifier: MIT */
/*
 * Following: one request tells of all delegations that the platform has. It is
 * made two seconds after something has happened, then after ever longer times up
 * to a minute; up to ten when nothing has happened for an hour; within ten
 * seconds while somebody waits here.
 *
 * The platform lists its newest fifty rows. A delegation that is not among them
 * may come back when it ends well, since that is a row of its own; else it is in
 * the log, which is asked once a minute then. After a week the platform has
 * forgotten it.
 */

#include <string.h>

#include "agent/outbox-private.h"
#include "base/log.h"

#define FIRST_MS 2000
#define AWAITED_MS 10000
#define BUSY_MS 60000
#define IDLE_MS 600000
#define IDLE_AFTER_MS 3600000
#define MORE_EVERY_MS 60000
#define MORE_AGAIN_MS 600000 /* after a failure */
/* Seven days, and the six hours in which the platform gets round to it. */
#define FORGOTTEN_AFTER_MS (((int64_t)7 * 24 + 6) * 3600000)

static bool is_followed(const struct outbox_entry *entry)
{
	return entry->row.platform_id && !entry->writing &&
	       !delegate_status_is_final(entry->row.status);
}

static bool is_awaited(const struct outbox *outbox)
{
	list_for_each (node, &outbox->entries)
		if (!list_empty(&list_entry(node, struct outbox_entry, node)->ended))
			return true;

	return false;
}

static bool has_followed(const struct outbox *outbox)
{
	return outbox->n_open[DELEGATE_DELEGATED] + outbox->n_open[DELEGATE_DISPATCHED] +
	       outbox->n_open[DELEGATE_QUEUED];
}

static int64_t interval_max(const struct outbox *outbox, bool awaited)
{
	int64_t quiet_ms = loop_now_ms(outbox->member->context->loop) - outbox->news_ms;

	if (awaited)
		return AWAITED_MS;
	return quiet_ms < IDLE_AFTER_MS ? BUSY_MS : IDLE_MS;
}

/* U(0.5, 1.5): a host's workspaces do not ask in step. */
static int64_t jitter(int64_t ms)
{
	return ms / 2 + (int64_t)(((uint64_t)ms * random_u32()) >> 32);
}

void outbox_follow(struct outbox *outbox, bool soon)
{
	int64_t interval_ms;

	if (!outbox_may_call(outbox) || !has_followed(outbox)) {
		outbox_follow_hold(outbox);
		return;
	}

	if (soon || !outbox->follow_interval_ms)
		outbox->follow_interval_ms = FIRST_MS;
	if (platform_call_is_running(&outbox->follow_call) ||
	    platform_call_is_running(&outbox->more_call) ||
	    (outbox->follow_failing && timer_is_running(&outbox->follow_timer)))
		return;

	interval_ms = MIN(outbox->follow_interval_ms, interval_max(outbox, is_awaited(outbox)));
	if (!timer_is_running(&outbox->follow_timer) ||
	    timer_left_ms(&outbox->follow_timer) > interval_ms)
		timer_start(&outbox->follow_timer, jitter(interval_ms));
}

/* The platform tells of it no more. What is not written down now the next list says again. */
static void look_lost(struct outbox_entry *entry)
{
	struct outbox_change change = { .status = DELEGATE_UNKNOWN };

	if (wall_now_ms() - entry->row.created_wall_ms < FORGOTTEN_AFTER_MS)
		return;

	change.error = "the platform has forgotten it: in a week it has not said what became of it";
	(void)outbox_write(entry, &change, NULL);
}

static void look_found(struct outbox_entry *entry, const struct delegate_row *found)
{
	const char *token = entry->outbox->member->token->text;
	struct outbox_change change = {
		.status = found->status,
		.preview = found->preview,
		.error = found->error,
	};

	if (found->status <= entry->row.status)
		return;

	/* It is somebody else's text. */
	if (change.error && token && strstr(change.error, token))
		change.error = "what went wrong cannot be shown: our token is in it";
	if (change.status == DELEGATE_FAILED && !change.error)
		change.error = "the platform does not say why";
	(void)outbox_write(entry, &change, NULL);
}

enum reading {
	READ_NOTHING, /* it was no list */
	READ_ALL,
	READ_SOME, /* some are not in it */
};

static enum reading read_list(struct outbox *outbox, const struct platform_reply *reply)
{
	enum reading reading = READ_ALL;
	struct delegate_row *rows, found;
	int n;

	rows = calloc(DELEGATE_ROWS_MAX, sizeof(*rows));
	n = rows ? delegate_rows(reply, rows, DELEGATE_ROWS_MAX) : -1;
	if (n < 0) {
		free(rows);
		return READ_NOTHING;
	}

	list_for_each (node, &outbox->entries) {
		struct outbox_entry *entry = list_entry(node, struct outbox_entry, node);

		if (!is_followed(entry))
			continue;
		if (delegate_rows_find(rows, (size_t)n, entry->row.platform_id, &found)) {
			look_found(entry, &found);
		} else {
			look_lost(entry);
			reading = READ_SOME;
		}
	}
	free(rows);
	return reading;
}

static struct delegate_order question(const struct outbox *outbox)
{
	const struct membership *member = outbox->member;

	return (struct delegate_order){
		.source = member->settings->id,
		.name = member->settings->name,
		.token = member->token->text,
		.class = is_awaited(outbox) ? PLATFORM_FOREGROUND : PLATFORM_BACKGROUND,
	};
}

/* What the list has no room for is in the log, where a look costs more. */
static bool ask_more(struct outbox *outbox)
{
	int64_t every_ms = is_awaited(outbox) ? AWAITED_MS : MORE_EVERY_MS;
	int64_t now_ms = loop_now_ms(outbox->member->context->loop);
	struct delegate_order order = question(outbox);

	if (outbox->more_failing)
		every_ms = MORE_AGAIN_MS;
	if (outbox->more_asked_ms && now_ms - outbox->more_asked_ms < every_ms)
		return false;

	outbox->more_asked_ms = now_ms;
	return delegate_list_more(&outbox->more_call, outbox->member->platform, &order, NULL) == 0;
}

static void go_on(struct outbox *outbox)
{
	outbox->follow_interval_ms =
		MIN(outbox->follow_interval_ms * 3 / 2, interval_max(outbox, false));
	outbox_follow(outbox, false);
}

static void on_more(struct platform_call *call, const struct platform_reply *reply)
{
	struct outbox *outbox = container_of(call, struct outbox, more_call);

	/* It may be longer than we want to read, and will not get shorter soon. */
	outbox->more_failing =
		reply->verdict != PLATFORM_OK || read_list(outbox, reply) == READ_NOTHING;
	go_on(outbox);
}

static void on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct outbox *outbox = container_of(call, struct outbox, follow_call);
	int64_t now_ms = loop_now_ms(outbox->member->context->loop), wait_ms;
	enum reading reading = READ_NOTHING;

	outbox->n_polls++;
	if (reply->verdict == PLATFORM_OK)
		reading = read_list(outbox, reply);
	if (reading != READ_NOTHING) {
		outbox->follow_failing = false;
		backoff_succeeded(&outbox->follow_backoff, &polling_backoff, now_ms);
		if (reading == READ_ALL || !delegate_list_is_full(reply) || !ask_more(outbox))
			go_on(outbox);
		return;
	}

	outbox->n_poll_failures++;
	outbox->follow_failing = true;
	if (reply->verdict != PLATFORM_OK && reply->verdict != PLATFORM_DOWN &&
	    reply->verdict != PLATFORM_LIMITED)
		outbox->events->on_doubt(outbox->data);
	wait_ms = backoff_failed(&outbox->follow_backoff, &polling_backoff, random_u32());
	wait_ms = MAX(wait_ms, outbox->follow_interval_ms);
	if (outbox_may_call(outbox))
		timer_start(&outbox->follow_timer, MAX(wait_ms, reply->err.retry_after_ms));
}

static void on_timer(struct timer *timer)
{
	struct outbox *outbox = container_of(timer, struct outbox, follow_timer);
	struct delegate_order order = question(outbox);

	if (delegate_list(&outbox->follow_call, outbox->member->platform, &order, NULL) < 0)
		timer_start(timer, BUSY_MS);
}

void outbox_follow_init(struct outbox *outbox)
{
	timer_init(&outbox->follow_timer, outbox->member->context->loop, on_timer);
	platform_call_init(&outbox->follow_call, on_reply);
	platform_call_init(&outbox->more_call, on_more);
}

void outbox_follow_hold(struct outbox *outbox)
{
	timer_stop(&outbox->follow_timer);
	platform_call_stop(&outbox->follow_call);
	platform_call_stop(&outbox->more_call);
}

void outbox_follow_wake(struct outbox *outbox)
{
	if (timer_is_running(&outbox->follow_timer))
		timer_start(&outbox->follow_timer, jitter(BACKOFF_FIRST_MS));
}
