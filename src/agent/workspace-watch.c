/* SPDX-License-Identifier: MIT */
/*
 * Watching a workspace that has joined: the state poll, what heartbeats come
 * back with, and refreshes that somebody local asked for.
 */

#include <errno.h>
#include <string.h>

#include "agent/workspace-private.h"

static void poll_arm(struct workspace *workspace, int64_t hold_ms)
{
	int64_t interval = workspace->settings.state_poll_interval_ms;

	agenda_plan(&workspace->agenda, AGENDA_POLL, MAX(interval, hold_ms));
}

/* The platform wants a register, but not one a poll: as often as failures are retried. */
static void poll_bring_up(struct workspace *workspace, const char *status)
{
	if (workspace->beaten && !agenda_has(&workspace->agenda, AGENDA_JOIN) &&
	    workspace_wants_register(workspace, status))
		workspace_plan_join(workspace, backoff_failed(&workspace->join_backoff,
							      &polling_backoff, random_u32()));
}

static void poll_read(struct workspace *workspace, const struct state_answer *answer)
{
	enum lifecycle_event event;
	struct error why = { 0 };

	workspace->context->counts.polls.ok++;
	workspace_proved(workspace);
	workspace_note_status(workspace, answer);
	event = workspace_read_status(workspace, answer, &why);
	workspace_event(workspace, event, &why);
	if (event != LIFECYCLE_PAUSE && !workspace_is_joining(workspace))
		poll_bring_up(workspace, answer->status);
	workspace_refresh_settle(workspace, REFRESH_POLL, NULL);
}

/* What is no answer yet is followed by a question, and a refresh waits for that. */
static void watch_weigh(struct workspace *workspace, enum refresh_part part,
			const struct platform_reply *reply)
{
	bool unclear =
		reply->verdict == PLATFORM_UNAUTHORIZED || reply->verdict == PLATFORM_MISSING;

	if (!unclear)
		workspace_refresh_settle(workspace, part, &reply->err);
	workspace_weigh(workspace, reply);
	workspace_refresh_settle(workspace, part, &reply->err);
}

static void poll_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct workspace *workspace = container_of(call, struct workspace, poll_call);
	int64_t now_ms = loop_now_ms(workspace->context->loop);
	struct platform_reply bad = *reply;
	struct state_answer answer;

	if (reply->verdict == PLATFORM_OK) {
		if (state_parse(reply, workspace->settings.id, &answer, &bad.err) == 0) {
			backoff_succeeded(&workspace->poll_backoff, &polling_backoff, now_ms);
			poll_arm(workspace, 0);
			poll_read(workspace, &answer);
			return;
		}
		bad.verdict = PLATFORM_DOWN;
	}

	workspace->context->counts.polls.failed++;
	poll_arm(workspace,
		 backoff_failed(&workspace->poll_backoff, &polling_backoff, random_u32()));
	watch_weigh(workspace, REFRESH_POLL, &bad);
}

void workspace_poll_now(struct workspace *workspace)
{
	const struct workspace_settings *settings = &workspace->settings;
	struct error err = { 0 };

	agenda_drop(&workspace->agenda, AGENDA_POLL);
	workspace->doubted = false;
	if (state_get(&workspace->poll_call, workspace->platform, settings->id, settings->name,
		      workspace->token.text, &err) == 0)
		return;

	poll_arm(workspace, BACKOFF_FIRST_MS);
	workspace_refresh_settle(workspace, REFRESH_POLL, &err);
}

/* The first poll falls somewhere in the interval, so that a fleet does not ask in step. */
void workspace_watch(struct workspace *workspace)
{
	int64_t interval = workspace->settings.state_poll_interval_ms;

	if (agenda_has(&workspace->agenda, AGENDA_POLL) ||
	    platform_call_is_running(&workspace->poll_call))
		return;

	agenda_plan(&workspace->agenda, AGENDA_POLL,
		    interval / 2 + (int64_t)(((uint64_t)interval * random_u32()) >> 33));
}

void workspace_unwatch(struct workspace *workspace)
{
	agenda_drop(&workspace->agenda, AGENDA_POLL);
	platform_call_stop(&workspace->poll_call);
	workspace->doubted = false;
	workspace_refresh_settle(workspace, REFRESH_POLL, NULL);
}

static void beat_on_reply(struct heartbeat *heartbeat, const struct platform_reply *reply)
{
	struct workspace *workspace = container_of(heartbeat, struct workspace, heartbeat);

	workspace->beaten |= reply->verdict == PLATFORM_OK;
	if (workspace->step == WORKSPACE_BEATS) {
		workspace_refresh_settle(workspace, REFRESH_BEAT,
					 reply->verdict == PLATFORM_OK ? NULL : &reply->err);
		workspace_join_beat(workspace, reply);
		return;
	}
	if (reply->verdict == PLATFORM_OK) {
		workspace_refresh_settle(workspace, REFRESH_BEAT, NULL);
		/* It does not prove the token (a deleted workspace gets a 200 too), only the
		 * platform. */
		workspace->failures = 0;
		return;
	}
	/* What the joining sequence is about to find out needs no second opinion. */
	if (workspace_is_joining(workspace))
		workspace_refresh_settle(workspace, REFRESH_BEAT, &reply->err);
	else
		watch_weigh(workspace, REFRESH_BEAT, reply);
}

void workspace_watch_init(struct workspace *workspace)
{
	platform_call_init(&workspace->poll_call, poll_on_reply);
	heartbeat_init(&workspace->heartbeat, &workspace->membership, &workspace->reporter,
		       beat_on_reply);
}

void workspace_doubt(struct workspace *workspace)
{
	/* Who doubts again and again does not put off the poll again and again. */
	if (!workspace_is_settled(workspace) || workspace->doubted ||
	    workspace_is_joining(workspace) || platform_call_is_running(&workspace->poll_call))
		return;

	workspace->doubted = true;
	agenda_plan(&workspace->agenda, AGENDA_POLL, workspace_jitter(BACKOFF_FIRST_MS));
}
