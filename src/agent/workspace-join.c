/* SPDX-License-Identifier: MIT */
/*
 * The joining sequence: state first, then a heartbeat, then a register if
 * there is something to register - because a register un-pauses a paused
 * workspace, and a heartbeat with a good token is all that most need. Each
 * step's reply starts the next, or ends the sequence with an event.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/messages.h"
#include "agent/workspace-private.h"
#include "base/log.h"
#include "base/secret.h"
#include "platform/probe.h"
#include "platform/tokens.h"

bool workspace_is_joining(const struct workspace *workspace)
{
	return workspace->step != WORKSPACE_RESTS && workspace->step != WORKSPACE_PROBES;
}

static void join_probe(struct workspace *workspace)
{
	if (workspace->platform->probed || !workspace->token.text)
		return;

	if (probe_cursors(&workspace->join_call, workspace->platform, workspace->settings.id,
			  workspace->token.text, NULL) == 0)
		workspace->step = WORKSPACE_PROBES;
}

/* The sequence is over, and this is what it found. */
static void join_end(struct workspace *workspace, enum lifecycle_event event,
		     const struct error *why)
{
	bool good = event == LIFECYCLE_ALIVE || event == LIFECYCLE_AIL;

	workspace->step = WORKSPACE_RESTS;
	if (good)
		backoff_succeeded(&workspace->join_backoff, &polling_backoff,
				  loop_now_ms(workspace->context->loop));
	workspace_event(workspace, event, why);
	if (good && workspace->step == WORKSPACE_RESTS)
		join_probe(workspace);
}

/*
 * One that joins anew (it was resumed, the host slept) is not down for a single
 * failure, but neither has it registered yet: what was begun is begun again, no
 * more often than its state is polled.
 */
static void join_again(struct workspace *workspace)
{
	if (workspace_is_settled(workspace) && !workspace_is_joining(workspace) &&
	    !agenda_has(&workspace->agenda, AGENDA_JOIN))
		workspace_plan_join(workspace, MAX(backoff_failed(&workspace->join_backoff,
								  &polling_backoff, random_u32()),
						   workspace->settings.state_poll_interval_ms));
}

static void join_fail(struct workspace *workspace, const struct error *err)
{
	workspace->step = WORKSPACE_RESTS;
	workspace_failed(workspace, err);
	join_again(workspace);
}

/* Weighing may begin the sequence anew, or an inquiry. */
static void join_weigh(struct workspace *workspace, const struct platform_reply *reply)
{
	workspace->step = WORKSPACE_RESTS;
	workspace_weigh(workspace, reply);
	join_again(workspace);
}

static void join_ask(struct workspace *workspace, enum workspace_step step)
{
	const struct workspace_settings *settings = &workspace->settings;
	struct error err = { 0 };

	workspace->step = step;
	if (state_get(&workspace->join_call, workspace->platform, settings->id, settings->name,
		      workspace->token.text, &err) < 0)
		join_fail(workspace, &err);
}

static void join_register(struct workspace *workspace)
{
	const struct workspace_settings *settings = &workspace->settings;
	enum registry_way way = workspace->features.registered_by;
	struct error err = { 0 };
	struct registry_join join = {
		.id = settings->id,
		.token = workspace->token.text,
		.url = settings->reported_url,
		.card = settings->agent_card,
		.name = settings->name,
	};

	if (way == REGISTRY_UNKNOWN)
		way = settings->reported_url ? REGISTRY_URL : REGISTRY_NO_INBOUND;
	join.way = way;

	workspace->step = WORKSPACE_REGISTERS;
	workspace->trying = way;
	workspace->registered_now = true;
	workspace->context->counts.registers++;
	if (registry_register(&workspace->join_call, workspace->platform, &join, &err) < 0)
		join_fail(workspace, &err);
}

static void join_show(struct workspace *workspace)
{
	const struct workspace_settings *settings = &workspace->settings;
	struct error err = { 0 };

	workspace->step = WORKSPACE_SHOWS;
	if (registry_update_card(&workspace->join_call, workspace->platform, settings->id,
				 workspace->token.text, settings->agent_card,
				 strlen(settings->agent_card), &err) < 0)
		join_fail(workspace, &err);
}

