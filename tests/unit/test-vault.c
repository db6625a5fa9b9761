/* SPDX-License-Identifier: MIT */
#include "agent/vault.h"

#include <stdio.h>
#include <string.h>

#include "workspace-fixture.h"

static struct vault *vault_of(struct fixture *fixture)
{
	return &fixture->workspace->vault;
}

/* The background refresh, now, with this answer. */
static void refresh(struct fixture *fixture, int status, const char *body)
{
	fixture_expire(fixture, AGENDA_RENEW);
	fixture_answer(fixture, GET_SECRETS, status, body);
}

static bool bundle_is(struct fixture *fixture, const char *bundle)
{
	struct json_text is = bundle_text(vault_of(fixture)->bundle);

	return is.len == strlen(bundle) && memcmp(is.at, bundle, is.len) == 0;
}

static bool value_is(struct fixture *fixture, const char *key, const char *value)
{
	struct bundle_entry entry;

	return bundle_find(vault_of(fixture)->bundle, key, strlen(key), &entry) &&
	       entry.value.len == strlen(value) &&
	       memcmp(entry.value.at, value, entry.value.len) == 0;
}

/* Online, with no secrets yet that anybody has answered. */
static void begin(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_begin_online(fixture);
}

TEST(secrets_are_fetched_at_join_and_that_is_no_change)
{
	struct fake_request *request;
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK(!vault_is_fresh(vault_of(&fixture), -1));

	request = fixture_expect(&fixture, GET_SECRETS);
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_INT(request->max_body, VAULT_BUNDLE_MAX);
	fake_answer(request, 200, " { \"B\" : \"sk-2\" , \"A\" : \"sk-1\" } ");
	CHECK_INT(fixture.n_secrets, 0);
	CHECK(bundle_is(&fixture, "{\"A\":\"sk-1\",\"B\":\"sk-2\"}"));
	CHECK(vault_is_fresh(vault_of(&fixture), -1));
	CHECK(!vault_is_stale(vault_of(&fixture)));
	fixture_fini(&fixture);
}

TEST(a_change_tells_the_names_that_differ)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 200, "{\"A\":\"sk-1\",\"B\":\"sk-2\",\"C\":\"sk-3\"}");
	CHECK_INT(fixture.n_secrets, 1);
	CHECK_TEXT(fixture.changed, "[\"A\",\"B\",\"C\"]");

	refresh(&fixture, 200, "{\"C\":\"sk-3\",\"B\":\"sk-9\",\"D\":\"sk-4\"}");
	CHECK_INT(fixture.n_secrets, 2);
	CHECK_TEXT(fixture.changed, "[\"A\",\"B\",\"D\"]");
	CHECK(value_is(&fixture, "B", "\"sk-9\""));
	CHECK(!value_is(&fixture, "A", "\"sk-1\""));
	fixture_fini(&fixture);
}

TEST(the_same_in_another_order_is_no_change)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 200, "{\"A\":\"sk-1\",\"B\":\"sk-2\"}");
	refresh(&fixture, 200, "{ \"B\":\"sk-2\", \"A\":\"sk-1\" }");
	CHECK_INT(fixture.n_secrets, 1);
	fixture_fini(&fixture);
}

TEST(an_empty_answer_is_an_answer)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 200, "{\"A\":\"sk-1\"}");
	refresh(&fixture, 200, "{}");
	CHECK_INT(fixture.n_secrets, 2);
	CHECK_TEXT(fixture.changed, "[\"A\"]");
	CHECK(bundle_is(&fixture, "{}"));
	CHECK(vault_is_fresh(vault_of(&fixture), -1));
	fixture_fini(&fixture);
}

