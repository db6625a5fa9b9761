/* SPDX-License-Identifier: MIT */
/*
 * How a workspace joins, request by request.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workspace-fixture.h"

#define MINTED "{\"status\":\"registered\",\"auth_token\":\"token-of-new\"}"
#define REGISTERED "{\"status\":\"registered\"}"
#define BAD_BODY "{\"error\":\"invalid request body\"}"
#define NOT_FOUND "{\"error\":\"workspace not found\"}"

static void begin_with_token(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_put_token(fixture, "token-of-old");
	fixture_begin(fixture);
}

static void begin_without_token(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_begin(fixture);
}

/* The last steps of every sequence. */
static void end_online(struct fixture *fixture)
{
	fixture_answer(fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(fixture->workspace->state, LIFECYCLE_ONLINE);
	fixture_answer_rest(fixture);
	fixture_expect_quiet(fixture);
}

static enum lifecycle_state state_of(const struct fixture *fixture)
{
	return fixture->workspace->state;
}

TEST(with_a_token_it_asks_then_beats_then_asks_again)
{
	struct fake_request *request;
	struct fixture fixture;

	begin_with_token(&fixture);
	request = fixture_expect(&fixture, GET_STATE);
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_INT(fake_http_count(fixture.http), 1);
	fixture_answer(&fixture, GET_STATE, 200, STATE("provisioning"));

	request = fixture_expect(&fixture, POST_BEAT);
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_TEXT(request->body, "{\"workspace_id\":\"" ID "\",\"error_rate\":0,"
				  "\"active_tasks\":0,\"uptime_seconds\":0,\"current_task\":\"\","
				  "\"sample_error\":\"\",\"runtime_state\":\"\"}");
	CHECK_INT(fake_http_count(fixture.http), 1);
	fixture_answer(&fixture, POST_BEAT, 200, "{\"status\":\"ok\"}");
	end_online(&fixture);

	CHECK_TEXT(fixture.path, "online");
	CHECK_TEXT(fixture.workspace->platform_status, "online");
	CHECK_INT(fixture.agent->context.counts.registers, 0);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_BEAT));
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_RENEW));
	fixture_fini(&fixture);
}

struct witness {
	unsigned n_after;
	bool stored;
};

static void on_start(void *data, const struct fake_request *request)
{
	struct witness *witness = data;

	witness->n_after++;
	witness->stored = file_exists(TOKEN_FILE_NAME) &&
			  strcmp(file_line(TOKEN_FILE_NAME), "token-of-new") == 0;
}

TEST(without_one_it_registers_and_stores_the_token_before_anything_else)
{
	struct witness witness = { .n_after = 0 };
	struct fake_request *request;
	struct fixture fixture;
	struct stat st;

	begin_without_token(&fixture);
	request = fixture_expect(&fixture, GET_OBJECT);
	CHECK(!request->bearer);
	fixture_answer(&fixture, GET_OBJECT, 404, NOT_FOUND);

	request = fixture_expect(&fixture, POST_REGISTER);
	CHECK(!request->bearer);
	CHECK_TEXT(request->body, "{\"id\":\"" ID "\",\"url\":\"remote://no-inbound\","
				  "\"agent_card\":{\"name\":\"laptop\"}}");
	fake_http_on_start(fixture.http, on_start, &witness);
	fake_answer(request, 200, MINTED);
	fixture_settle(&fixture);
	CHECK_INT(witness.n_after, 1);
	CHECK(witness.stored);
	CHECK(stat(TOKEN_FILE_NAME, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	fake_http_on_start(fixture.http, NULL, NULL);

	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	end_online(&fixture);
	CHECK_INT(fixture.workspace->features.registered_by, REGISTRY_NO_INBOUND);
	fixture_fini(&fixture);
}

TEST(a_paused_workspace_is_neither_beaten_nor_registered)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("paused"));
	CHECK_TEXT(fixture.path, "paused");
	fixture_expect_quiet(&fixture);
	CHECK_INT(fixture.agent->context.counts.registers, 0);
	CHECK_INT(fixture.workspace->heartbeat.sent, 0);
	CHECK(!agenda_has(&fixture.workspace->agenda, AGENDA_BEAT));
	CHECK(!agenda_has(&fixture.workspace->agenda, AGENDA_RENEW));
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	fixture_fini(&fixture);
}

TEST(a_paused_workspace_without_a_token_is_not_registered_either)
{
	struct fixture fixture;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("paused"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	fixture_expect_quiet(&fixture);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_JOIN));

	/* It is when it has been resumed. */
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("offline"));
	fixture_answer(&fixture, POST_REGISTER, 200, MINTED);
	end_online(&fixture);
	fixture_fini(&fixture);
}

