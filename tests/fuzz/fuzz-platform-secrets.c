/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a bundle of secrets. It is taken as a whole or not at all; what
 * is served is what came, and the same bundle again is no change.
 */

#include "agent/vault.h"
#include "base/jsonscan.h"
#include "fuzz-answer.h"
#include "fuzz-member.h"

static unsigned n_changes;

static void on_changed(struct vault *vault, const char *changed, size_t len)
{
	struct json_text names;

	n_changes++;
	REQUIRE(json_check(changed, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) == 0);
	names = json_text_from(changed, len);
	REQUIRE(json_text_kind(names) == JSON_ARRAY && len > 2);
}

static void on_doubt(struct vault *vault)
{
}

static void check_entry(const struct bundle *bundle, struct bundle_entry entry)
{
	struct bundle_entry found;
	char *name;

	REQUIRE(json_text_kind(entry.key) == JSON_STRING);
	REQUIRE(json_text_kind(entry.value) == JSON_STRING);
	/* One with a NUL in it has no name that somebody could ask for. */
	if (json_text_dup(entry.key, &name) < 0)
		return;

	/* Another spelling of it may come first. */
	REQUIRE(bundle_find(bundle, name, strlen(name), &found));
	REQUIRE(json_text_equals(found.key, name));
	free(name);
}

static void check_bundle(const struct bundle *bundle)
{
	struct json_text text = bundle_text(bundle);
	struct json_iter iter = json_iter(text);
	struct json_text key, value;
	size_t n = 0;

	REQUIRE(json_check(text.at, text.len, JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) == 0);
	for (; json_next_member(&iter, &key, &value); n++) {
		REQUIRE(n < bundle_count(bundle));
		REQUIRE(key.at == bundle_entry(bundle, n).key.at);
		REQUIRE(key.len == bundle_entry(bundle, n).key.len);
		REQUIRE(value.at == bundle_entry(bundle, n).value.at);
		REQUIRE(value.len == bundle_entry(bundle, n).value.len);
	}
	REQUIRE(n == bundle_count(bundle));
	for (size_t i = 0; i < n && i < 100; i++)
		check_entry(bundle, bundle_entry(bundle, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct vault_events events = { on_changed, on_doubt };
	const struct platform_reply empty = { .verdict = PLATFORM_OK, .body = "{}", .body_len = 2 };
	struct answer answer;
	struct vault vault;

	if (!answer_init(&answer, bytes, len, true))
		return 0;

	vault_init(&vault, fuzz_member(), &events);
	vault.call.on_done(&vault.call, &answer.reply);
	REQUIRE(vault.fetched == !vault.failing);
	REQUIRE(!vault.fetched || answer.reply.verdict == PLATFORM_OK);
	if (vault.fetched)
		check_bundle(vault.bundle);

	n_changes = 0;
	vault.call.on_done(&vault.call, &answer.reply);
	REQUIRE(n_changes == 0);
	vault.call.on_done(&vault.call, &empty);
	REQUIRE(!vault.bundle && vault.fetched);
	vault.call.on_done(&vault.call, &answer.reply);
	REQUIRE(n_changes == (vault.bundle ? 2 : 0));

	vault_fini(&vault);
	answer_fini(&answer);
	return 0;
}