TEST(what_is_no_bundle_changes_nothing)
{
	static const struct {
		int status;
		const char *body;
	} odd[] = {
		{ 200, "" },
		{ 200, "[]" },
		{ 200, "\"sk-1\"" },
		{ 200, "{\"A\":7}" },
		{ 200, "{\"A\":null}" },
		{ 200, "{\"A\":\"sk-9\",\"B\":{}}" },
		{ 200, "{\"A\":\"sk-9\",\"A\":\"sk-8\"}" },
		{ 200, "{\"A\":\"sk-9\"" },
		{ 204, "" },
		{ 500, "{\"error\":\"query failed\"}" },
		{ 500, "{\"error\":\"no\",\"failed_keys\":[\"global:K\"]}" },
		{ 503, "" },
		{ 429, "{}" },
	};
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 200, "{\"A\":\"sk-1\"}");
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		refresh(&fixture, odd[i].status, odd[i].body);
		if (!bundle_is(&fixture, "{\"A\":\"sk-1\"}"))
			test_fail(__FILE__, __LINE__, "%d %s", odd[i].status, odd[i].body);
		CHECK(vault_is_stale(vault_of(&fixture)));
		CHECK(!vault_is_fresh(vault_of(&fixture), -1));
		CHECK(!strstr(vault_of(&fixture)->last_error->text, "sk-"));
	}
	CHECK_INT(fixture.n_secrets, 1);
	CHECK_INT(fixture.agent->context.counts.secrets.failed, ARRAY_LEN(odd));
	fixture_fini(&fixture);
}

TEST(failed_keys_are_named_to_those_who_can_mend_them)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 500, "{\"error\":\"no\",\"failed_keys\":[\"global:K\",\"workspace:L\"]}");
	CHECK(strstr(vault_of(&fixture)->last_error->text,
		     "cannot decrypt 2 of the secrets (first: global:K)"));
	refresh(&fixture, 500, "{\"failed_keys\":[]}");
	CHECK(strstr(vault_of(&fixture)->last_error->text, "HTTP 500"));
	refresh(&fixture, 500, "{\"failed_keys\":[7]}");
	CHECK(strstr(vault_of(&fixture)->last_error->text, "(first: 7)"));
	fixture_fini(&fixture);
}

TEST(stale_secrets_are_a_warning_until_they_are_fresh)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 503, "");
	refresh(&fixture, 503, "");
	CHECK_INT(fixture.n_warnings_raised, 1);
	CHECK(agent_has_warnings(&fixture.agent->context));
	refresh(&fixture, 200, "{}");
	CHECK_INT(fixture.n_warnings_gone, 1);
	CHECK(!agent_has_warnings(&fixture.agent->context));
	fixture_fini(&fixture);
}

TEST(a_failure_is_tried_again_and_never_sooner_than_a_success)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 503, "");
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_RENEW));
	CHECK((double)agenda_left_ms(&fixture.workspace->agenda, AGENDA_RENEW) / 1e3 >
	      (double)INT32_MAX / 1e3 - 60);
	fixture_fini(&fixture);
}

TEST(values_keep_every_character)
{
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, 200, "{\"A\":\"\\u0000\\ud83d\\ude00\\u003c&\\n\",\"B\":\"\"}");
	CHECK(value_is(&fixture, "A", "\"\\u0000\\ud83d\\ude00\\u003c&\\n\""));
	CHECK(value_is(&fixture, "B", "\"\""));
	fixture_fini(&fixture);
}

TEST(all_who_wait_share_one_request)
{
	struct fixture fixture;
	struct wish wishes[3];

	begin(&fixture);
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		wish_init(&wishes[i]);
		vault_fetch(vault_of(&fixture), &wishes[i].waiter);
		if (i == 1)
			fixture_settle(&fixture);
		CHECK_INT(wishes[i].called, 0);
	}
	CHECK_INT(fake_http_count(fixture.http), 1);
	waiter_cancel(&wishes[1].waiter);

	fixture_answer(&fixture, GET_SECRETS, 200, "{\"A\":\"sk-1\"}");
	CHECK_INT(wishes[0].called, 1);
	CHECK_INT(wishes[0].err.kind, ERROR_NONE);
	CHECK_INT(wishes[1].called, 0);
	CHECK_INT(wishes[2].called, 1);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_request_goes_on_without_those_who_wait)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	(void)fixture_expect(&fixture, GET_SECRETS);
	waiter_cancel(&wish.waiter);
	fixture_answer(&fixture, GET_SECRETS, 200, "{\"A\":\"sk-1\"}");
	CHECK_INT(wish.called, 0);
	CHECK_INT(fixture.n_secrets, 1);
	fixture_fini(&fixture);
}