/* After the beat, or after a register that could not be. */
static void join_after_beat(struct workspace *workspace)
{
	const struct workspace_settings *settings = &workspace->settings;
	bool may_register = workspace->features.registered_by != REGISTRY_HEARTBEAT;

	if (!workspace->registered_now && may_register &&
	    (settings->reported_url || strcmp(workspace->platform_status, "failed") == 0)) {
		join_register(workspace);
		return;
	}
	/* A register has brought the card along, unless there was none. */
	if (settings->agent_card && !(workspace->registered_now && may_register)) {
		join_show(workspace);
		return;
	}
	join_ask(workspace, WORKSPACE_CHECKS);
}

static void on_asked(struct workspace *workspace, const struct platform_reply *reply)
{
	struct state_answer answer;
	struct error err = { 0 };

	if (reply->verdict != PLATFORM_OK) {
		join_weigh(workspace, reply);
		return;
	}
	if (state_parse(reply, workspace->settings.id, &answer, &err) < 0) {
		join_fail(workspace, &err);
		return;
	}

	workspace_proved(workspace);
	workspace_note_status(workspace, &answer);
	if (answer.paused) {
		join_end(workspace, LIFECYCLE_PAUSE, NULL);
		return;
	}

	workspace->step = WORKSPACE_BEATS;
	heartbeat_now(&workspace->heartbeat);
	if (!platform_call_is_running(&workspace->heartbeat.call))
		join_fail(workspace, workspace->heartbeat.last_error);
}

static void on_checked(struct workspace *workspace, const struct platform_reply *reply)
{
	struct state_answer answer;
	enum lifecycle_event event;
	struct error why = { 0 };

	if (reply->verdict != PLATFORM_OK) {
		join_weigh(workspace, reply);
		return;
	}
	if (state_parse(reply, workspace->settings.id, &answer, &why) < 0) {
		join_fail(workspace, &why);
		return;
	}

	workspace_proved(workspace);
	workspace_note_status(workspace, &answer);
	if (!answer.paused && !workspace->registered_now &&
	    workspace_wants_register(workspace, answer.status)) {
		join_register(workspace);
		return;
	}
	event = workspace_read_status(workspace, &answer, &why);
	join_end(workspace, event, &why);
}

/* The only copy of a token: on disk before anything else is done with it. */
static void join_keep_token(struct workspace *workspace, char *minted)
{
	struct agent_context *context = workspace->context;
	const char *name = workspace->settings.name;
	struct error err = { 0 };

	if (token_store(&workspace->token, context->state_dirfd, &workspace->settings, minted,
			&err) == 0) {
		secret_free(minted);
		log_event(LOG_NOTICE, name, "token_stored", MESSAGE_TOKEN_CHANGED,
			  "the platform gave a token; it is stored");
		return;
	}

	workspace->token = (struct token){ .text = minted, .source = TOKEN_STATE };
	workspace->token_unsaved = true;
	log_event(
		LOG_CRIT, name, "token_not_saved", MESSAGE_TOKEN_NOT_SAVED,
		"the token that the platform gave is in memory only, and lost when the daemon stops: %s",
		err.text);
	agent_warn(context, "token_not_saved", name, AGENT_CRITICAL,
		   "the token of %s is in memory only: %s", name, err.text);
}

static void on_registered(struct workspace *workspace, const struct platform_reply *reply)
{
	char *minted = tokens_minted(reply);
	struct error err = { 0 };

	workspace->features.registered_by = workspace->trying;
	if (json_get_string(reply->json, "platform_inbound_secret"))
		workspace->features.inbound_secret = true;
	if (workspace->trying == REGISTRY_POLL)
		workspace->features.poll_delivery = true;

	/* A token for one who has one: ours is dead, or we are. It is proven before it is believed.
	 */
	if (minted && workspace->token.text) {
		if (workspace_change_token(workspace, minted, strlen(minted), NULL, &err) < 0 &&
		    token_store_unproven(workspace->context->state_dirfd, &workspace->settings,
					 minted, &err) < 0)
			log_event(LOG_ERR, workspace->settings.name, "token_not_saved",
				  MESSAGE_TOKEN_NOT_SAVED,
				  "a token that the platform gave is lost: %s", err.text);
		secret_free(minted);
		(void)error_set(&err, ERROR_UNAUTHORIZED, 0,
				"the platform gave %s another token, which is being proven",
				workspace->settings.name);
		join_fail(workspace, &err);
		return;
	}
	if (minted) {
		join_keep_token(workspace, minted);
	} else if (!workspace->token.text) {
		(void)error_set(
			&err, ERROR_UNAUTHORIZED, 0,
			"the platform registered %s and gave no token; have an operator mint one, "
			"then `molecule-agentctl token set`",
			workspace->settings.name);
		join_end(workspace, LIFECYCLE_REFUSE, &err);
		return;
	}
	join_ask(workspace, WORKSPACE_CHECKS);
}

