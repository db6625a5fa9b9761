/* SPDX-License-Identifier: MIT */
/*
 * The driver: it alone assigns a workspace's state, logs "online -> paused",
 * and performs the actions that the lifecycle table asks for.
 */

#include "agent/workspace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/messages.h"
#include "agent/workspace-private.h"
#include "base/log.h"

struct state_style {
	int level;
	const char *message_id;
};

static struct state_style state_style(enum lifecycle_state state)
{
	switch (state) {
	case LIFECYCLE_JOINING:
	case LIFECYCLE_LEAVING:
		return (struct state_style){ LOG_INFO, NULL };
	case LIFECYCLE_ONLINE:
		return (struct state_style){ LOG_INFO, MESSAGE_ONLINE };
	case LIFECYCLE_DEGRADED:
		return (struct state_style){ LOG_WARNING, MESSAGE_DEGRADED };
	case LIFECYCLE_PAUSED:
		return (struct state_style){ LOG_NOTICE, MESSAGE_PAUSED };
	case LIFECYCLE_UNREACHABLE:
		return (struct state_style){ LOG_WARNING, MESSAGE_UNREACHABLE };
	case LIFECYCLE_MISROUTED:
		return (struct state_style){ LOG_ERR, MESSAGE_MISROUTED };
	case LIFECYCLE_AUTH_LOST:
		return (struct state_style){ LOG_ERR, MESSAGE_AUTH_LOST };
	case LIFECYCLE_REMOVED:
		return (struct state_style){ LOG_NOTICE, MESSAGE_REMOVED };
	}
	return (struct state_style){ LOG_INFO, NULL };
}

static void workspace_log_change(const struct workspace *workspace, enum lifecycle_state before,
				 const struct error *why)
{
	struct state_style style = state_style(workspace->state);
	bool reason = why && why->kind != ERROR_NONE;

	log_event(style.level, workspace->settings.name, lifecycle_state_name(workspace->state),
		  style.message_id, "%s -> %s%s%s", lifecycle_state_name(before),
		  lifecycle_state_name(workspace->state), reason ? ": " : "",
		  reason ? why->text : "");
}

/* What an operator has to act on stands as a warning until it is mended. */
static void workspace_mark(struct workspace *workspace, enum lifecycle_state before,
			   const struct error *why)
{
	static const enum lifecycle_state marked[] = { LIFECYCLE_MISROUTED, LIFECYCLE_AUTH_LOST,
						       LIFECYCLE_UNREACHABLE };
	const char *name = workspace->settings.name;

	for (size_t i = 0; i < ARRAY_LEN(marked); i++)
		if (before == marked[i])
			agent_unwarn(workspace->context, lifecycle_state_name(before), name);

	for (size_t i = 0; i < ARRAY_LEN(marked); i++)
		if (workspace->state == marked[i])
			agent_warn(workspace->context, lifecycle_state_name(workspace->state), name,
				   workspace->state == LIFECYCLE_UNREACHABLE ? AGENT_WARNING
									     : AGENT_CRITICAL,
				   "%s is %s: %s", name, lifecycle_state_name(workspace->state),
				   why ? why->text : "");
}

static void workspace_silence(struct workspace *workspace)
{
	struct error err = { 0 };

	(void)error_set(&err, lifecycle_refusal(workspace->state), 0, "%s is %s",
			workspace->settings.name, lifecycle_state_name(workspace->state));
	workspace_stop_join(workspace);
	workspace_unwatch(workspace);
	if (workspace->peerbook)
		peerbook_stop(workspace->peerbook);
	if (workspace->shelf)
		shelf_stop(workspace->shelf, workspace->state == LIFECYCLE_LEAVING, &err);
	rotation_free(workspace->rotation);
	workspace_errands_drop(workspace, &err);
}