TEST(paused_between_the_beat_and_the_check_is_paused)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("paused"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_PAUSED);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(an_inbound_url_is_registered_after_the_beat)
{
	struct fake_request *request;
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org/a2a");
	fixture_set(&fixture, "agent_card", "{\"name\":\"card\"}");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	request = fixture_expect(&fixture, POST_REGISTER);
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_TEXT(request->body, "{\"id\":\"" ID "\",\"url\":\"https://agent.example.org/a2a\","
				  "\"agent_card\":{\"name\":\"card\"}}");
	fake_answer(request, 200, REGISTERED);
	end_online(&fixture);
	CHECK_INT(fixture.agent->context.counts.registers, 1);
	CHECK_INT(fixture.workspace->features.registered_by, REGISTRY_URL);
	fixture_fini(&fixture);
}

TEST(a_card_without_a_url_is_shown_without_a_register)
{
	struct fake_request *request;
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "agent_card", "{\"name\":\"card\"}");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	request = fixture_expect(&fixture, POST_CARD);
	CHECK_TEXT(request->body,
		   "{\"workspace_id\":\"" ID "\",\"agent_card\":{\"name\":\"card\"}}");
	/* One that is not taken keeps nobody from being alive. */
	fake_answer(request, 400, BAD_BODY);
	end_online(&fixture);
	CHECK_INT(fixture.agent->context.counts.registers, 0);
	fixture_fini(&fixture);
}

TEST(where_no_url_is_refused_it_registers_for_polling_and_remembers)
{
	struct fake_request *request;
	struct fixture fixture;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("provisioning"));
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	request = fixture_expect(&fixture, POST_REGISTER);
	CHECK_TEXT(request->body, "{\"id\":\"" ID "\",\"delivery_mode\":\"poll\","
				  "\"agent_card\":{\"name\":\"laptop\"}}");
	fake_answer(request, 200,
		    "{\"auth_token\":\"token-of-new\",\"platform_inbound_secret\":\"s\"}");
	end_online(&fixture);
	CHECK_INT(fixture.workspace->features.registered_by, REGISTRY_POLL);
	CHECK(fixture.workspace->features.poll_delivery);
	CHECK(fixture.workspace->features.inbound_secret);
	fixture_fini(&fixture);
}

TEST(where_no_way_is_open_a_person_has_to_act)
{
	struct fixture fixture;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("provisioning"));
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	CHECK(strstr(fixture.workspace->last_error->text, "without an inbound URL"));
	fixture_expect_quiet(&fixture);

	/* The next try begins at the beginning. */
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("provisioning"));
	CHECK(strstr(fixture_expect(&fixture, POST_REGISTER)->body, "remote://no-inbound"));
	fixture_fini(&fixture);
}

TEST(with_a_token_heartbeats_alone_are_a_way)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "agent_card", "{\"name\":\"card\"}");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("failed"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	CHECK_INT(fixture.workspace->features.registered_by, REGISTRY_HEARTBEAT);
	fixture_answer(&fixture, POST_CARD, 200, "{\"status\":\"updated\"}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("failed"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_DEGRADED);
	CHECK(strstr(fixture.workspace->last_error->text, "calls laptop failed"));
	fixture_fini(&fixture);
}

TEST(a_url_that_is_refused_leaves_heartbeats_and_the_card)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org");
	fixture_set(&fixture, "agent_card", "{\"name\":\"card\"}");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 400, BAD_BODY);
	fixture_answer(&fixture, POST_CARD, 200, "{}");
	end_online(&fixture);
	CHECK_INT(fixture.agent->context.counts.registers, 1);
	fixture_fini(&fixture);
}

TEST(a_web_page_refuses_no_way_of_registering)
{
	struct http_result page = { .outcome = HTTP_ANSWERED,
				    .status = 400,
				    .content_type = "text/html",
				    .body = "<p>bad</p>",
				    .body_len = 10 };
	struct fixture fixture;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("provisioning"));
	fake_answer_with(fixture_expect(&fixture, POST_REGISTER), &page, NULL);
	CHECK_INT(state_of(&fixture), LIFECYCLE_MISROUTED);
	CHECK_INT(fixture.workspace->features.registered_by, REGISTRY_UNKNOWN);
	fixture_fini(&fixture);
}

TEST(what_heartbeats_do_not_bring_up_is_registered)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_REGISTER, 200, REGISTERED);
	end_online(&fixture);
	fixture_fini(&fixture);
}

TEST(one_register_a_try_is_enough)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("failed"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 200, REGISTERED);
	fixture_answer(&fixture, GET_STATE, 200, STATE("failed"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_DEGRADED);
	CHECK_INT(fixture.agent->context.counts.registers, 1);
	fixture_fini(&fixture);
}

