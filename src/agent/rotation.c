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

#include "agent/messages.h"
#include "agent/token.h"
#include "base/log.h"
#include "base/secret.h"
#include "platform/state.h"
#include "platform/tokens.h"

static void rotation_end(struct rotation *rotation, const struct error *err)
{
	rotation->events->on_ended(rotation, rotation->data);
	platform_call_stop(&rotation->call);
	waiters_call(&rotation->waiters, err);
	secret_free(rotation->new_text);
	free(rotation);
}

static void rotation_fail(struct rotation *rotation, const struct error *err)
{
	const struct membership *member = rotation->member;

	token_drop_unproven(member->context->state_dirfd, member->settings);
	log_event(LOG_WARNING, member->settings->name, "token_kept", NULL,
		  "the token was not changed: %s", err->text);
	rotation_end(rotation, err);
}

static void rotation_prove(struct rotation *rotation)
{
	const struct membership *member = rotation->member;
	const struct workspace_settings *settings = member->settings;
	struct error err = { 0 };

	rotation->step = ROTATION_PROVES;
	if (token_store_unproven(member->context->state_dirfd, settings, rotation->new_text, &err) <
		    0 ||
	    state_get(&rotation->call, member->platform, settings->id, settings->name,
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
	const struct membership *member = rotation->member;
	struct error err = { 0 };

	rotation->step = ROTATION_LISTS;
	if (tokens_list(&rotation->call, member->platform, member->settings->id, rotation->new_text,
			&err) < 0)
		rotation_end(rotation, NULL);
}

static void on_proven(struct rotation *rotation, const struct platform_reply *reply)
{
	const struct membership *member = rotation->member;
	int dirfd = member->context->state_dirfd;
	struct error err = reply->err;
	struct state_answer answer;
	int r = -EACCES;

	if (reply->verdict == PLATFORM_OK)
		r = state_parse(reply, member->settings->id, &answer, &err);
	if (r == 0)
		r = token_store(rotation->token, dirfd, member->settings, rotation->new_text, &err);
	if (r < 0) {
		rotation_fail(rotation, &err);
		return;
	}

	token_drop_unproven(dirfd, member->settings);
	log_event(LOG_NOTICE, member->settings->name, "token_changed", MESSAGE_TOKEN_CHANGED,
		  "the token was changed");
	rotation->events->on_switched(rotation, rotation->data);

	if (rotation->minted && rotation->old_prefix[0])
		rotation_revoke_old(rotation);
	else
		rotation_end(rotation, NULL);
}

static void rotation_leave_old(struct rotation *rotation, const char *why)
{
	log_event(LOG_WARNING, rotation->member->settings->name, "token_left", NULL,
		  "the old token (%s...) was not revoked: %s", rotation->old_prefix, why);
	rotation_end(rotation, NULL);
}

static void on_listed(struct rotation *rotation, const struct platform_reply *reply)
{
	const struct membership *member = rotation->member;
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
	if (tokens_revoke(&rotation->call, member->platform, member->settings->id,
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
	const struct membership *member = rotation->member;
	struct error err = { 0 };

	if (rotation->new_text) {
		rotation_prove(rotation);
		return;
	}
	if (tokens_mint(&rotation->call, member->platform, member->settings->id,
			member->token->text, &err) < 0)
		rotation_fail(rotation, &err);
}

int rotation_new(const struct membership *member, struct token *token,
		 const struct rotation_events *events, void *data, struct rotation **ret,
		 struct error *err)
{
	struct rotation *rotation;

	rotation = calloc(1, sizeof(*rotation));
	if (!rotation)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to change a token");

	rotation->member = member;
	rotation->token = token;
	rotation->events = events;
	rotation->data = data;
	rotation->minted = true;
	rotation->step = ROTATION_MINTS;
	(void)token_prefix(token, rotation->old_prefix);
	list_init(&rotation->waiters);
	platform_call_init(&rotation->call, rotation_on_reply);
	loop_work_init(&rotation->begin, rotation_on_begin);
	loop_defer(member->context->loop, &rotation->begin);
	*ret = rotation;
	return 0;
}

int rotation_give(struct rotation *rotation, const char *text, size_t len, struct error *err)
{
	rotation->new_text = secret_dup(text, len);
	if (!rotation->new_text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to change a token");

	rotation->minted = false;
	return 0;
}

void rotation_free(struct rotation *rotation)
{
	struct error err = { 0 };

	if (!rotation)
		return;

	/* The new token is in use: all that was wanted is done but tidying up. */
	if (rotation->step == ROTATION_LISTS || rotation->step == ROTATION_REVOKES) {
		rotation_leave_old(rotation, lifecycle_state_name(*rotation->member->state));
		return;
	}

	(void)error_set(&err, ERROR_CANCELLED, 0, "the token of %s was not changed: it is %s",
			rotation->member->settings->name,
			lifecycle_state_name(*rotation->member->state));
	loop_work_cancel(&rotation->begin);
	rotation_end(rotation, &err);
}

void rotation_wait(struct rotation *rotation, struct waiter *waiter)
{
	list_append(&rotation->waiters, &waiter->node);
}
