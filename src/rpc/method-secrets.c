/* SPDX-License-Identifier: MIT */
/*
 * secrets.*: served from memory, as the JSON that the vault keeps; this is what
 * agents call most.
 */

#include <errno.h>
#include <string.h>

#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method-secrets.h"
#include "rpc/method.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define KEY_MAX 1024 /* no variable has a longer name: what is longer is missing */
#define KEYS_MAX 512 /* more than these are asked for by asking for all */

enum {
	GET_WORKSPACE,
	GET_KEYS,
	GET_MAX_AGE
};

/* Waits for a fetch, if the workspace may ask for one now. */
static int fetch(struct call *call, call_resume_fn resume, struct error *err)
{
	struct waiter *waiter = call_park_asking(&call, resume, err);

	if (!waiter)
		return -EIO;

	vault_fetch(&call->workspace->vault, waiter);
	return CALL_PARKED;
}

static bool find_decoded(const struct bundle *bundle, struct json_text key,
			 struct bundle_entry *ret)
{
	char name[KEY_MAX + 1];
	ssize_t len;

	len = json_text_decode(key, name, KEY_MAX);
	if (len < 0)
		return false;

	name[len] = '\0';
	return bundle_find(bundle, name, (size_t)len, ret);
}

/* A name that is written as the bundle writes it is found without decoding it. */
static bool find_key(const struct bundle *bundle, struct json_text key, struct bundle_entry *ret)
{
	for (size_t i = 0; i < bundle_count(bundle); i++) {
		*ret = bundle_entry(bundle, i);
		if (ret->key.len == key.len && memcmp(ret->key.at, key.at, key.len) == 0)
			return true;
	}

	return find_decoded(bundle, key, ret);
}

/* Whether an earlier one among the wanted is the same: an object has a name once. */
static bool is_repeated(struct json_text keys, struct json_text key)
{
	struct json_iter iter = json_iter(keys);
	struct json_text earlier;

	while (json_next_element(&iter, &earlier) && earlier.at < key.at)
		if (earlier.len == key.len && memcmp(earlier.at, key.at, key.len) == 0)
			return true;

	return false;
}

/* Returns how many there are that it did not write. */
static size_t write_values(struct buffer *out, const struct bundle *bundle, struct json_text keys)
{
	struct json_iter iter = json_iter(keys);
	struct bundle_entry entry;
	struct json_text key;
	size_t n_missing = 0;

	while (json_next_element(&iter, &key)) {
		if (!find_key(bundle, key, &entry)) {
			n_missing++;
			continue;
		}
		if (is_repeated(keys, key))
			continue;

		writer_raw(out, NULL, entry.key.at, entry.key.len);
		(void)buffer_append_char(out, ':');
		(void)buffer_append(out, entry.value.at, entry.value.len);
	}

	return n_missing;
}

static void write_missing(struct buffer *out, const struct bundle *bundle, struct json_text keys)
{
	struct json_iter iter = json_iter(keys);
	struct bundle_entry entry;
	struct json_text key;

	while (json_next_element(&iter, &key))
		if (!find_key(bundle, key, &entry) && !is_repeated(keys, key))
			writer_raw(out, NULL, key.at, key.len);
}

static int answer_get(struct call *call, bool stale)
{
	const struct vault *vault = &call->workspace->vault;
	const struct arg *keys = &call->args[GET_KEYS];
	struct buffer *out = call_result(call);
	struct json_text bundle;
	size_t n_missing = 0;

	(void)buffer_append_text(out, "{\"values\":");
	if (arg_given(keys)) {
		(void)buffer_append_char(out, '{');
		n_missing = write_values(out, vault->bundle, keys->text);
		(void)buffer_append_char(out, '}');
	} else {
		bundle = bundle_text(vault->bundle);
		(void)buffer_append(out, bundle.at, bundle.len);
	}
	(void)buffer_append_text(out, ",\"missing\":[");
	if (n_missing)
		write_missing(out, vault->bundle, keys->text);
	(void)buffer_append_char(out, ']');
	status_write_fetched_at(out, vault->fetched, vault->fetched_wall_ms);
	(void)buffer_append_text(out, stale ? ",\"stale\":true}" : ",\"stale\":false}");
	return 0;
}

/* The platform did not give us newer ones. */
static int answer_old(struct call *call, const struct error *failed, struct error *err)
{
	if (vault_may_serve_stale(&call->workspace->vault))
		return answer_get(call, true);

	return error_copy(err, failed);
}

