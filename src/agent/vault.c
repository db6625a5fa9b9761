/* SPDX-License-Identifier: MIT */
/*
 * When the bundle is fetched, how long it may be served, and who waits for it.
 */

#include "agent/vault.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "platform/secrets.h"

/* How old an answer may be when nobody refreshes in the background. */
#define ON_DEMAND_AGE_MS 300000

static void vault_adopt(struct vault *vault, struct bundle *bundle)
{
	bundle_free(vault->bundle);
	vault->bundle = bundle;
	vault->fetched = true;
	vault->failing = false;
	vault->fetched_at_ms = loop_now_ms(vault->member->context->loop);
	vault->fetched_wall_ms = wall_now_ms();
	error_keep(&vault->last_error, NULL);
}

static void vault_arm(struct vault *vault, bool good)
{
	int64_t interval = vault->member->settings->secrets_refresh_interval_ms;
	int64_t now_ms = loop_now_ms(vault->member->context->loop);
	int64_t delay = interval;

	if (good)
		backoff_succeeded(&vault->backoff, &polling_backoff, now_ms);
	else
		delay = MAX(interval,
			    backoff_failed(&vault->backoff, &polling_backoff, random_u32()));

	if (vault->refreshing && interval)
		agenda_plan(vault->member->agenda, AGENDA_RENEW, delay);
}

static void vault_warn(struct vault *vault)
{
	const struct membership *member = vault->member;
	char fetched_at[TIME_TEXT_SIZE];

	if (!vault->fetched)
		return;

	agent_warn(member->context, "secrets_stale", member->settings->name, AGENT_WARNING,
		   "the secrets of %s are those of %s: %s", member->settings->name,
		   format_time(fetched_at, vault->fetched_wall_ms),
		   vault->last_error ? vault->last_error->text : "out of memory");
}

static void vault_fail(struct vault *vault, const struct error *err)
{
	vault->member->context->counts.secrets.failed++;
	vault->failing = true;
	error_keep(&vault->last_error, err);
	vault_warn(vault);
	vault_arm(vault, false);
	waiters_call(&vault->waiters, err);
}

static void vault_accept(struct vault *vault, struct bundle *bundle)
{
	AUTO(buffer_fini) struct buffer changed = BUFFER_INIT(VAULT_BUNDLE_MAX);
	const struct membership *member = vault->member;
	bool first = !vault->fetched;

	if (!first)
		bundle_compare(vault->bundle, bundle, &changed);
	member->context->counts.secrets.ok++;
	vault_adopt(vault, bundle);
	vault_arm(vault, true);
	agent_unwarn(member->context, "secrets_stale", member->settings->name);

	if (buffer_len(&changed))
		vault->events->on_changed(vault, buffer_at(&changed), buffer_len(&changed));
	waiters_call(&vault->waiters, NULL);
}

/* A 500 that names keys is no outage: somebody has to mend those. */
static void describe_failed_keys(const struct platform_reply *reply, struct error *err)
{
	struct json_object *keys = json_get_array(reply->json, "failed_keys");
	const char *first;
	char quoted[64];

	if (!keys || !json_object_array_length(keys))
		return;

	first = json_object_get_string(json_object_array_get_idx(keys, 0));
	(void)error_set(err, ERROR_PLATFORM, 0,
			"the platform cannot decrypt %zu of the secrets (first: %s) and gives out "
			"none; set them anew there",
			json_object_array_length(keys),
			error_quote(quoted, sizeof(quoted), first ? first : "?",
				    first ? strlen(first) : 1));
}

static void vault_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct vault *vault = container_of(call, struct vault, call);
	struct bundle *bundle;
	struct error err = reply->err;
	int r;

	if (reply->verdict != PLATFORM_OK) {
		describe_failed_keys(reply, &err);
		if (reply->verdict != PLATFORM_DOWN && reply->verdict != PLATFORM_LIMITED)
			vault->events->on_doubt(vault);
		vault_fail(vault, &err);
		return;
	}

	r = bundle_new(json_text_from(reply->body, reply->body_len), &bundle);
	if (r < 0) {
		(void)error_set(&err, r == -ENOMEM ? ERROR_INTERNAL : ERROR_PLATFORM, -r,
				r == -ENOMEM
					? "no memory for the secrets of %s"
					: "the secrets of %s came in a form that is not theirs "
					  "and were not taken",
				vault->member->settings->name);
		vault_fail(vault, &err);
		return;
	}

	vault_accept(vault, bundle);
}

