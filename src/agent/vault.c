/* SPDX-License-Identifier: MIT */
/*
 * Keeping the bundle of secrets. What the platform sent is copied, member by
 * member and as the JSON text that it is, into one block of secret memory, in
 * the order of the keys; serving it is then a copy, and comparing two bundles a
 * walk down both.
 */

#include "agent/vault.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/secret.h"
#include "platform/secrets.h"

/* How old an answer may be when nobody refreshes in the background. */
#define ON_DEMAND_AGE_MS 300000

/* One bundle while it is being built. */
struct bundle {
	char *text; /* secret memory */
	size_t len;
	struct vault_entry *entries;
	size_t n_entries;
};

static void bundle_fini(struct bundle *bundle)
{
	secret_free(bundle->text);
	free(bundle->entries);
	*bundle = (struct bundle){ 0 };
}

static int compare_entries(const void *a, const void *b)
{
	const struct vault_entry *x = a, *y = b;
	int r = memcmp(x->key.at, y->key.at, MIN(x->key.len, y->key.len));

	if (r)
		return r;

	return x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

/* The members as they stand in the answer. -EBADMSG when it is no flat object of strings. */
static int bundle_collect(struct bundle *bundle, struct json_text answer)
{
	struct json_iter iter = json_iter(answer);
	struct vault_entry entry;
	size_t n = 0;

	if (json_text_kind(answer) != JSON_OBJECT)
		return -EBADMSG;

	while (json_next_member(&iter, &entry.key, &entry.value)) {
		if (json_text_kind(entry.value) != JSON_STRING)
			return -EBADMSG;
		n++;
	}

	if (!n)
		return 0;

	bundle->entries = calloc(n, sizeof(*bundle->entries));
	if (!bundle->entries)
		return -ENOMEM;

	iter = json_iter(answer);
	while (json_next_member(&iter, &entry.key, &entry.value))
		bundle->entries[bundle->n_entries++] = entry;

	qsort(bundle->entries, bundle->n_entries, sizeof(*bundle->entries), compare_entries);
	return 0;
}

/* A key that is there twice would have to be one or the other: such an answer is not believed. */
static bool bundle_is_unique(const struct bundle *bundle)
{
	for (size_t i = 1; i < bundle->n_entries; i++)
		if (compare_entries(&bundle->entries[i - 1], &bundle->entries[i]) == 0)
			return false;

	return true;
}

static struct json_text put(struct bundle *bundle, struct json_text text, char before)
{
	struct json_text copy = { bundle->text + bundle->len + 1, text.len };

	bundle->text[bundle->len++] = before;
	memcpy(bundle->text + bundle->len, text.at, text.len);
	bundle->len += text.len;
	return copy;
}

/* Moves the members into secret memory. */
static int bundle_settle(struct bundle *bundle)
{
	size_t size = 3;

	if (!bundle->n_entries)
		return 0;

	for (size_t i = 0; i < bundle->n_entries; i++)
		size += bundle->entries[i].key.len + bundle->entries[i].value.len + 2;

	bundle->text = secret_alloc(size);
	if (!bundle->text)
		return -ENOMEM;

	for (size_t i = 0; i < bundle->n_entries; i++) {
		struct vault_entry *entry = &bundle->entries[i];

		entry->key = put(bundle, entry->key, i ? ',' : '{');
		entry->value = put(bundle, entry->value, ':');
	}
	bundle->text[bundle->len++] = '}';
	return 0;
}

static int bundle_read(struct bundle *bundle, const struct platform_reply *reply)
{
	int r;

	r = bundle_collect(bundle, json_text_from(reply->body, reply->body_len));
	if (r < 0)
		return r;

	if (!bundle_is_unique(bundle))
		return -EBADMSG;

	return bundle_settle(bundle);
}

static bool entry_same(const struct vault_entry *a, const struct vault_entry *b)
{
	return a->value.len == b->value.len && memcmp(a->value.at, b->value.at, a->value.len) == 0;
}

static void name_change(struct buffer *out, const struct vault_entry *entry)
{
	(void)buffer_append_char(out, buffer_len(out) > 1 ? ',' : '[');
	(void)buffer_append(out, entry->key.at, entry->key.len);
}

/* The names of what differs, as a JSON array; empty when nothing does. */
static void bundle_compare(const struct vault *vault, const struct bundle *bundle,
			   struct buffer *out)
{
	size_t i = 0, j = 0;

	while (i < vault->n_entries && j < bundle->n_entries) {
		const struct vault_entry *was = &vault->entries[i], *is = &bundle->entries[j];
		int r = compare_entries(was, is);

		if (r < 0)
			name_change(out, was);
		else if (r > 0 || !entry_same(was, is))
			name_change(out, is);
		i += r <= 0;
		j += r >= 0;
	}
	while (i < vault->n_entries)
		name_change(out, &vault->entries[i++]);
	while (j < bundle->n_entries)
		name_change(out, &bundle->entries[j++]);
	if (buffer_len(out))
		(void)buffer_append_char(out, ']');
}

static void vault_drop(struct vault *vault)
{
	secret_free(vault->bundle);
	free(vault->entries);
	vault->bundle = NULL;
	vault->entries = NULL;
	vault->bundle_len = vault->n_entries = 0;
}

static void vault_adopt(struct vault *vault, struct bundle *bundle)
{
	vault_drop(vault);
	vault->bundle = TAKE(bundle->text);
	vault->bundle_len = (uint32_t)bundle->len;
	vault->entries = TAKE(bundle->entries);
	vault->n_entries = (uint32_t)bundle->n_entries;
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
		timer_start(&vault->refresh, delay);
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
	vault->n_failures++;
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
		bundle_compare(vault, bundle, &changed);
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
	struct bundle bundle = { 0 };
	struct error err = reply->err;
	int r;

	vault->n_fetches++;
	if (reply->verdict != PLATFORM_OK) {
		describe_failed_keys(reply, &err);
		if (reply->verdict != PLATFORM_DOWN && reply->verdict != PLATFORM_LIMITED)
			vault->events->on_doubt(vault);
		vault_fail(vault, &err);
		return;
	}

	r = bundle_read(&bundle, reply);
	if (r < 0) {
		bundle_fini(&bundle);
		(void)error_set(&err, r == -ENOMEM ? ERROR_INTERNAL : ERROR_PLATFORM, -r,
				r == -ENOMEM
					? "no memory for the secrets of %s"
					: "the secrets of %s came in a form that is not theirs "
					  "and were not taken",
				vault->member->settings->name);
		vault_fail(vault, &err);
		return;
	}

	vault_accept(vault, &bundle);
	bundle_fini(&bundle);
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

static void vault_on_refresh(struct timer *timer)
{
	struct vault *vault = container_of(timer, struct vault, refresh);

	if (!platform_call_is_running(&vault->call))
		vault_request(vault, PLATFORM_BACKGROUND);
}

/* From a turn of its own: a waiter is never called from inside the function it was handed to. */
static void vault_on_fetch_soon(struct loop_work *work)
{
	struct vault *vault = container_of(work, struct vault, fetch_soon);

	if (!platform_call_is_running(&vault->call) && !list_empty(&vault->waiters))
		vault_request(vault, PLATFORM_FOREGROUND);
}

void vault_init(struct vault *vault, const struct membership *member,
		const struct vault_events *events)
{
	*vault = (struct vault){ .member = member, .events = events };
	list_init(&vault->waiters);
	timer_init(&vault->refresh, member->context->loop, vault_on_refresh);
	loop_work_init(&vault->fetch_soon, vault_on_fetch_soon);
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
	timer_start(&vault->refresh, 0);
}

void vault_adjust(struct vault *vault)
{
	if (vault->refreshing)
		timer_start(&vault->refresh, 0);
}

void vault_stop(struct vault *vault)
{
	struct error err = { 0 };

	vault->refreshing = false;
	timer_stop(&vault->refresh);
	loop_work_cancel(&vault->fetch_soon);
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
	vault_drop(vault);
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
	if (!platform_call_is_running(&vault->call))
		loop_defer(vault->member->context->loop, &vault->fetch_soon);
}

struct json_text vault_bundle(const struct vault *vault)
{
	/* Most agents have no secrets: that needs no memory of its own. */
	if (!vault->bundle)
		return (struct json_text){ "{}", 2 };

	return (struct json_text){ vault->bundle, vault->bundle_len };
}

const struct vault_entry *vault_find(const struct vault *vault, const char *key, size_t len)
{
	for (size_t i = 0; i < vault->n_entries; i++) {
		const struct vault_entry *entry = &vault->entries[i];

		/* Most keys have no escapes, and compare as they stand. */
		bool escaped = memchr(entry->key.at, '\\', entry->key.len);

		if (escaped ? json_text_equals(entry->key, key)
			    : entry->key.len == len + 2 && memcmp(entry->key.at + 1, key, len) == 0)
			return entry;
	}

	return NULL;
}
