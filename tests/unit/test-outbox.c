/* SPDX-License-Identifier: MIT */
/*
 * Delegations on their way: into the journal, to the platform, to their end.
 */

#include "agent/outbox.h"

#include "outbox-fixture.h"

TEST(what_is_sent_is_on_disk_before)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do \"it\"", "k1", &told);
	CHECK_INT(told.err.kind, ERROR_NONE);
	CHECK_TEXT(told.status, "pending");
	CHECK_TEXT(told.key, "k1");
	CHECK(!told.duplicate);
	CHECK_TEXT(fixture_expect(&fixture, POST_DELEGATE)->body,
		   "{\"target_id\":\"" TO
		   "\",\"task\":\"do \\\"it\\\"\",\"idempotency_key\":\"k1\"}");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status || task FROM delegation"),
		   "pendingdo \"it\"");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT id FROM delegation"), told.id);
	fixture_fini(&fixture);
}

TEST(the_task_is_kept_until_the_platform_has_it)
{
	struct fixture fixture;
	struct told told, tried;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &told);
	told_init(&tried, &fixture);
	CHECK(outbox_await_try(outbox_of(&fixture), told.id, &tried.waiter));
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_INT(tried.called, 1);
	CHECK_TEXT(tried.status, "delegated");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT task FROM delegation"), "");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status || platform_id FROM delegation"),
		   "delegated" THEIRS);
	CHECK_TEXT(fixture.told, "pending delegated");
	fixture_fini(&fixture);
}

TEST(random_keys_are_never_the_same)
{
	struct told first, second;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &first);
	outbox_order(&fixture, "do it", NULL, &second);
	CHECK_INT(strlen(first.key), 32);
	CHECK(strcmp(first.key, second.key) != 0);
	CHECK(strcmp(first.id, second.id) != 0);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "2");
	fixture_fini(&fixture);
}

TEST(the_same_key_is_the_same_delegation)
{
	struct told first, second;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", "mine", &first);
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	outbox_order(&fixture, "do something else", "mine", &second);
	CHECK(second.duplicate);
	CHECK_TEXT(second.id, first.id);
	CHECK_TEXT(second.status, "delegated");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "1");
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_lost_answer_is_asked_for_under_the_same_key)
{
	struct fixture fixture;
	struct told told, tried;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", "mine", &told);
	told_init(&tried, &fixture);
	CHECK(outbox_await_try(outbox_of(&fixture), told.id, &tried.waiter));
	fixture_fail(&fixture, POST_DELEGATE);
	CHECK_TEXT(tried.status, "pending");
	CHECK(!outbox_await_try(outbox_of(&fixture), told.id, &tried.waiter));
	fixture_expect_quiet(&fixture);

	outbox_expire(&fixture, &outbox_of(&fixture)->send_timer);
	fixture_settle_store(&fixture);
	CHECK(strstr(fixture_expect(&fixture, POST_DELEGATE)->body, "\"mine\""));
	outbox_answer(&fixture, POST_DELEGATE, 200,
		      "{\"delegation_id\":\"" THEIRS "\",\"status\":\"dispatched\","
		      "\"idempotent_hit\":true}");
	CHECK_TEXT(fixture.told, "pending dispatched");
	CHECK_INT(outbox_of(&fixture)->n_send_failures, 1);
	CHECK_INT(outbox_of(&fixture)->n_sent, 1);
	fixture_fini(&fixture);
}

TEST(what_the_platform_refuses_has_failed)
{
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &told);
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	outbox_answer(&fixture, POST_DELEGATE, 400, "{\"error\":\"no such thing\"}");
	CHECK_TEXT(ended.status, "failed");
	CHECK(strstr(ended.error, "no such thing"));
	CHECK(!outbox_look(outbox_of(&fixture), told.id));
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status || ended FROM delegation"), "failed1");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT task FROM delegation"), "");
	CHECK(!timer_is_running(&outbox_of(&fixture)->send_timer));
	CHECK(!timer_is_running(&outbox_of(&fixture)->follow_timer));
	fixture_fini(&fixture);
}

TEST(an_answer_that_is_none_is_no_answer)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &told);
	outbox_answer(&fixture, POST_DELEGATE, 200, "{\"status\":\"delegated\"}");
	CHECK_TEXT(fixture.told, "pending");
	CHECK(timer_is_running(&outbox_of(&fixture)->send_timer));
	fixture_fini(&fixture);
}