static void workspace_act(struct workspace *workspace, unsigned actions)
{
	if (actions & LIFECYCLE_HUSH) {
		heartbeat_stop(&workspace->heartbeat);
		vault_stop(&workspace->vault);
		workspace_stop_join(workspace);
	}
	if (actions & LIFECYCLE_SILENCE)
		workspace_silence(workspace);
	if (actions & LIFECYCLE_WIPE) {
		vault_wipe(&workspace->vault);
		agent_unwarn(workspace->context, "secrets_stale", workspace->settings.name);
	}
	if (actions & LIFECYCLE_BEAT) {
		heartbeat_start(&workspace->heartbeat);
		vault_start(&workspace->vault);
	}
	if (actions & LIFECYCLE_WATCH)
		workspace_watch(workspace);

	if (!(actions & (LIFECYCLE_REJOIN | LIFECYCLE_RETRY | LIFECYCLE_PATIENT)))
		return;

	if (actions & LIFECYCLE_REJOIN) {
		/* What is out may have gone with the token before this one. */
		heartbeat_recall(&workspace->heartbeat);
		workspace_refresh_follow(workspace);
	}
	workspace_unwatch(workspace);
	if (actions & LIFECYCLE_REJOIN)
		workspace_plan_join(workspace, 0);
	if (actions & LIFECYCLE_RETRY)
		workspace_plan_join(workspace, backoff_failed(&workspace->join_backoff,
							      &polling_backoff, random_u32()));
	if (actions & LIFECYCLE_PATIENT)
		workspace_plan_join(workspace, workspace_jitter(PATIENT_MS));
}

static void workspace_tell(struct workspace *workspace, enum lifecycle_state before)
{
	struct agent_context *context = workspace->context;

	context->events->on_state(context->events_data, workspace, before);
	if (before == LIFECYCLE_JOINING)
		workspace_tell_joined(workspace);
	if (workspace->state == LIFECYCLE_PAUSED && workspace->settings.on_pause == WORKSPACE_EXIT)
		context->events->on_exit(context->events_data, workspace, 10);
	if (workspace->state == LIFECYCLE_REMOVED &&
	    workspace->settings.on_delete == WORKSPACE_EXIT)
		context->events->on_exit(context->events_data, workspace, 11);
}

void workspace_event(struct workspace *workspace, enum lifecycle_event event,
		     const struct error *why)
{
	struct lifecycle_step step = lifecycle_next(workspace->state, event);
	enum lifecycle_state before = workspace->state;
	struct error reason = why ? *why : (struct error){ 0 };

	if (event != LIFECYCLE_TOKEN && event != LIFECYCLE_LEAVE)
		error_keep(&workspace->last_error, &reason);

	if (step.next != before) {
		workspace->state = step.next;
		workspace->state_since_wall_ms = wall_now_ms();
		workspace->beaten = false;
		workspace_log_change(workspace, before, &reason);
		workspace_mark(workspace, before, &reason);
	} else if (event == LIFECYCLE_FAIL || event == LIFECYCLE_LOSE) {
		log_event(LOG_DEBUG, workspace->settings.name, "try_failed", NULL, "%s",
			  reason.text);
	}

	workspace_act(workspace, step.actions);
	if (step.actions & LIFECYCLE_HUSH)
		workspace_refresh_hushed(workspace, &reason);
	/* A status that is not good news is an answer all the same. */
	if (!workspace_is_joining(workspace) && !(step.actions & LIFECYCLE_REJOIN))
		workspace_refresh_joined(workspace, event == LIFECYCLE_AIL ? NULL : &reason);
	if (step.next == before)
		return;

	if (workspace->outbox)
		outbox_on_state(workspace->outbox);
	workspace_tell(workspace, before);
}

static void rotation_on_switched(struct rotation *rotation, void *data)
{
	workspace_event(data, LIFECYCLE_TOKEN, NULL);
}

static void rotation_on_ended(struct rotation *rotation, void *data)
{
	struct workspace *workspace = data;

	workspace->rotation = NULL;
}

int workspace_change_token(struct workspace *workspace, const char *given, size_t len,
			   struct waiter *waiter, struct error *err)
{
	static const struct rotation_events rotation_events = { rotation_on_switched,
								rotation_on_ended };
	int r;

	if (workspace->rotation)
		return error_set(err, ERROR_CONFLICT, EBUSY,
				 "the token of %s is being changed already; wait for that",
				 workspace->settings.name);

	r = rotation_new(&workspace->membership, &workspace->token, &rotation_events, workspace,
			 &workspace->rotation, err);
	if (r < 0)
		return r;

