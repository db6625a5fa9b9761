/* SPDX-License-Identifier: MIT */
/*
 * What somebody local asked a workspace to do: a refresh, another card. Most
 * workspaces are never asked, so what is needed to remember who waits is made
 * at the first request.
 */

#include <errno.h>
#include <string.h>

#include "agent/workspace-private.h"

struct workspace_errands {
	struct workspace *workspace; /* borrowed */
	struct platform_call card_call;
	struct list join_waiters, card_waiters, refresh_waiters;
	struct loop_work joined_soon;
	unsigned refresh_left;       /* parts that a refresh still waits for */
	struct error *refresh_error; /* owned; NULL: none */
};

void workspace_refresh_settle(struct workspace *workspace, unsigned parts, const struct error *err)
{
	struct workspace_errands *errands = workspace->errands;

	if (!errands || !(errands->refresh_left & parts))
		return;

	errands->refresh_left &= ~parts;
	if (err && err->kind != ERROR_NONE)
		error_keep(&errands->refresh_error, err);
	if (errands->refresh_left)
		return;

	waiters_call(&errands->refresh_waiters, errands->refresh_error);
	error_keep(&errands->refresh_error, NULL);
}

static void card_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct workspace_errands *errands = container_of(call, struct workspace_errands, card_call);
	struct workspace *workspace = errands->workspace;

	waiters_call(&errands->card_waiters, reply->verdict == PLATFORM_OK ? NULL : &reply->err);
	if (reply->verdict == PLATFORM_UNAUTHORIZED || reply->verdict == PLATFORM_STRAY)
		workspace_doubt(workspace);
}

static void errands_on_joined_soon(struct loop_work *work)
{
	struct workspace_errands *errands =
		container_of(work, struct workspace_errands, joined_soon);

	if (errands->workspace->state != LIFECYCLE_JOINING)
		waiters_call(&errands->join_waiters, NULL);
}

static struct workspace_errands *errands_of(struct workspace *workspace, struct error *err)
{
	struct workspace_errands *errands = workspace->errands;

	if (errands)
		return errands;

	errands = calloc(1, sizeof(*errands));
	if (!errands) {
		(void)error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for what %s is asked",
				workspace->settings.name);
		return NULL;
	}

	errands->workspace = workspace;
	list_init(&errands->join_waiters);
	list_init(&errands->card_waiters);
	list_init(&errands->refresh_waiters);
	loop_work_init(&errands->joined_soon, errands_on_joined_soon);
	platform_call_init(&errands->card_call, card_on_reply);
	workspace->errands = errands;
	return errands;
}

void workspace_refresh_joined(struct workspace *workspace, const struct error *err)
{
	workspace_refresh_settle(workspace, REFRESH_JOIN, err);
}

static void workspace_refresh_drop(struct workspace *workspace, const struct error *err)
{
	workspace_refresh_settle(workspace, REFRESH_BEAT | REFRESH_POLL | REFRESH_JOIN, err);
}

void workspace_refresh_follow(struct workspace *workspace)
{
	if (workspace->errands && workspace->errands->refresh_left)
		workspace->errands->refresh_left = REFRESH_JOIN;
}

void workspace_refresh_hushed(struct workspace *workspace, const struct error *err)
{
	workspace_refresh_settle(workspace, REFRESH_BEAT, err);
}

/* What a refresh of this state waits for. */
static unsigned refresh_parts(struct workspace *workspace)
{
	bool settled = workspace_is_settled(workspace);
	unsigned parts = 0;

	if (workspace_is_joining(workspace))
		return REFRESH_JOIN;

	if (!settled && workspace->state != LIFECYCLE_PAUSED) {
		workspace_plan_join(workspace, 0);
		return REFRESH_JOIN;
	}

	if (settled) {
		heartbeat_now(&workspace->heartbeat);
		if (platform_call_is_running(&workspace->heartbeat.call))
			parts |= REFRESH_BEAT;
	}
	workspace_poll_now(workspace);
	if (platform_call_is_running(&workspace->poll_call))
		parts |= REFRESH_POLL;
	return parts;
}

int workspace_refresh(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	struct workspace_errands *errands;
	unsigned parts;

	if (workspace->state == LIFECYCLE_REMOVED || workspace->state == LIFECYCLE_LEAVING)
		return workspace_may_call(workspace, err);

	errands = errands_of(workspace, err);
	if (!errands)
		return -ENOMEM;

	parts = refresh_parts(workspace);
	if (!parts)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to refresh %s",
				 workspace->settings.name);

	errands->refresh_left |= parts;
	list_append(&errands->refresh_waiters, &waiter->node);
	return 0;
}

/* The card is the settings' from now on; on disk too, when they are ours to write. */
static int workspace_keep_card(struct workspace *workspace, const char *card, size_t len,
			       struct error *err)
{
	struct agent_context *context = workspace->context;
	char *before = workspace->settings.agent_card;
	char *copy;
	int r;

	copy = strndup(card, len);
	if (!copy)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for an agent card");

	workspace->settings.agent_card = copy;
	if (workspace->settings.joined) {
		r = context->events->save(context->events_data, &workspace->settings, err);
		if (r < 0) {
			workspace->settings.agent_card = before;
			free(copy);
			return r;
		}
	}
	free(before);
	return 0;
}

int workspace_update_card(struct workspace *workspace, const char *card, size_t len,
			  struct waiter *waiter, struct error *err)
{
	const struct workspace_settings *settings = &workspace->settings;
	struct workspace_errands *errands;
	int r;

	r = workspace_may_call(workspace, err);
	if (r < 0)
		return r;

	errands = errands_of(workspace, err);
	if (!errands)
		return -ENOMEM;

	if (platform_call_is_running(&errands->card_call))
		return error_set(err, ERROR_CONFLICT, EBUSY,
				 "another card of %s is on its way; wait for that", settings->name);

	r = workspace_keep_card(workspace, card, len, err);
	if (r < 0)
		return r;

	r = registry_update_card(&errands->card_call, workspace->platform, settings->id,
				 workspace->token.text, card, len, err);
	if (r < 0)
		return r;

	list_append(&errands->card_waiters, &waiter->node);
	return 0;
}

void workspace_errands_drop(struct workspace *workspace, const struct error *err)
{
	struct workspace_errands *errands = workspace->errands;

	if (!errands)
		return;

	platform_call_stop(&errands->card_call);
	workspace_refresh_drop(workspace, err);
	waiters_call(&errands->card_waiters, err);
}

void workspace_tell_joined(struct workspace *workspace)
{
	if (workspace->errands)
		loop_defer(workspace->context->loop, &workspace->errands->joined_soon);
}

int workspace_await_join(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	struct workspace_errands *errands = errands_of(workspace, err);

	if (!errands)
		return -ENOMEM;

	list_append(&errands->join_waiters, &waiter->node);
	if (workspace->state != LIFECYCLE_JOINING)
		workspace_tell_joined(workspace);
	return 0;
}

void workspace_errands_free(struct workspace *workspace)
{
	struct workspace_errands *errands = TAKE(workspace->errands);

	if (!errands)
		return;

	loop_work_cancel(&errands->joined_soon);
	waiters_call(&errands->join_waiters, workspace->last_error);
	error_keep(&errands->refresh_error, NULL);
	free(errands);
}