TEST(the_platforms_rate_limit_is_obeyed)
{
	struct http_result result = {
		.outcome = HTTP_ANSWERED,
		.status = 429,
		.body = "{\"error\":\"rate limit exceeded\"}",
		.content_type = "application/json",
		.retry_after = "30",
	};
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &told);
	result.body_len = strlen(result.body);
	fake_answer_with(fixture_expect(&fixture, POST_DELEGATE), &result, NULL);
	fixture_settle_store(&fixture);
	CHECK(timer_left_ms(&outbox_of(&fixture)->send_timer) > 25000);
	CHECK_TEXT(fixture.told, "pending");
	fixture_fini(&fixture);
}

TEST(one_that_never_succeeds_holds_up_nobody)
{
	struct told first, second;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_order(&fixture, "poison", NULL, &first);
	outbox_answer(&fixture, POST_DELEGATE, 500, "{\"error\":\"failed to store delegation\"}");
	outbox_order(&fixture, "fine", NULL, &second);
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_TEXT(fixture.told, "pending pending delegated");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT task FROM delegation WHERE status = 'pending'"),
		   "poison");
	fixture_fini(&fixture);
}

TEST(a_few_are_sent_at_once_and_the_others_after_them)
{
	struct told told[OUTBOX_SENDING_MAX + 2];
	struct fixture fixture;

	outbox_begin(&fixture);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		outbox_order(&fixture, "do it", NULL, &told[i]);
	CHECK_INT(fake_http_count(fixture.http), OUTBOX_SENDING_MAX);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_INT(outbox_of(&fixture)->n_open[DELEGATE_DELEGATED], ARRAY_LEN(told));
	CHECK_INT(outbox_of(&fixture)->n_sending, 0);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(what_became_of_it_is_told_once)
{
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	outbox_poll(&fixture, 200, LISTED("dispatched"));
	outbox_poll(&fixture, 200, LISTED("dispatched"));
	CHECK_INT(ended.called, 0);
	outbox_poll(&fixture, 200,
		    "[{\"delegation_id\":\"" THEIRS "\",\"status\":\"completed\","
		    "\"response_preview\":\"caf\\ufffd...\"},"
		    "{\"delegation_id\":\"" THEIRS "\",\"status\":\"completed\"}]");
	CHECK_INT(ended.called, 1);
	CHECK_TEXT(ended.status, "completed");
	CHECK_TEXT(ended.preview, "caf...");
	CHECK_TEXT(fixture.told, "pending delegated dispatched completed");
	CHECK_INT(outbox_of(&fixture)->n_completed, 1);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status || ended || preview FROM delegation"),
		   "completed1caf...");
	/* None is left to ask for. */
	CHECK(!timer_is_running(&outbox_of(&fixture)->follow_timer));
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(it_never_goes_back)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_poll(&fixture, 200, LISTED("queued"));
	outbox_poll(&fixture, 200, LISTED("pending"));
	outbox_poll(&fixture, 200, LISTED("dispatched"));
	CHECK_TEXT(fixture.told, "pending delegated queued");
	fixture_fini(&fixture);
}

TEST(questions_get_rarer_while_nothing_happens)
{
	int64_t before = 0, interval;
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	interval = outbox_of(&fixture)->follow_interval_ms;
	CHECK_INT(interval, 2000);
	for (int i = 0; i < 12; i++) {
		CHECK(interval >= before);
		before = interval;
		outbox_poll(&fixture, 200, LISTED("delegated"));
		interval = outbox_of(&fixture)->follow_interval_ms;
	}
	CHECK_INT(interval, 60000);

	/* Somebody waits: soon enough for a person. */
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	CHECK(timer_left_ms(&outbox_of(&fixture)->follow_timer) <= 15000);
	waiter_cancel(&ended.waiter);

	/* Something has happened. */
	outbox_poll(&fixture, 200, LISTED("dispatched"));
	CHECK_INT(outbox_of(&fixture)->follow_interval_ms, 2000);
	fixture_fini(&fixture);
}

TEST(nothing_for_an_hour_is_asked_for_every_ten_minutes)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_of(&fixture)->news_ms -= 3600000;
	for (int i = 0; i < 20; i++)
		outbox_poll(&fixture, 200, LISTED("delegated"));
	CHECK_INT(outbox_of(&fixture)->follow_interval_ms, 600000);
	fixture_fini(&fixture);
}

TEST(a_platform_that_fails_is_not_asked_more_often)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	for (int i = 0; i < 20; i++)
		outbox_poll(&fixture, 503, "{}");
	CHECK(timer_left_ms(&outbox_of(&fixture)->follow_timer) > 100000);
	CHECK_INT(outbox_of(&fixture)->n_poll_failures, 20);
	/* What happens meanwhile changes nothing about that. */
	outbox_order(&fixture, "another", NULL, &told);
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK(timer_left_ms(&outbox_of(&fixture)->follow_timer) > 100000);
	fixture_fini(&fixture);
}