TEST(a_register_that_is_refused_says_which_ways_out_there_are)
{
	struct fixture fixture;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	fixture_answer(&fixture, POST_REGISTER, 401, MISSING_TOKEN);
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	CHECK(strstr(fixture.workspace->last_error->text, "token set"));
	CHECK(strstr(fixture.workspace->last_error->text, "revoked"));
	CHECK_INT(fixture.n_warnings_raised, 1);
	/* In minutes, and not now. */
	CHECK((double)agenda_left_ms(&fixture.workspace->agenda, AGENDA_JOIN) / 1e3 > 100);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_register_without_a_token_is_no_way_in)
{
	static const char *const bodies[] = { REGISTERED, "{\"auth_token\":\"\"}",
					      "{\"auth_token\":\"ROTATE_TO_REVEAL_TOKEN\"}",
					      "{\"auth_token\":\"a b c d e f\"}" };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct fixture fixture;

		begin_without_token(&fixture);
		fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
		fixture_answer(&fixture, POST_REGISTER, 200, bodies[i]);
		CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
		CHECK(!file_exists(TOKEN_FILE_NAME));
		fixture_fini(&fixture);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(a_step_that_fails_is_tried_again_from_the_beginning)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_fail(&fixture, POST_BEAT);
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_fail(&fixture, POST_REGISTER);
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 200, REGISTERED);
	fixture_fail(&fixture, GET_STATE);
	fixture_expire(&fixture, AGENDA_JOIN);
	(void)fixture_expect(&fixture, GET_STATE);
	CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
	fixture_fini(&fixture);
}

TEST(a_token_that_the_disk_does_not_take_is_used_and_saved_later)
{
	struct fixture fixture;
	FILE *file;

	begin_without_token(&fixture);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("offline"));
	CHECK(rmdir("state/tokens") == 0);
	file = fopen("state/tokens", "w");
	CHECK(file && fclose(file) == 0);
	fixture_answer(&fixture, POST_REGISTER, 200, MINTED);
	CHECK(agent_has_warnings(&fixture.agent->context));
	CHECK(fixture.workspace->token_unsaved);

	CHECK(unlink("state/tokens") == 0);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	end_online(&fixture);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-new");
	CHECK(!agent_has_warnings(&fixture.agent->context));
	fixture_fini(&fixture);
}

TEST(a_token_for_one_who_has_one_is_proven_before_it_is_believed)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 200, MINTED);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
	CHECK_TEXT(file_line(UNPROVEN_FILE_NAME), "token-of-new");
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");

	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-new");
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	fixture_fini(&fixture);
}

/* That is what the platform gives to a deleted workspace. */
TEST(a_token_that_never_works_takes_nobodys_place)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_set(&fixture, "reported_url", "https://agent.example.org");
	fixture_put_token(&fixture, "token-of-old");
	fixture_begin(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, POST_REGISTER, 200, MINTED);
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	fixture_expire(&fixture, AGENDA_JOIN);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-old");
	fixture_fini(&fixture);
}

TEST(those_who_wait_for_the_join_are_told_when_it_is_decided)
{
	struct fixture fixture;
	struct wish early, late, left;

	wish_init(&early);
	wish_init(&late);
	wish_init(&left);
	begin_with_token(&fixture);
	CHECK_INT(workspace_await_join(fixture.workspace, &early.waiter, NULL), 0);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	CHECK_INT(early.called, 0);
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	end_online(&fixture);
	CHECK_INT(early.called, 1);

	CHECK_INT(workspace_await_join(fixture.workspace, &late.waiter, NULL), 0);
	CHECK_INT(late.called, 0);
	fixture_settle(&fixture);
	CHECK_INT(late.called, 1);

	CHECK_INT(workspace_await_join(fixture.workspace, &left.waiter, NULL), 0);
	fixture_fini(&fixture);
	CHECK_INT(left.called, 1);
}

TEST(a_request_that_cannot_be_sent_is_a_failure)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put_token(&fixture, "token-of-old");
	fake_http_refuse(fixture.http, true);
	fixture_begin(&fixture);
	CHECK_INT(fixture.workspace->failures, 1);
	CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_JOIN));
	fixture_fini(&fixture);
}

TEST(the_platform_is_probed_once_it_works)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	/* The answer of one that knows cursors; of itself it means nothing else. */
	fixture_answer(&fixture, GET_PROBE, 410, "{\"error\":\"omit since_id\"}");
	CHECK_INT(state_of(&fixture), LIFECYCLE_ONLINE);
	CHECK(fixture.workspace->features.probed && fixture.workspace->features.cursors);
	fixture_fini(&fixture);
}

/* A sanitizer sees what is left behind. */
TEST(a_workspace_may_go_at_every_step)
{
	static const char *const steps[][3] = {
		{ GET_STATE, STATE("failed") }, { POST_BEAT, "{}" },
		{ POST_REGISTER, REGISTERED },  { GET_STATE, STATE("online") },
		{ GET_SECRETS, "{}" },          { GET_PROBE, "[]" },
	};

	for (size_t n = 0; n <= ARRAY_LEN(steps); n++) {
		struct fixture fixture;

		begin_with_token(&fixture);
		for (size_t i = 0; i < n; i++)
			fixture_answer(&fixture, steps[i][0], steps[i][1], 200, steps[i][2]);
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}
