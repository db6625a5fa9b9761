/* SPDX-License-Identifier: MIT */
/*
 * Changing a token. The unproven one waits in a file of its own; the switch is
 * one atomic rename; revoking comes last and may fail without harm: then the
 * old token lives on at the platform, and a line in the log says so.
 */

#include "agent/rotation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/messages.h"
#include "agent/token.h"
#include "agent/workspace-private.h"
#include "base/log.h"
#include "base/secret.h"
#include "platform/state.h"
#include "platform/tokens.h"

static void rotation_end(struct rotation *rotation, const struct error *err)
{
	struct workspace *workspace = rotation->workspace;

	workspace->rotation = NULL;
	platform_call_stop(&rotation->call);
	waiters_call(&rotation->waiters, err);
	secret_free(rotation->new_text);
	free(rotation);
}

static void rotation_fail(struct rotation *rotation, const struct error *err)
{
	struct workspace *workspace = rotation->workspace;

	token_drop_unproven(workspace->agent->state_dirfd, &workspace->settings);
	log_event(LOG_WARNING, workspace->settings.name, "token_kept", NULL,
		  "the token was not changed: %s", err->text);
	rotation_end(rotation, err);
}

static void rotation_prove(struct rotation *rotation)
{
	struct workspace *workspace = rotation->workspace;
	const struct workspace_settings *settings = &workspace->settings;
	struct error err = { 0 };

	rotation->step = ROTATION_PROVES;
	if (token_store_unproven(workspace->agent->state_dirfd, settings, rotation->new_text,
				 &err) < 0 ||
	    state_get(&rotation->call, workspace->platform, settings->id, settings->name,
		      rotation->new_text, &err) < 0)
		rotation_fail(rotation, &err);
}

static void on_minted(struct rotation *rotation, const struct platform_reply *reply)
{
	struct error err = reply->err;

	if (reply->verdict == PLATFORM_OK) {
		rotation->new_text = tokens_minted(reply);
		if (!rotation->new_text)
			(void)error_set(&err, ERROR_PLATFORM, EBADMSG,
					"the platform minted no token that is one");
	}

	if (rotation->new_text)
		rotation_prove(rotation);
	else
		rotation_fail(rotation, &err);
}

static void rotation_revoke_old(struct rotation *rotation)
{
	struct workspace *workspace = rotation->workspace;
	struct error err = { 0 };

	rotation->step = ROTATION_LISTS;
	if (tokens_list(&rotation->call, workspace->platform, workspace->settings.id,
			rotation->new_text, &err) < 0)
		rotation_end(rotation, NULL);
}

static void on_proven(struct rotation *rotation, const struct platform_reply *reply)
{
	struct workspace *workspace = rotation->workspace;
	int dirfd = workspace->agent->state_dirfd;
	struct error err = reply->err;
	struct state_answer answer;
	int r = -EACCES;

	if (reply->verdict == PLATFORM_OK)
		r = state_parse(reply, workspace->settings.id, &answer, &err);
	if (r == 0)
		r = token_store(&workspace->token, dirfd, &workspace->settings, rotation->new_text,
				&err);
	if (r < 0) {
		rotation_fail(rotation, &err);
		return;
	}

	token_drop_unproven(dirfd, &workspace->settings);
	log_event(LOG_NOTICE, workspace->settings.name, "token_changed", MESSAGE_TOKEN_CHANGED,
		  "the token was changed");
	workspace_event(workspace, LIFECYCLE_TOKEN, NULL);

	if (rotation->minted && rotation->old_prefix[0])
		rotation_revoke_old(rotation);
	else
		rotation_end(rotation, NULL);
}

static void rotation_leave_old(struct rotation *rotation, const char *why)
{
	log_event(LOG_WARNING, rotation->workspace->settings.name, "token_left", NULL,
		  "the old token (%s...) was not revoked: %s", rotation->old_prefix, why);
	rotation_end(rotation, NULL);
}

static void on_listed(struct rotation *rotation, const struct platform_reply *reply)
{
	struct workspace *workspace = rotation->workspace;
	char token_id[UUID_LEN + 1];
	struct error err = { 0 };

	if (reply->verdict != PLATFORM_OK) {
		rotation_leave_old(rotation, reply->err.text);
		return;
	}
	if (!tokens_find(reply, rotation->old_prefix, token_id)) {
		rotation_leave_old(rotation, "the platform lists no single token like it");
		return;
	}

	rotation->step = ROTATION_REVOKES;
	if (tokens_revoke(&rotation->call, workspace->platform, workspace->settings.id,
			  rotation->new_text, token_id, &err) < 0)
		rotation_leave_old(rotation, err.text);
}

static void on_revoked(struct rotation *rotation, const struct platform_reply *reply)
{
	if (reply->verdict == PLATFORM_OK)
		rotation_end(rotation, NULL);
	else
		rotation_leave_old(rotation, reply->err.text);
}

static void rotation_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct rotation *rotation = container_of(call, struct rotation, call);

	switch (rotation->step) {
	case ROTATION_MINTS:
		on_minted(rotation, reply);
		return;
	case ROTATION_PROVES:
		on_proven(rotation, reply);
		return;
	case ROTATION_LISTS:
		on_listed(rotation, reply);
		return;
	case ROTATION_REVOKES:
		on_revoked(rotation, reply);
		return;
	}
}

/* Proving reads and writes files: not from inside the caller. */
static void rotation_on_begin(struct loop_work *work)
{
	struct rotation *rotation = container_of(work, struct rotation, begin);
	struct workspace *workspace = rotation->workspace;
	struct error err = { 0 };

	if (rotation->new_text) {
		rotation_prove(rotation);
		return;
	}
	if (tokens_mint(&rotation->call, workspace->platform, workspace->settings.id,
			workspace->token.text, &err) < 0)
		rotation_fail(rotation, &err);
}

int rotation_begin(struct workspace *workspace, const char *given, size_t given_len,
		   struct waiter *waiter, struct error *err)
{
	struct rotation *rotation;

	if (workspace->rotation)
		return error_set(err, ERROR_CONFLICT, EBUSY,
				 "the token of %s is being changed already; wait for that",
				 workspace->settings.name);
	if (!given && !workspace->token.text)
		return error_set(err, ERROR_UNAUTHORIZED, ENOENT,
				 "%s has no token to rotate; give it one with token.set",
				 workspace->settings.name);

	rotation = calloc(1, sizeof(*rotation));
	if (rotation && given)
		rotation->new_text = secret_dup(given, given_len);
	if (!rotation || (given && !rotation->new_text)) {
		free(rotation);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to change a token");
	}

	rotation->workspace = workspace;
	rotation->minted = !given;
	rotation->step = ROTATION_MINTS;
	(void)token_prefix(&workspace->token, rotation->old_prefix);
	list_init(&rotation->waiters);
	platform_call_init(&rotation->call, rotation_on_reply);
	loop_work_init(&rotation->begin, rotation_on_begin);
	loop_defer(workspace->agent->loop, &rotation->begin);
	if (waiter)
		list_append(&rotation->waiters, &waiter->node);
	workspace->rotation = rotation;
	return 0;
}

void rotation_free(struct rotation *rotation)
{
	struct error err = { 0 };

	if (!rotation)
		return;

	(void)error_set(&err, ERROR_CANCELLED, 0, "the token of %s was not changed: it is %s",
			rotation->workspace->settings.name,
			lifecycle_state_name(rotation->workspace->state));
	loop_work_cancel(&rotation->begin);
	rotation_end(rotation, &err);
}
