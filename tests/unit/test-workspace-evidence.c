/* SPDX-License-Identifier: MIT */
/*
 * What answers are taken as evidence of, while a workspace joins.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workspace-fixture.h"

#define NOT_FOUND "{\"error\":\"workspace not found\"}"

static void begin_with_token(struct fixture *fixture)
{
	fixture_init(fixture);
	fixture_put_token(fixture, "token-of-old");
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

static void put_sdk_token(const char *line)
{
	FILE *file;

	(void)mkdir(".molecule", 0700);
	(void)mkdir(".molecule/" ID, 0700);
	file = fopen(".molecule/" ID "/.auth_token", "w");
	CHECK(file);
	CHECK(fchmod(fileno(file), 0600) == 0);
	CHECK(fprintf(file, "%s\n", line) > 0);
	CHECK(fclose(file) == 0);
}

TEST(a_refused_token_leads_to_a_question)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	CHECK(!fixture_expect(&fixture, GET_OBJECT)->bearer);
	CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	/* A 401 is no proof that it is dead. */
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_JOIN));
	fixture_expect_quiet(&fixture);

	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	end_online(&fixture);
	CHECK_INT(fixture.n_warnings_gone, 1);
	fixture_fini(&fixture);
}

TEST(deletion_is_believed_of_those_who_can_know)
{
	static const struct {
		int status;
		const char *body;
		enum lifecycle_state state;
	} answers[] = {
		{ 200, OBJECT("removed"), LIFECYCLE_REMOVED },
		{ 404, NOT_FOUND, LIFECYCLE_REMOVED },
		{ 410, "{\"error\":\"gone\",\"id\":\"" ID "\"}", LIFECYCLE_REMOVED },
		{ 200, "{\"id\":\"" OTHER_ID "\",\"status\":\"removed\"}", LIFECYCLE_JOINING },
		{ 200, "{}", LIFECYCLE_JOINING },
		{ 404, "", LIFECYCLE_MISROUTED },
		{ 404, "404 page not found", LIFECYCLE_MISROUTED },
		{ 403, "", LIFECYCLE_MISROUTED },
		{ 500, "{\"error\":\"query failed\"}", LIFECYCLE_JOINING },
		{ 401, INVALID_TOKEN, LIFECYCLE_JOINING },
		{ 429, "{}", LIFECYCLE_JOINING },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct fixture fixture;

		begin_with_token(&fixture);
		fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
		fixture_answer(&fixture, GET_OBJECT, answers[i].status, answers[i].body);
		CHECK_INT(state_of(&fixture), answers[i].state);
		fixture_expect_quiet(&fixture);
		CHECK((agenda_has(&fixture.workspace->agenda, AGENDA_JOIN)) ==
		      (answers[i].state != LIFECYCLE_REMOVED));
		CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(a_refused_token_is_read_again_once)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	put_sdk_token("token-of-sdk");
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-sdk");
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

/* The change was killed after the platform had given up the old one. */
TEST(what_a_cut_short_change_left_is_tried_last_and_kept_when_it_works)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put_token(&fixture, "token-of-old");
	CHECK_INT(token_store_unproven(fixture.dirfd, &fixture.settings, "token-of-new", NULL), 0);
	fixture_begin(&fixture);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-old");
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	CHECK(file_exists(UNPROVEN_FILE_NAME));
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-new");
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	fixture_fini(&fixture);
}

TEST(a_state_called_removed_is_a_deletion)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	fixture_expire(&fixture, AGENDA_POLL);
	fixture_answer(&fixture, GET_STATE, 200, STATE("removed"));
	CHECK_INT(state_of(&fixture), LIFECYCLE_REMOVED);
	fixture_fini(&fixture);
}

TEST(a_token_that_cannot_be_read_is_a_persons_turn)
{
	struct fixture fixture;

	fixture_init(&fixture);
	put_sdk_token("two words");
	fixture_begin(&fixture);
	CHECK_INT(state_of(&fixture), LIFECYCLE_AUTH_LOST);
	fixture_expect_quiet(&fixture);

	/* It is put right, and we are told to look. */
	put_sdk_token("token-of-sdk");
	workspace_retry(fixture.workspace);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-sdk");
	fixture_fini(&fixture);
}

TEST(an_answer_from_elsewhere_is_misrouted_and_mended_by_an_answer)
{
	static const struct {
		int status;
		const char *body, *says;
	} strays[] = {
		{ 404, "", "org_id" }, { 404, "404 page not found", "platform_url" },
		{ 403, "", "Origin" }, { 302, "", "redirects" },
		{ 401, "", "login" },
	};

	for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
		struct fixture fixture;

		begin_with_token(&fixture);
		fixture_answer(&fixture, GET_STATE, strays[i].status, strays[i].body);
		CHECK_INT(state_of(&fixture), LIFECYCLE_MISROUTED);
		CHECK(strstr(fixture.workspace->last_error->text, strays[i].says));
		CHECK(agent_has_warnings(&fixture.agent->context));

		fixture_expire(&fixture, AGENDA_JOIN);
		fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
		fixture_answer(&fixture, POST_BEAT, 200, "{}");
		end_online(&fixture);
		CHECK(!agent_has_warnings(&fixture.agent->context));
		CHECK_TEXT(fixture.path, "misrouted online");
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(three_failures_in_a_row_are_an_outage)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	fixture_fail(&fixture, GET_STATE);
	CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 500, "");
	CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, "{\"status\":7}");
	CHECK_INT(state_of(&fixture), LIFECYCLE_UNREACHABLE);
	CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_JOIN));

	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	end_online(&fixture);
	CHECK_INT(fixture.workspace->failures, 0);
	fixture_fini(&fixture);
}

TEST(to_be_asked_for_fewer_requests_is_no_outage)
{
	struct fixture fixture;

	begin_with_token(&fixture);
	for (int i = 0; i < 5; i++) {
		fixture_answer(&fixture, GET_STATE, 429, "{}");
		CHECK_INT(state_of(&fixture), LIFECYCLE_JOINING);
		CHECK(agenda_has(&fixture.workspace->agenda, AGENDA_JOIN));
		fixture_expire(&fixture, AGENDA_JOIN);
	}
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	for (int i = 0; i < 5; i++) {
		fixture_answer(&fixture, GET_OBJECT, 429, "{}");
		CHECK_INT(fixture.workspace->failures, 0);
		fixture_expire(&fixture, AGENDA_JOIN);
		fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	}
	fixture_fini(&fixture);
}