/* The platform does not take this way of registering: the next one. */
static void on_way_refused(struct workspace *workspace, const struct platform_reply *reply)
{
	const char *name = workspace->settings.name;
	struct error err = { 0 };

	if (workspace->trying == REGISTRY_NO_INBOUND) {
		workspace->features.registered_by = REGISTRY_POLL;
		join_register(workspace);
		return;
	}

	if (workspace->trying == REGISTRY_URL)
		log_event(LOG_WARNING, name, "url_refused", NULL,
			  "the platform refuses reported_url (%s); going on with heartbeats alone",
			  reply->err.text);
	workspace->features.registered_by = REGISTRY_HEARTBEAT;
	if (workspace->token.text) {
		join_after_beat(workspace);
		return;
	}

	/* Another try may find other settings; it begins at the beginning. */
	workspace->features.registered_by = REGISTRY_UNKNOWN;
	(void)error_set(
		&err, ERROR_UNAUTHORIZED, 0,
		"the platform does not register %s %s, and without a token there is no other "
		"way in: have an operator mint one, then `molecule-agentctl token set`",
		name,
		workspace->settings.reported_url ? "with this reported_url"
						 : "without an inbound URL");
	join_end(workspace, LIFECYCLE_REFUSE, &err);
}

static void on_register_reply(struct workspace *workspace, const struct platform_reply *reply)
{
	struct error err = { 0 };

	if (reply->verdict == PLATFORM_OK) {
		on_registered(workspace, reply);
		return;
	}
	if (reply->verdict == PLATFORM_REJECTED && reply->status == 400) {
		on_way_refused(workspace, reply);
		return;
	}
	if (reply->verdict == PLATFORM_UNAUTHORIZED && !workspace->token.text) {
		(void)error_set(
			&err, ERROR_UNAUTHORIZED, 0,
			"the platform has a token for %s that is not here: have an operator mint "
			"another (POST /workspaces/%s/tokens) and give it with `molecule-agentctl "
			"token set`, or have all its tokens revoked, then it registers anew",
			workspace->settings.name, workspace->settings.id);
		join_end(workspace, LIFECYCLE_REFUSE, &err);
		return;
	}
	join_weigh(workspace, reply);
}

/* A card that is not taken keeps nobody from being alive. */
static void on_shown(struct workspace *workspace, const struct platform_reply *reply)
{
	if (reply->verdict == PLATFORM_OK || reply->verdict == PLATFORM_REJECTED) {
		if (reply->verdict != PLATFORM_OK)
			log_event(LOG_WARNING, workspace->settings.name, "card_refused", NULL, "%s",
				  reply->err.text);
		join_ask(workspace, WORKSPACE_CHECKS);
		return;
	}
	join_weigh(workspace, reply);
}

static void inquiry_found(struct workspace *workspace, const struct platform_reply *reply,
			  enum state_finding finding)
{
	const char *status = json_get_string(reply->json, "status");
	const char *name = workspace->settings.name;
	struct error err = { 0 };

	if (finding == STATE_REMOVED || (finding == STATE_ABSENT && workspace->token.text)) {
		(void)error_set(&err, ERROR_REMOVED, 0, "%s was deleted on the platform", name);
		join_end(workspace, LIFECYCLE_DELETE, &err);
		return;
	}
	if (workspace->token.text) {
		(void)error_set(
			&err, ERROR_UNAUTHORIZED, 0,
			"the platform does not take the token of %s any more: have an operator "
			"mint one and give it with `molecule-agentctl token set`",
			name);
		join_end(workspace, LIFECYCLE_REFUSE, &err);
		return;
	}
	/* To register would un-pause what somebody has paused. */
	if (status && strcmp(status, "paused") == 0) {
		(void)error_set(
			&err, ERROR_UNAUTHORIZED, 0,
			"%s is paused on the platform and has no token here; it registers when it "
			"is resumed",
			name);
		join_end(workspace, LIFECYCLE_REFUSE, &err);
		return;
	}
	join_register(workspace);
}