	if (given) {
		r = rotation_give(workspace->rotation, given, len, err);
		if (r < 0) {
			rotation_free(workspace->rotation);
			return r;
		}
	}
	if (waiter)
		rotation_wait(workspace->rotation, waiter);
	return 0;
}

int workspace_set_token(struct workspace *workspace, const char *text, size_t len,
			struct waiter *waiter, struct error *err)
{
	int r;

	r = token_check_given(text, len, err);
	if (r < 0)
		return r;

	if (workspace->state == LIFECYCLE_REMOVED || workspace->state == LIFECYCLE_LEAVING)
		return workspace_may_call(workspace, err);

	return workspace_change_token(workspace, text, len, waiter, err);
}

int workspace_rotate_token(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	int r;

	r = workspace_may_call(workspace, err);
	if (r < 0)
		return r;

	return workspace_change_token(workspace, NULL, 0, waiter, err);
}

bool workspace_is_settled(const struct workspace *workspace)
{
	return workspace->state == LIFECYCLE_ONLINE || workspace->state == LIFECYCLE_DEGRADED;
}

int workspace_may_call(const struct workspace *workspace, struct error *err)
{
	const char *name = workspace->settings.name;
	const char *why = workspace->last_error ? workspace->last_error->text : "no answer yet";

	switch (workspace->state) {
	case LIFECYCLE_ONLINE:
	case LIFECYCLE_DEGRADED:
		return 0;
	case LIFECYCLE_JOINING:
		return error_set(err, ERROR_UNAVAILABLE, EAGAIN, "%s is still joining: %s", name,
				 why);
	case LIFECYCLE_PAUSED:
		return error_set(
			err, ERROR_PAUSED, EAGAIN,
			"%s is paused on the platform; it goes on when it is resumed there", name);
	case LIFECYCLE_UNREACHABLE:
	case LIFECYCLE_MISROUTED:
		return error_set(err, ERROR_UNAVAILABLE, EAGAIN, "%s is %s: %s", name,
				 lifecycle_state_name(workspace->state), why);
	case LIFECYCLE_AUTH_LOST:
		return error_set(err, ERROR_UNAUTHORIZED, EACCES, "%s", why);
	case LIFECYCLE_REMOVED:
		return error_set(err, ERROR_REMOVED, ENOENT, "%s was deleted on the platform",
				 name);
	case LIFECYCLE_LEAVING:
		return error_set(err, ERROR_UNAVAILABLE, ESHUTDOWN, "%s is leaving", name);
	}
	return error_set(err, ERROR_INTERNAL, 0, "%s is in no state", name);
}

void workspace_wake(struct workspace *workspace, bool slept)
{
	if (workspace->outbox)
		outbox_wake(workspace->outbox);

	switch (workspace->state) {
	case LIFECYCLE_ONLINE:
	case LIFECYCLE_DEGRADED:
		if (!slept || workspace_is_joining(workspace))
			return;
		/* The platform has not heard of us for as long as we slept. */
		workspace_unwatch(workspace);
		workspace_plan_join(workspace, workspace_jitter(BACKOFF_FIRST_MS));
		return;
	case LIFECYCLE_PAUSED:
		agenda_plan(&workspace->agenda, AGENDA_POLL, workspace_jitter(BACKOFF_FIRST_MS));
		return;
	case LIFECYCLE_JOINING:
	case LIFECYCLE_UNREACHABLE:
	case LIFECYCLE_MISROUTED:
		backoff_reset(&workspace->join_backoff);
		if (!workspace_is_joining(workspace))
			workspace_plan_join(workspace, workspace_jitter(BACKOFF_FIRST_MS));
		return;
	case LIFECYCLE_AUTH_LOST:
	case LIFECYCLE_REMOVED:
	case LIFECYCLE_LEAVING:
		return;
	}
}

int64_t workspace_next_attempt_wall_ms(const struct workspace *workspace)
{
	if (!agenda_has(&workspace->agenda, AGENDA_JOIN))
		return 0;

	return wall_now_ms() + agenda_left_ms(&workspace->agenda, AGENDA_JOIN);
}

