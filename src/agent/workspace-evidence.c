/* SPDX-License-Identifier: MIT */
/*
 * From verdicts to events. One reply is weighed for what it proves: a 401 is
 * sent by a platform that has lost its database as well as by one that has
 * revoked our token or deleted us, so it is followed by a question.
 */

#include <stdio.h>
#include <string.h>

#include "agent/workspace-private.h"
#include "base/log.h"

void workspace_failed(struct workspace *workspace, const struct error *err)
{
	if (workspace->failures < FAILURES_MAX)
		workspace->failures++;
	workspace_event(workspace,
			workspace->failures < FAILURES_MAX ? LIFECYCLE_FAIL : LIFECYCLE_LOSE, err);
}

/* A token that an operator has put in place of the refused one; once between two good answers. */
static bool workspace_reread_token(struct workspace *workspace)
{
	struct token other = { 0 };
	struct error err = { 0 };

	if (workspace->token_reread)
		return false;

	workspace->token_reread = true;
	if (token_load(&other, workspace->context->state_dirfd, &workspace->settings,
		       workspace->token.text, &err) < 0) {
		log_event(LOG_WARNING, workspace->settings.name, "token_unreadable", NULL, "%s",
			  err.text);
		return false;
	}
	if (!other.text)
		return false;

	log_event(LOG_NOTICE, workspace->settings.name, "token_reread", NULL,
		  "the platform refused the token; trying the one from the %s",
		  token_source_name(other.source));
	token_fini(&workspace->token);
	workspace->token = other;
	return true;
}

static void workspace_question(struct workspace *workspace)
{
	if (workspace_reread_token(workspace))
		workspace_event(workspace, LIFECYCLE_TOKEN, NULL);
	else
		workspace_inquire(workspace);
}

void workspace_weigh(struct workspace *workspace, const struct platform_reply *reply)
{
	switch (reply->verdict) {
	case PLATFORM_OK:
		return;
	case PLATFORM_DOWN:
	case PLATFORM_REJECTED:
		workspace_failed(workspace, &reply->err);
		return;
	case PLATFORM_LIMITED:
		/* It is there, and busy: no sign of an outage. */
		workspace_event(workspace, LIFECYCLE_FAIL, &reply->err);
		return;
	case PLATFORM_STRAY:
		workspace_event(workspace, LIFECYCLE_STRAY, &reply->err);
		return;
	case PLATFORM_DELETED:
		workspace_event(workspace, LIFECYCLE_DELETE, &reply->err);
		return;
	case PLATFORM_UNAUTHORIZED:
	case PLATFORM_MISSING:
		workspace_question(workspace);
		return;
	}
}

void workspace_save_token(struct workspace *workspace)
{
	struct error err = { 0 };
	const char *name = workspace->settings.name;

	if (!workspace->token_unsaved || !workspace->token.text)
		return;

	if (token_store(&workspace->token, workspace->context->state_dirfd, &workspace->settings,
			workspace->token.text, &err) < 0)
		return;

	workspace->token_unsaved = false;
	agent_unwarn(workspace->context, "token_not_saved", name);
}

/* The token is good: one from a change that was cut short is kept, one beside it is not. */
static void workspace_settle_token(struct workspace *workspace)
{
	bool first = !workspace->token_settled && !workspace->rotation;

	if (first && workspace->token.source == TOKEN_UNPROVEN)
		workspace->token_unsaved = true;
	workspace_save_token(workspace);
	if (!first)
		return;

	workspace->token_settled = true;
	if (!workspace->token_unsaved)
		token_drop_unproven(workspace->context->state_dirfd, &workspace->settings);
}

void workspace_proved(struct workspace *workspace)
{
	workspace_settle_token(workspace);
	workspace->failures = 0;
	workspace->token_reread = false;
	if (!workspace->features.probed && workspace->platform->probed) {
		workspace->features.probed = true;
		workspace->features.cursors = workspace->platform->has_cursors;
	}
}

void workspace_note_status(struct workspace *workspace, const struct state_answer *answer)
{
	(void)snprintf(workspace->platform_status, sizeof(workspace->platform_status), "%s",
		       answer->status);
}

/* What mends it, if it is not mended without anybody's help. */
static void describe_failed(const struct workspace *workspace, struct error *why)
{
	const struct workspace_settings *settings = &workspace->settings;
	bool known = settings->reported_url || workspace->features.registered_by == REGISTRY_POLL;

	if (known && workspace_wants_register(workspace, "failed"))
		(void)error_set(why, ERROR_UNAVAILABLE, 0,
				"the platform calls %s failed; it will register anew",
				settings->name);
	else
		(void)error_set(
			why, ERROR_UNAVAILABLE, 0,
			"the platform calls %s failed, and only a register with an inbound URL "
			"brings it back: set reported_url, or create it anew",
			settings->name);
}

enum lifecycle_event workspace_read_status(const struct workspace *workspace,
					   const struct state_answer *answer, struct error *why)
{
	const char *name = workspace->settings.name;

	if (answer->paused)
		return LIFECYCLE_PAUSE;

	if (strcmp(answer->status, "removed") == 0) {
		(void)error_set(why, ERROR_REMOVED, 0, "%s was deleted on the platform", name);
		return LIFECYCLE_DELETE;
	}
	if (strcmp(answer->status, "failed") == 0) {
		describe_failed(workspace, why);
		return LIFECYCLE_AIL;
	}
	if (strcmp(answer->status, "degraded") == 0) {
		(void)error_set(
			why, ERROR_UNAVAILABLE, 0,
			"the platform calls %s degraded: what it reports has too many errors, or "
			"says that it is wedged",
			name);
		return LIFECYCLE_AIL;
	}
	return LIFECYCLE_ALIVE;
}

bool workspace_wants_register(const struct workspace *workspace, const char *status)
{
	bool down = strcmp(status, "failed") == 0 || strcmp(status, "offline") == 0 ||
		    strcmp(status, "awaiting_agent") == 0;

	return down && workspace->features.registered_by != REGISTRY_HEARTBEAT;
}

int64_t workspace_jitter(int64_t ms)
{
	return ms / 2 + (int64_t)(((uint64_t)ms * random_u32()) >> 32);
}
