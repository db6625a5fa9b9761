/* SPDX-License-Identifier: MIT */
/*
 * A workspace that has joined: beating, being watched, paused, resumed, lost
 * and found, and what somebody local asks of it meanwhile.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "workspace-fixture.h"

#define OK_BODY "{\"status\":\"ok\"}"

static void begin(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_begin_online(fixture);
}

static struct workspace *workspace_of(struct fixture *fixture)
{
	return fixture->workspace;
}

/* A state poll now, with this answer. */
static void poll(struct fixture *fixture, int status, const char *body)
{
	fixture_expire(fixture, AGENDA_POLL);
	fixture_answer(fixture, GET_STATE, status, body);
}

static void beat(struct fixture *fixture, int status, const char *body)
{
	fixture->workspace->heartbeat.hold_until_ms = 0;
	fixture_expire(fixture, AGENDA_BEAT);
	fixture_answer(fixture, POST_BEAT, status, body);
}

/* The joining sequence, from its timer to its end. */
static void rejoin(struct fixture *fixture)
{
	if (agenda_has(&fixture->workspace->agenda, AGENDA_JOIN))
		fixture_expire(fixture, AGENDA_JOIN);
	fixture_answer(fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(fixture, POST_BEAT, 200, OK_BODY);
	fixture_answer(fixture, GET_STATE, 200, STATE("online"));
	fixture_answer_rest(fixture);
	CHECK_INT(fixture->workspace->state, LIFECYCLE_ONLINE);
}

TEST(pausing_ends_beats_and_requests_for_secrets_at_once)
{
	struct fixture fixture;

	begin(&fixture);
	fixture_expire(&fixture, AGENDA_BEAT);
	fixture_expire(&fixture, AGENDA_RENEW);
	CHECK_INT(fake_http_count(fixture.http), 2);
	poll(&fixture, 200, STATE("paused"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_PAUSED);
	fixture_expect_quiet(&fixture);
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	fixture_fini(&fixture);
}

TEST(a_paused_workspace_is_only_watched)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 200, STATE("paused"));
	for (int i = 0; i < 5; i++)
		poll(&fixture, 503, "");
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_PAUSED);
	poll(&fixture, 200, STATE("paused"));
	CHECK_INT(workspace_of(&fixture)->heartbeat.sent, 1);
	CHECK_INT(fixture.agent->context.counts.registers, 0);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_resumed_workspace_joins_anew)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 200, STATE("paused"));
	poll(&fixture, 200, STATE("provisioning"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	rejoin(&fixture);
	CHECK_TEXT(fixture.path, "online paused online");
	CHECK_INT(fixture.agent->context.counts.registers, 0);
	fixture_fini(&fixture);
}

static void resume_with_url(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_set(fixture, "reported_url", "https://agent.example.org");
	fixture_put_token(fixture, "token-of-old");
	fixture_begin(fixture);
	fixture_answer(fixture, GET_STATE, 200, STATE("paused"));
	poll(fixture, 200, STATE("provisioning"));
}

TEST(a_resumed_workspace_with_a_url_registers_it)
{
	struct fixture fixture;

	resume_with_url(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("provisioning"));
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	fixture_answer(&fixture, POST_REGISTER, 200, "{\"status\":\"registered\"}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	fixture_fini(&fixture);
}

/* Pausing wiped the URL on the platform, and heartbeats do not bring it back. */
TEST(one_failure_does_not_keep_a_resumed_workspace_from_registering)
{
	static const struct {
		const char *method, *end;
	} steps[] = { { GET_STATE }, { POST_BEAT }, { POST_REGISTER }, { GET_STATE } };

	for (size_t n = 0; n < ARRAY_LEN(steps); n++) {
		struct fixture fixture;

		resume_with_url(&fixture);
		for (size_t i = 0; i < n; i++)
			fixture_answer(&fixture, steps[i].method, steps[i].end, 200,
				       STATE("provisioning"));
		fixture_answer(&fixture, steps[n].method, steps[n].end, 503, "");
		CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
		CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
		/* No sooner than the state is polled. */
		CHECK((double)agenda_left_ms(&workspace_of(&fixture)->agenda, AGENDA_JOIN) / 1e3 >
		      (double)INT32_MAX / 1e3 - 60);

		fixture_expire(&fixture, AGENDA_JOIN);
		fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
		fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
		fixture_answer(&fixture, POST_REGISTER, 200, "{\"status\":\"registered\"}");
		fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
		CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(two_failures_are_nothing_and_the_third_is_an_outage)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 503, "");
	beat(&fixture, 503, "");
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	poll(&fixture, 503, "");
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_UNREACHABLE);
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
	fixture_expect_quiet(&fixture);

	rejoin(&fixture);
	CHECK_TEXT(fixture.path, "online unreachable online");
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	fixture_fini(&fixture);
}

TEST(a_good_beat_or_poll_forgets_failures)
{
	struct fixture fixture;

	begin(&fixture);
	for (int i = 0; i < 4; i++) {
		poll(&fixture, 503, "");
		poll(&fixture, 503, "");
		beat(&fixture, 200, OK_BODY);
		beat(&fixture, 503, "");
		beat(&fixture, 503, "");
		poll(&fixture, 200, STATE("online"));
	}
	CHECK_TEXT(fixture.path, "online");
	fixture_fini(&fixture);
}

TEST(an_outage_stays_one_until_it_is_over)
{
	struct fixture fixture;

	begin(&fixture);
	for (int i = 0; i < 3; i++)
		poll(&fixture, 503, "");
	for (int i = 0; i < 5; i++) {
		fixture_expire(&fixture, AGENDA_JOIN);
		fixture_fail(&fixture, GET_STATE);
		CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
	}
	CHECK_TEXT(fixture.path, "online unreachable");
	fixture_fini(&fixture);
}

TEST(a_lost_token_is_found_out_by_asking)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 401, INVALID_TOKEN);
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_AUTH_LOST);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