void workspace_report_changed(struct workspace *workspace)
{
	struct agent_context *context = workspace->context;

	context->events->on_report(context->events_data, workspace);
}

bool workspace_can_adjust(const struct workspace *workspace,
			  const struct workspace_settings *settings)
{
	const struct workspace_settings *now = &workspace->settings;
	struct workspace_settings as_if = *settings;

	/* Everything but these means another request, another token, or another name. */
	as_if.heartbeat_interval_ms = now->heartbeat_interval_ms;
	as_if.state_poll_interval_ms = now->state_poll_interval_ms;
	as_if.secrets_refresh_interval_ms = now->secrets_refresh_interval_ms;
	as_if.secrets_max_stale_ms = now->secrets_max_stale_ms;
	as_if.url_cache_ttl_ms = now->url_cache_ttl_ms;
	as_if.on_pause = now->on_pause;
	as_if.on_delete = now->on_delete;
	as_if.peer_networks = now->peer_networks;
	return workspace_settings_equal(&as_if, now);
}

/* What is out stays out: somebody waits for it. */
static void workspace_restart_timers(struct workspace *workspace)
{
	heartbeat_adjust(&workspace->heartbeat);
	vault_adjust(&workspace->vault);
	if (agenda_has(&workspace->agenda, AGENDA_POLL)) {
		workspace_unwatch(workspace);
		workspace_watch(workspace);
	}
}

static bool is_same_list(char *const *a, char *const *b)
{
	size_t i = 0;

	if (!a || !b)
		return (!a || !*a) && (!b || !*b);

	while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
		i++;
	return !a[i] && !b[i];
}

/* Calls that are out stay out; each that is begun from now on goes by the new ones. */
static void workspace_swap_networks(struct workspace *workspace,
				    struct workspace_settings *settings)
{
	char **before = workspace->settings.peer_networks;

	if (is_same_list(before, settings->peer_networks))
		return;

	workspace->settings.peer_networks = settings->peer_networks;
	settings->peer_networks = before;
	if (workspace->peerbook)
		peerbook_judge_anew(workspace->peerbook);
}

void workspace_adjust(struct workspace *workspace, struct workspace_settings *settings)
{
	struct workspace_settings *now = &workspace->settings;
	bool timing = now->heartbeat_interval_ms != settings->heartbeat_interval_ms ||
		      now->state_poll_interval_ms != settings->state_poll_interval_ms ||
		      now->secrets_refresh_interval_ms != settings->secrets_refresh_interval_ms;

	now->heartbeat_interval_ms = settings->heartbeat_interval_ms;
	now->state_poll_interval_ms = settings->state_poll_interval_ms;
	now->secrets_refresh_interval_ms = settings->secrets_refresh_interval_ms;
	now->secrets_max_stale_ms = settings->secrets_max_stale_ms;
	now->url_cache_ttl_ms = settings->url_cache_ttl_ms;
	now->on_pause = settings->on_pause;
	now->on_delete = settings->on_delete;
	workspace_swap_networks(workspace, settings);
	if (timing)
		workspace_restart_timers(workspace);
}

static void vault_on_changed(struct vault *vault, const char *changed, size_t len)
{
	struct workspace *workspace = container_of(vault, struct workspace, vault);
	struct agent_context *context = workspace->context;

	context->events->on_secrets(context->events_data, workspace, changed, len);
}

static void vault_on_doubt(struct vault *vault)
{
	workspace_doubt(container_of(vault, struct workspace, vault));
}

static const struct vault_events vault_events = { vault_on_changed, vault_on_doubt };

static void book_on_changed(void *data)
{
	struct workspace *workspace = data;
	struct agent_context *context = workspace->context;

	context->events->on_peers(context->events_data, workspace);
}

static void part_on_doubt(void *data)
{
	workspace_doubt(data);
}

const struct peerbook *workspace_peers(const struct workspace *workspace)
{
	static const struct peerbook empty;

	return workspace->peerbook ? workspace->peerbook : &empty;
}

struct peerbook *workspace_peerbook(struct workspace *workspace, struct error *err)
{
	static const struct peerbook_events book_events = { book_on_changed, part_on_doubt };