TEST(a_list_that_is_none_counts_as_a_failure)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_poll(&fixture, 200, "{\"delegations\":[]}");
	CHECK_INT(outbox_of(&fixture)->n_poll_failures, 1);
	CHECK_TEXT(fixture.told, "pending delegated");
	fixture_fini(&fixture);
}

/* So many rows of others. */
static const char *strangers(int n)
{
	static char text[8192];
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s{\"delegation_id\":\"x%d\",\"status\":\"queued\"}",
					i ? "," : "[", i);
	(void)snprintf(text + len, sizeof(text) - len, "]");
	return text;
}

TEST(what_the_list_has_no_room_for_is_in_the_log)
{
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_poll(&fixture, 200, strangers(49));
	fixture_expect_quiet(&fixture);

	outbox_poll(&fixture, 200, strangers(50));
	outbox_answer(&fixture, GET_LOG, 200,
		      "[{\"method\":\"delegate\",\"status\":\"dispatched\",\"error_detail\":null,"
		      "\"request_body\":{\"task\":\"do it\",\"delegation_id\":\"" THEIRS "\"}}]");
	CHECK_TEXT(fixture.told, "pending delegated dispatched");

	/* Not again so soon. */
	outbox_poll(&fixture, 200, strangers(50));
	fixture_expect_quiet(&fixture);
	outbox_of(&fixture)->more_asked_ms -= 60000;
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	outbox_poll(&fixture, 200, strangers(50));
	outbox_answer(&fixture, GET_LOG, 200,
		      "[{\"method\":\"delegate_result\",\"status\":\"failed\","
		      "\"error_detail\":\"nobody there\"},"
		      "{\"method\":\"delegate\",\"status\":\"failed\","
		      "\"error_detail\":\"nobody there\","
		      "\"request_body\":{\"task\":\"do it\",\"delegation_id\":\"" THEIRS "\"}}]");
	CHECK_TEXT(ended.status, "failed");
	CHECK_TEXT(ended.error, "nobody there");
	fixture_fini(&fixture);
}

TEST(a_log_that_cannot_be_read_is_left_alone_for_a_while)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_poll(&fixture, 200, strangers(50));
	outbox_answer(&fixture, GET_LOG, 500, "{}");
	outbox_of(&fixture)->more_asked_ms -= 599000;
	outbox_poll(&fixture, 200, strangers(50));
	fixture_expect_quiet(&fixture);
	/* The list is asked all the same. */
	CHECK_INT(outbox_of(&fixture)->n_poll_failures, 0);
	outbox_poll(&fixture, 200, LISTED("completed"));
	CHECK_TEXT(fixture.told, "pending delegated completed");
	fixture_fini(&fixture);
}

TEST(waking_up_is_a_reason_to_try_again)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	for (int i = 0; i < 12; i++)
		outbox_poll(&fixture, 503, "{}");
	outbox_order(&fixture, "another", NULL, &told);
	for (int i = 0; i < 12; i++) {
		fixture_fail(&fixture, POST_DELEGATE);
		outbox_expire(&fixture, &outbox_of(&fixture)->send_timer);
		fixture_settle_store(&fixture);
	}
	fixture_fail(&fixture, POST_DELEGATE);
	CHECK(timer_left_ms(&outbox_of(&fixture)->send_timer) > 60000);
	CHECK(timer_left_ms(&outbox_of(&fixture)->follow_timer) > 60000);
	workspace_wake(fixture.workspace, false);
	CHECK(timer_left_ms(&outbox_of(&fixture)->send_timer) < 2000);
	CHECK(timer_left_ms(&outbox_of(&fixture)->follow_timer) < 2000);
	fixture_fini(&fixture);
}

TEST(what_the_platform_has_forgotten_is_unknown_after_a_week)
{
	struct delegation *row;
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	outbox_poll(&fixture, 200, "[]");
	CHECK_TEXT(fixture.told, "pending delegated");

	row = (struct delegation *)(uintptr_t)outbox_look(outbox_of(&fixture), told.id);
	row->created_wall_ms -= (int64_t)8 * 24 * 3600000;
	outbox_poll(&fixture, 200, "[]");
	CHECK_TEXT(fixture.told, "pending delegated unknown");
	CHECK_INT(outbox_of(&fixture)->n_lost, 1);
	CHECK(!timer_is_running(&outbox_of(&fixture)->follow_timer));
	fixture_fini(&fixture);
}

TEST(nobody_is_told_our_token)
{
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	outbox_poll(&fixture, 200,
		    "[{\"delegation_id\":\"" THEIRS "\",\"status\":\"failed\","
		    "\"error\":\"bad bearer token-of-old\"}]");
	CHECK_TEXT(ended.status, "failed");
	CHECK(!strstr(ended.error, "token-of-old"));
	fixture_fini(&fixture);
}