/* It answers 401 to everybody then, and 500 to the question. */
TEST(a_platform_without_its_database_loses_nobodys_token)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 401, INVALID_TOKEN);
	fixture_answer(&fixture, GET_OBJECT, 500, "{\"error\":\"query failed\"}");
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	poll(&fixture, 200, STATE("online"));
	CHECK_INT(workspace_of(&fixture)->failures, 0);
	fixture_fini(&fixture);
}

TEST(deletion_ends_all_and_wipes_the_secrets)
{
	struct fixture fixture;

	begin(&fixture);
	fixture_expire(&fixture, AGENDA_RENEW);
	fixture_answer(&fixture, GET_SECRETS, 200, "{\"A\":\"sk-1\"}");
	fixture_expire(&fixture, AGENDA_RENEW);
	fixture_answer(&fixture, GET_SECRETS, 503, "");
	CHECK(agent_has_warnings(&fixture.agent->context));

	poll(&fixture, 401, INVALID_TOKEN);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("removed"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_REMOVED);
	CHECK(!workspace_of(&fixture)->vault.bundle);
	CHECK_INT(bundle_count(workspace_of(&fixture)->vault.bundle), 0);
	CHECK(!agent_has_warnings(&fixture.agent->context));
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	fixture_expect_quiet(&fixture);

	workspace_wake(workspace_of(&fixture), true);
	workspace_retry(workspace_of(&fixture));
	fixture_expect_quiet(&fixture);
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_REMOVED);
	fixture_fini(&fixture);
	CHECK_TEXT(fixture.path, "online removed leaving");
}

TEST(degraded_is_what_the_platform_says_it_is)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 200, STATE("degraded"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_DEGRADED);
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	poll(&fixture, 200, STATE("a_word_of_the_future"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_ONLINE);
	CHECK_TEXT(workspace_of(&fixture)->platform_status, "a_word_of_the_future");
	CHECK(!workspace_of(&fixture)->last_error);
	fixture_fini(&fixture);
}

TEST(what_heartbeats_do_not_bring_up_is_registered_in_the_end)
{
	struct fixture fixture;

	begin(&fixture);
	poll(&fixture, 200, STATE("failed"));
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
	/* It had its chance. */
	fixture_expire(&fixture, AGENDA_BEAT);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	poll(&fixture, 200, STATE("failed"));
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("failed"));
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	fixture_answer(&fixture, POST_REGISTER, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_TEXT(fixture.path, "online degraded online");
	fixture_fini(&fixture);
}

TEST(a_beat_that_is_still_out_is_cancelled_and_not_doubled)
{
	struct fixture fixture;

	begin(&fixture);
	fixture_expire(&fixture, AGENDA_BEAT);
	fixture_expire(&fixture, AGENDA_BEAT);
	CHECK_INT(fake_http_count(fixture.http), 1);
	CHECK_INT(workspace_of(&fixture)->heartbeat.failed, 1);
	CHECK_INT(workspace_of(&fixture)->failures, 1);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	CHECK_INT(workspace_of(&fixture)->failures, 0);
	fixture_fini(&fixture);
}