static void on_inquired(struct workspace *workspace, const struct platform_reply *reply)
{
	enum state_finding finding = state_judge(reply, workspace->settings.id);

	if (finding != STATE_UNCLEAR) {
		inquiry_found(workspace, reply, finding);
		return;
	}

	workspace->step = WORKSPACE_RESTS;
	if (reply->verdict == PLATFORM_STRAY || reply->verdict == PLATFORM_LIMITED)
		workspace_weigh(workspace, reply);
	else
		workspace_failed(workspace, &reply->err);
}

void workspace_inquire(struct workspace *workspace)
{
	const struct workspace_settings *settings = &workspace->settings;
	struct error err = { 0 };

	workspace_stop_join(workspace);
	workspace_refresh_follow(workspace);
	workspace_unwatch(workspace);
	workspace->step = WORKSPACE_INQUIRES;
	if (state_inquire(&workspace->join_call, workspace->platform, settings->id, settings->name,
			  &err) < 0)
		join_fail(workspace, &err);
}

static void on_probed(struct workspace *workspace, const struct platform_reply *reply)
{
	struct platform *platform = workspace->platform;

	workspace->step = WORKSPACE_RESTS;
	if (probe_read(reply, &platform->has_cursors)) {
		platform->probed = true;
		workspace->features.probed = true;
		workspace->features.cursors = platform->has_cursors;
	}
}

static void join_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct workspace *workspace = container_of(call, struct workspace, join_call);

	switch (workspace->step) {
	case WORKSPACE_RESTS:
	case WORKSPACE_BEATS:
		return;
	case WORKSPACE_ASKS:
		on_asked(workspace, reply);
		return;
	case WORKSPACE_REGISTERS:
		on_register_reply(workspace, reply);
		return;
	case WORKSPACE_SHOWS:
		on_shown(workspace, reply);
		return;
	case WORKSPACE_CHECKS:
		on_checked(workspace, reply);
		return;
	case WORKSPACE_INQUIRES:
		on_inquired(workspace, reply);
		return;
	case WORKSPACE_PROBES:
		on_probed(workspace, reply);
		return;
	}
}

void workspace_join_beat(struct workspace *workspace, const struct platform_reply *reply)
{
	if (reply->verdict == PLATFORM_OK)
		join_after_beat(workspace);
	else
		join_weigh(workspace, reply);
}

/* Looks for a token again: an operator may have put one there. */
static int join_find_token(struct workspace *workspace, struct error *err)
{
	if (workspace->token.text)
		return 0;

	return token_load(&workspace->token, workspace->context->state_dirfd, &workspace->settings,
			  NULL, err);
}

void workspace_plan_join(struct workspace *workspace, int64_t after_ms)
{
	workspace_stop_join(workspace);
	agenda_plan(&workspace->agenda, AGENDA_JOIN, after_ms);
}

void workspace_stop_join(struct workspace *workspace)
{
	agenda_drop(&workspace->agenda, AGENDA_JOIN);
	platform_call_stop(&workspace->join_call);
	workspace->step = WORKSPACE_RESTS;
}

void workspace_join_due(struct workspace *workspace)
{
	struct error err = { 0 };

	/* Somebody may have put another token there in all that time. */
	if (workspace->state == LIFECYCLE_AUTH_LOST)
		workspace->token_reread = false;
	workspace_stop_join(workspace);
	workspace->registered_now = false;

	if (join_find_token(workspace, &err) < 0) {
		err.kind = ERROR_UNAUTHORIZED;
		workspace_event(workspace, LIFECYCLE_REFUSE, &err);
		return;
	}
	if (workspace->token.text)
		join_ask(workspace, WORKSPACE_ASKS);
	else
		workspace_inquire(workspace);
}

void workspace_join_init(struct workspace *workspace)
{
	platform_call_init(&workspace->join_call, join_on_reply);
}