TEST(one_who_gives_up_before_the_request_leaves_asks_for_nothing)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	waiter_cancel(&wish.waiter);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(those_who_wait_are_told_of_a_failure)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	fixture_fail(&fixture, GET_SECRETS);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	fixture_fini(&fixture);
}

TEST(those_who_wait_are_told_when_the_vault_stops)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	(void)fixture_expect(&fixture, GET_SECRETS);
	vault_stop(vault_of(&fixture));
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	fixture_expect_quiet(&fixture);
	CHECK(!vault_is_fresh(vault_of(&fixture), -1));
	CHECK(vault_is_stale(vault_of(&fixture)));
	fixture_fini(&fixture);
}

TEST(age_is_what_the_caller_accepts)
{
	struct fixture fixture;
	struct vault *vault;

	begin(&fixture);
	vault = vault_of(&fixture);
	vault->fetched_at_ms -= 100000;
	CHECK(vault_is_fresh(vault, -1));
	CHECK(vault_is_fresh(vault, 200000));
	CHECK(!vault_is_fresh(vault, 50000));
	CHECK(!vault_is_fresh(vault, 0));

	/* Nobody refreshes in the background: any age is five minutes. */
	fixture.workspace->settings.secrets_refresh_interval_ms = 0;
	CHECK(vault_is_fresh(vault, -1));
	vault->fetched_at_ms -= 210000;
	CHECK(!vault_is_fresh(vault, -1));
	fixture_fini(&fixture);
}

TEST(stale_secrets_are_served_for_as_long_as_was_said)
{
	struct fixture fixture;
	struct vault *vault;

	begin(&fixture);
	vault = vault_of(&fixture);
	fixture.workspace->settings.secrets_max_stale_ms = 60000;
	refresh(&fixture, 503, "");
	CHECK(vault_may_serve_stale(vault));
	vault->fetched_at_ms -= 61000;
	CHECK(!vault_may_serve_stale(vault));

	vault_wipe(vault);
	fixture.workspace->settings.secrets_max_stale_ms = INT64_MAX;
	CHECK(!vault_may_serve_stale(vault));
	CHECK(!bundle_count(vault->bundle));
	fixture_fini(&fixture);
}

TEST(a_refusal_makes_the_workspace_ask_about_itself)
{
	struct fixture fixture;

	begin(&fixture);
	agenda_drop(&fixture.workspace->agenda, AGENDA_POLL);
	refresh(&fixture, 401, INVALID_TOKEN);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
	fixture_fini(&fixture);
}

TEST(an_outage_does_not)
{
	struct fixture fixture;

	begin(&fixture);
	agenda_drop(&fixture.workspace->agenda, AGENDA_POLL);
	refresh(&fixture, 503, "");
	CHECK(!agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	fixture_fini(&fixture);
}

TEST(without_refreshing_they_are_fetched_once_and_on_demand)
{
	struct fixture fixture;
	struct wish wish;

	fixture_init(&fixture);
	fixture.settings.secrets_refresh_interval_ms = 0;
	fixture_begin_online(&fixture);
	CHECK_INT(fixture.agent->context.counts.secrets.ok, 1);
	CHECK(!agenda_has(&fixture.workspace->agenda, AGENDA_RENEW));

	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	fixture_answer(&fixture, GET_SECRETS, 200, "{\"A\":\"sk-1\"}");
	CHECK_INT(wish.called, 1);
	CHECK_INT(fixture.n_secrets, 1);
	fixture_fini(&fixture);
}

TEST(a_request_that_cannot_be_sent_is_a_failure_and_tried_again)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	fake_http_refuse(fixture.http, true);
	wish_init(&wish);
	vault_fetch(vault_of(&fixture), &wish.waiter);
	fixture_settle(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_INTERNAL);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_RENEW));
	fixture_fini(&fixture);
}