TEST(beats_that_are_never_answered_are_an_outage)
{
	struct fixture fixture;

	begin(&fixture);
	for (int i = 0; i < 4; i++)
		fixture_expire(&fixture, AGENDA_BEAT);
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_UNREACHABLE);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_failing_platform_is_not_beaten_more_often)
{
	struct fixture fixture;

	begin(&fixture);
	beat(&fixture, 503, "");
	fixture_expire(&fixture, AGENDA_BEAT);
	fixture_expect_quiet(&fixture);
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_BEAT));
	fixture_fini(&fixture);
}

TEST(a_beat_says_what_was_reported)
{
	struct report_share share = { .active_tasks = 3, .error_rate = 0.25, .wedged = true };
	struct fixture fixture;
	const char *body;

	begin(&fixture);
	list_init(&share.node);
	(void)snprintf(share.current_task, sizeof(share.current_task), "say \"hello\"\n");
	(void)snprintf(share.sample_error, sizeof(share.sample_error), "no disk");
	reporter_put(&workspace_of(&fixture)->reporter, &share);
	fixture_expire(&fixture, AGENDA_BEAT);
	body = fixture_expect(&fixture, POST_BEAT)->body;
	CHECK(strstr(body, "\"error_rate\":0.25,\"active_tasks\":3,"));
	CHECK(strstr(body, "\"current_task\":\"say \\\"hello\\\"\\n\","));
	CHECK(strstr(body, "\"sample_error\":\"no disk\",\"runtime_state\":\"wedged\"}"));
	reporter_withdraw(&share);
	fixture_fini(&fixture);
}

TEST(who_doubts_again_and_again_is_answered_all_the_same)
{
	struct fixture fixture;
	int64_t first;

	begin(&fixture);
	workspace_doubt(workspace_of(&fixture));
	first = workspace_of(&fixture)->agenda.due_ms[AGENDA_POLL];
	for (int i = 0; i < 100; i++)
		workspace_doubt(workspace_of(&fixture));
	CHECK(workspace_of(&fixture)->agenda.due_ms[AGENDA_POLL] == first);
	CHECK((double)agenda_left_ms(&workspace_of(&fixture)->agenda, AGENDA_POLL) / 1e3 < 2);

	poll(&fixture, 200, STATE("online"));
	workspace_doubt(workspace_of(&fixture));
	CHECK((double)agenda_left_ms(&workspace_of(&fixture)->agenda, AGENDA_POLL) / 1e3 < 2);
	fixture_fini(&fixture);
}

TEST(a_host_that_slept_joins_anew)
{
	struct fixture fixture;

	begin(&fixture);
	workspace_wake(workspace_of(&fixture), false);
	CHECK(!agenda_has(&workspace_of(&fixture)->agenda, AGENDA_JOIN));
	workspace_wake(workspace_of(&fixture), true);
	rejoin(&fixture);
	CHECK_TEXT(fixture.path, "online");
	fixture_fini(&fixture);
}

TEST(the_network_coming_up_ends_a_long_wait)
{
	struct fixture fixture;

	begin(&fixture);
	for (int i = 0; i < 3; i++)
		poll(&fixture, 503, "");
	for (int i = 0; i < 8; i++) {
		fixture_expire(&fixture, AGENDA_JOIN);
		fixture_fail(&fixture, GET_STATE);
	}
	workspace_wake(workspace_of(&fixture), false);
	CHECK((double)agenda_left_ms(&workspace_of(&fixture)->agenda, AGENDA_JOIN) / 1e3 < 2);
	rejoin(&fixture);
	fixture_fini(&fixture);
}

TEST(an_exit_is_asked_for_where_it_was_wanted)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "on_pause", "exit");
	fixture_set(&fixture, "on_delete", "exit");
	fixture_begin_online(&fixture);
	CHECK_INT(fixture.exit_status, 0);
	poll(&fixture, 200, STATE("paused"));
	CHECK_INT(fixture.exit_status, 10);
	poll(&fixture, 404, "{\"deleted\":true,\"workspace_id\":\"" ID "\"}");
	CHECK_INT(fixture.exit_status, 11);
	fixture_fini(&fixture);
}