static void vault_request(struct vault *vault, enum platform_class class)
{
	const struct membership *member = vault->member;
	const struct secrets_ask ask = {
		.id = member->settings->id,
		.name = member->settings->name,
		.token = member->token->text,
		.max_body = VAULT_BUNDLE_MAX,
		.class = class,
	};
	struct error err = { 0 };

	if (secrets_fetch(&vault->call, member->platform, &ask, &err) < 0)
		vault_fail(vault, &err);
}

void vault_init(struct vault *vault, const struct membership *member,
		const struct vault_events *events)
{
	*vault = (struct vault){ .member = member, .events = events };
	list_init(&vault->waiters);
	platform_call_init(&vault->call, vault_on_reply);
}

void vault_fini(struct vault *vault)
{
	vault_stop(vault);
	vault_wipe(vault);
}

void vault_start(struct vault *vault)
{
	if (vault->refreshing)
		return;

	vault->refreshing = true;
	agenda_plan(vault->member->agenda, AGENDA_RENEW, 0);
}

void vault_renew_due(struct vault *vault)
{
	if (!platform_call_is_running(&vault->call))
		vault_request(vault, PLATFORM_BACKGROUND);
}

void vault_fetch_due(struct vault *vault)
{
	if (!platform_call_is_running(&vault->call) && !list_empty(&vault->waiters))
		vault_request(vault, PLATFORM_FOREGROUND);
}

void vault_adjust(struct vault *vault)
{
	if (vault->refreshing)
		agenda_plan(vault->member->agenda, AGENDA_RENEW, 0);
}

void vault_stop(struct vault *vault)
{
	struct error err = { 0 };

	vault->refreshing = false;
	agenda_drop(vault->member->agenda, AGENDA_RENEW);
	agenda_drop(vault->member->agenda, AGENDA_FETCH);
	platform_call_stop(&vault->call);
	if (list_empty(&vault->waiters))
		return;

	(void)error_set(&err, lifecycle_refusal(*vault->member->state), 0,
			"the secrets of %s were not fetched: %s is %s",
			vault->member->settings->name, vault->member->settings->name,
			lifecycle_state_name(*vault->member->state));
	waiters_call(&vault->waiters, &err);
}

void vault_wipe(struct vault *vault)
{
	bundle_free(TAKE(vault->bundle));
	vault->fetched = false;
	error_keep(&vault->last_error, NULL);
}

static int64_t vault_age(const struct vault *vault)
{
	return loop_now_ms(vault->member->context->loop) - vault->fetched_at_ms;
}

bool vault_is_fresh(const struct vault *vault, int64_t max_age_ms)
{
	if (!vault->fetched || vault->failing || !vault->refreshing)
		return false;

	if (max_age_ms < 0 && vault->member->settings->secrets_refresh_interval_ms)
		return true;

	return vault_age(vault) <= (max_age_ms < 0 ? ON_DEMAND_AGE_MS : max_age_ms);
}

bool vault_may_serve_stale(const struct vault *vault)
{
	return vault->fetched && vault_age(vault) <= vault->member->settings->secrets_max_stale_ms;
}

bool vault_is_stale(const struct vault *vault)
{
	return vault->failing || !vault->refreshing;
}

void vault_fetch(struct vault *vault, struct waiter *waiter)
{
	list_append(&vault->waiters, &waiter->node);
	/* From a turn of its own: a waiter is never called from inside what it was handed to. */
	if (!platform_call_is_running(&vault->call))
		agenda_plan(vault->member->agenda, AGENDA_FETCH, 0);
}
