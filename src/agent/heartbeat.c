/* SPDX-License-Identifier: MIT */
/*
 * Keeping time for heartbeats. Beats fall on a grid of their own: a late one
 * does not shift those after it, and a host that slept beats once, not for
 * every beat that it missed.
 */

#include "agent/heartbeat.h"

#include <string.h>

#include "platform/registry.h"

#define LATE_MS 1000

static int64_t heartbeat_interval(const struct heartbeat *heartbeat)
{
	return heartbeat->member->settings->heartbeat_interval_ms;
}

/* The next point of the grid after now. */
static void heartbeat_plan(struct heartbeat *heartbeat)
{
	int64_t now_ms = loop_now_ms(heartbeat->member->context->loop);
	int64_t interval = heartbeat_interval(heartbeat);
	int64_t phase_ms = (int64_t)(((uint64_t)heartbeat->phase * (uint64_t)interval) >> 32);
	int64_t into = (now_ms - phase_ms) % interval;

	if (into < 0)
		into += interval;
	agenda_plan(heartbeat->member->agenda, AGENDA_BEAT, interval - into);
}

static void heartbeat_record(struct heartbeat *heartbeat, const struct platform_reply *reply)
{
	int64_t now_ms = loop_now_ms(heartbeat->member->context->loop);

	if (reply->verdict == PLATFORM_OK) {
		heartbeat->ok++;
		heartbeat->last_ok_wall_ms = wall_now_ms();
		error_keep(&heartbeat->last_error, NULL);
		backoff_succeeded(&heartbeat->backoff, &polling_backoff, now_ms);
		return;
	}

	heartbeat->failed++;
	error_keep(&heartbeat->last_error, &reply->err);
	/* A failing platform is never asked more often than one that works. */
	heartbeat->hold_until_ms =
		now_ms + backoff_failed(&heartbeat->backoff, &polling_backoff, random_u32());
}

static void heartbeat_on_done(struct platform_call *call, const struct platform_reply *reply)
{
	struct heartbeat *heartbeat = container_of(call, struct heartbeat, call);

	heartbeat_record(heartbeat, reply);
	heartbeat->on_reply(heartbeat, reply);
	/* Careful: the heartbeat may be gone. */
}

/* A beat that found no memory is a failed one. */
static void heartbeat_fail(struct heartbeat *heartbeat, const struct error *err)
{
	struct platform_reply reply = { .verdict = PLATFORM_DOWN, .body = "", .err = *err };

	heartbeat_record(heartbeat, &reply);
}

static void heartbeat_send(struct heartbeat *heartbeat)
{
	const struct membership *member = heartbeat->member;
	struct report report = reporter_sum(heartbeat->reporter);
	int64_t now_ms = loop_now_ms(member->context->loop);
	struct error err = { 0 };
	struct registry_beat beat = {
		.id = member->settings->id,
		.name = member->settings->name,
		.token = member->token->text,
		.uptime_s = (now_ms - heartbeat->born_ms) / 1000,
		.active_tasks = report.active_tasks,
		.error_rate = report.error_rate,
		.current_task = report.current_task,
		.sample_error = report.sample_error,
		.runtime_state = report.runtime_state,
		.timeout_ms = MIN((int64_t)HEARTBEAT_TIMEOUT_MS, heartbeat_interval(heartbeat)),
	};

	heartbeat->sent++;
	if (registry_heartbeat(&heartbeat->call, member->platform, &beat, &err) < 0)
		heartbeat_fail(heartbeat, &err);
}

/* FNV-1a: what must be stable and spread need not be secret. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

void heartbeat_init(struct heartbeat *heartbeat, const struct membership *member,
		    const struct reporter *reporter, heartbeat_fn on_reply)
{
	uint64_t hash =
		mix(mix(14695981039346656037u, member->context->machine), member->settings->id);

	*heartbeat =
		(struct heartbeat){ .member = member, .reporter = reporter, .on_reply = on_reply };
	/* The low bits of a product are the poorest: take the high ones. */
	heartbeat->phase = (uint32_t)(hash >> 32);
	heartbeat->born_ms = loop_now_ms(member->context->loop);
	platform_call_init(&heartbeat->call, heartbeat_on_done);
}

void heartbeat_fini(struct heartbeat *heartbeat)
{
	heartbeat_stop(heartbeat);
	error_keep(&heartbeat->last_error, NULL);
}

void heartbeat_start(struct heartbeat *heartbeat)
{
	if (heartbeat->running)
		return;

	heartbeat->running = true;
	heartbeat->hold_until_ms = 0;
	heartbeat_plan(heartbeat);
}

void heartbeat_recall(struct heartbeat *heartbeat)
{
	platform_call_stop(&heartbeat->call);
}

void heartbeat_due(struct heartbeat *heartbeat, int64_t due_ms)
{
	int64_t now_ms = loop_now_ms(heartbeat->member->context->loop);
	bool overdue = platform_call_is_running(&heartbeat->call);
	struct platform_reply silence = { .verdict = PLATFORM_DOWN, .body = "" };

	if (now_ms - due_ms > LATE_MS)
		heartbeat->late++;
	heartbeat_plan(heartbeat);

	if (!overdue) {
		if (now_ms >= heartbeat->hold_until_ms)
			heartbeat_send(heartbeat);
		return;
	}

	platform_call_stop(&heartbeat->call);
	(void)error_set(
		&silence.err, ERROR_UNAVAILABLE, 0,
		"cannot send the heartbeat of %s: the last one got no answer until this one "
		"was due",
		heartbeat->member->settings->name);
	heartbeat_record(heartbeat, &silence);
	heartbeat_send(heartbeat);
	heartbeat->on_reply(heartbeat, &silence);
	/* Careful: the heartbeat may be gone. */
}

void heartbeat_adjust(struct heartbeat *heartbeat)
{
	if (heartbeat->running)
		heartbeat_plan(heartbeat);
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
	heartbeat->running = false;
	agenda_drop(heartbeat->member->agenda, AGENDA_BEAT);
	platform_call_stop(&heartbeat->call);
}

void heartbeat_now(struct heartbeat *heartbeat)
{
	heartbeat_send(heartbeat);
}