	if (!workspace->peerbook && peerbook_new(&workspace->membership, &book_events, workspace,
						 &workspace->peerbook, err) < 0)
		return NULL;

	return workspace->peerbook;
}

static void workspace_on_due(struct agenda *agenda, enum agenda_item item, int64_t due_ms)
{
	struct workspace *workspace = container_of(agenda, struct workspace, agenda);

	switch (item) {
	case AGENDA_BEAT:
		heartbeat_due(&workspace->heartbeat, due_ms);
		return;
	case AGENDA_POLL:
		workspace_poll_now(workspace);
		return;
	case AGENDA_JOIN:
		workspace_join_due(workspace);
		return;
	case AGENDA_RENEW:
		vault_renew_due(&workspace->vault);
		return;
	case AGENDA_FETCH:
		vault_fetch_due(&workspace->vault);
		return;
	}
}

static void outbox_on_updated(void *data, const struct delegation *delegation)
{
	struct workspace *workspace = data;
	struct agent_context *context = workspace->context;

	context->events->on_delegation(context->events_data, workspace, delegation);
}

struct outbox *workspace_outbox(struct workspace *workspace, struct error *err)
{
	static const struct outbox_events events = { outbox_on_updated, part_on_doubt };

	if (!workspace->outbox &&
	    outbox_new(&workspace->membership, &events, workspace, &workspace->outbox, err) < 0)
		return NULL;

	return workspace->outbox;
}

static void workspace_init(struct workspace *workspace)
{
	workspace->membership = (struct membership){
		.context = workspace->context,
		.agenda = &workspace->agenda,
		.platform = workspace->platform,
		.settings = &workspace->settings,
		.token = &workspace->token,
		.state = &workspace->state,
	};
	list_init(&workspace->node);
	agenda_init(&workspace->agenda, workspace->context->loop, workspace_on_due);
	workspace_join_init(workspace);
	workspace_watch_init(workspace);
	vault_init(&workspace->vault, &workspace->membership, &vault_events);
	reporter_init(&workspace->reporter);
	workspace->state = LIFECYCLE_JOINING;
	workspace->state_since_wall_ms = wall_now_ms();
}

int workspace_new(struct agent_context *context, struct platform *platform,
		  const struct workspace_settings *settings, struct workspace **ret,
		  struct error *err)
{
	struct workspace *workspace;

	workspace = calloc(1, sizeof(*workspace));
	if (!workspace)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a workspace");

	if (workspace_settings_copy(&workspace->settings, settings) < 0) {
		free(workspace);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a workspace");
	}

	workspace->context = context;
	workspace->platform = platform;
	/* They are equal: one set of strings will do. */
	platform_settings_fini(&workspace->settings.platform);
	workspace->settings.platform = platform->settings;
	workspace_init(workspace);
	*ret = workspace;
	return 0;
}

void workspace_free(struct workspace *workspace)
{
	if (!workspace)
		return;

	list_remove(&workspace->node);
	/* One that never began has nothing to tell. */
	if (workspace->started)
		workspace_stop(workspace);
	rotation_free(workspace->rotation);
	workspace_errands_free(workspace);
	heartbeat_fini(&workspace->heartbeat);
	vault_fini(&workspace->vault);
	peerbook_free(workspace->peerbook);
	outbox_free(workspace->outbox);
	shelf_free(workspace->shelf);
	agenda_fini(&workspace->agenda);
	workspace_save_token(workspace);
	token_fini(&workspace->token);
	error_keep(&workspace->last_error, NULL);
	workspace->settings.platform = (struct platform_settings){ 0 };
	workspace_settings_fini(&workspace->settings);
	free(workspace);
}

void workspace_start(struct workspace *workspace, int64_t after_ms)
{
	workspace->started = true;
	workspace_plan_join(workspace, after_ms);
}

void workspace_stop(struct workspace *workspace)
{
	workspace_event(workspace, LIFECYCLE_LEAVE, NULL);
}

void workspace_retry(struct workspace *workspace)
{
	workspace->token_reread = false;
	if (workspace->state == LIFECYCLE_AUTH_LOST && !workspace_is_joining(workspace))
		workspace_plan_join(workspace, 0);
}