static int gone(const struct call *call, struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE, ENODATA, "there are no secrets of %s any more",
			 call->workspace->settings.name);
}

static int get_fetched(struct call *call, const struct error *failed, struct error *err)
{
	if (failed)
		return answer_old(call, failed, err);

	/* They came, and went before we did: the workspace was deleted. */
	if (!call->workspace->vault.fetched)
		return gone(call, err);

	return answer_get(call, vault_is_stale(&call->workspace->vault));
}

static int fetch_and_get(struct call *call, struct error *err)
{
	struct error why;
	int r;

	r = fetch(call, get_fetched, &why);
	if (r < 0)
		return answer_old(call, &why, err);

	return r;
}

static int secrets_get(struct call *call, struct error *err)
{
	const struct vault *vault = &call->workspace->vault;
	const struct arg *max_age = &call->args[GET_MAX_AGE];

	if (vault_is_fresh(vault, arg_given(max_age) ? max_age->integer : -1))
		return answer_get(call, vault_is_stale(vault));

	return fetch_and_get(call, err);
}

static int answer_list(struct call *call)
{
	const struct vault *vault = &call->workspace->vault;
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	status_write_keys(out, "keys", vault);
	status_write_fetched_at(out, vault->fetched, vault->fetched_wall_ms);
	writer_close(out, '}');
	return 0;
}

static int list_fetched(struct call *call, const struct error *failed, struct error *err)
{
	if (!failed || vault_may_serve_stale(&call->workspace->vault))
		return answer_list(call);

	return error_copy(err, failed);
}

static int secrets_list(struct call *call, struct error *err)
{
	struct error why;
	int r;

	if (vault_is_fresh(&call->workspace->vault, -1))
		return answer_list(call);

	r = fetch(call, list_fetched, &why);
	return r < 0 ? list_fetched(call, &why, err) : r;
}

static int refreshed(struct call *call, const struct error *failed, struct error *err)
{
	const struct vault *vault = &call->workspace->vault;
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	status_write_keys(out, "keys", vault);
	if (buffer_len(&call->note))
		writer_raw(out, "changed", buffer_at(&call->note), buffer_len(&call->note));
	else
		writer_raw(out, "changed", "[]", 2);
	status_write_fetched_at(out, vault->fetched, vault->fetched_wall_ms);
	writer_close(out, '}');
	return 0;
}

static int secrets_refresh(struct call *call, struct error *err)
{
	return fetch(call, refreshed, err);
}

struct change {
	const char *names;
	size_t len;
};

static void note_change(struct call *call, void *data)
{
	const struct change *change = data;

	buffer_reset(&call->note);
	(void)buffer_append(&call->note, change->names, change->len);
}

void secrets_note_change(struct hub *hub, const struct workspace *workspace, const char *changed,
			 size_t len)
{
	struct change change = { .names = changed, .len = len };

	call_for_each(hub, secrets_refresh, workspace, note_change, &change);
}

const struct method methods_secrets[] = {
	{ "secrets.list", POLICY_USE, secrets_list, "name the secrets, without their values",
	  FIELDS(FIELD_THE_WORKSPACE),
	  FIELDS({ "keys", FIELD_STRINGS, .help = "names, sorted" },
		 { "fetched_at", FIELD_TIME, .help = "when the platform said so" }) },
	{ "secrets.get", POLICY_USE, secrets_get, "read secrets",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "keys", FIELD_STRINGS, .max = KEYS_MAX,
		   .help = "only these; all when left out" },
		 { "max_age_ms", FIELD_INTEGER,
		   .help = "ask the platform when what is known is older; 0: always" }),
	  FIELDS({ "values", FIELD_OBJECT, .help = "a string for each name" },
		 { "missing", FIELD_STRINGS,
		   .help = "names among keys that there is no secret of" },
		 { "fetched_at", FIELD_TIME, .help = "when the platform said so" },
		 { "stale", FIELD_BOOLEAN, .help = "the platform could not be asked since" }) },
	{ "secrets.refresh", POLICY_USE, secrets_refresh, "ask the platform for the secrets now",
	  FIELDS(FIELD_THE_WORKSPACE),
	  FIELDS({ "keys", FIELD_STRINGS, .help = "names, sorted" },
		 { "changed", FIELD_STRINGS,
		   .help = "those that came, went or have another value" },
		 { "fetched_at", FIELD_TIME, .help = "when the platform said so" }) },
	{ 0 },
};
