/* SPDX-License-Identifier: MIT */
/*
 * Changing the token: whatever goes wrong, one that works is on disk and in use.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "workspace-fixture.h"

#define OLD "token-of-old"
#define NEW "token-of-new"
#define OLD_ROW "11111111-1111-4111-8111-111111111111"
#define NEW_ROW "22222222-2222-4222-8222-222222222222"
#define ROW(id, prefix) "{\"id\":\"" id "\",\"prefix\":\"" prefix "\"}"
#define DELETE_OLD "DELETE", "/workspaces/" ID "/tokens/" OLD_ROW

/* The platform tells tokens apart by their first eight characters. */
#define FIRST "first-token-of-old"
#define SECOND "second-token-of-new"
#define MINTED_SECOND "{\"auth_token\":\"" SECOND "\"}"
#define BOTH_ROWS \
	"{\"count\":2,\"tokens\":[" ROW(NEW_ROW, "second-t") "," ROW(OLD_ROW, "first-to") "]}"

static void begin(struct fixture *fixture, struct wish *wish)
{
	fixture_init(fixture);
	fixture_begin_online(fixture);
	CHECK(token_store(&fixture->workspace->token, fixture->dirfd, &fixture->settings, FIRST,
			  NULL) == 0);
	wish_init(wish);
}

static void rotate(struct fixture *fixture, struct wish *wish)
{
	begin(fixture, wish);
	CHECK_INT(workspace_rotate_token(fixture->workspace, &wish->waiter, NULL), 0);
	CHECK_INT(wish->called, 0);
}

static void check_token(const struct fixture *fixture, const char *text)
{
	CHECK_TEXT(fixture->workspace->token.text, text);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), text);
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	CHECK(!fixture->workspace->rotation);
}

/* The joining sequence that follows a new token, or a question. */
static void drop_join(struct fixture *fixture)
{
	workspace_stop(fixture->workspace);
	fixture_expect_quiet(fixture);
}

TEST(a_new_token_is_stored_proven_used_and_only_then_the_old_one_revoked)
{
	struct fixture fixture;
	struct wish wish;

	rotate(&fixture, &wish);
	CHECK_TEXT(fixture_expect(&fixture, POST_TOKENS)->bearer, FIRST);
	fixture_answer(&fixture, POST_TOKENS, 201, MINTED_SECOND);
	CHECK_TEXT(file_line(UNPROVEN_FILE_NAME), SECOND);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), FIRST);
	CHECK_TEXT(fixture.workspace->token.text, FIRST);

	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, SECOND);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_TEXT(fixture.workspace->token.text, SECOND);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), SECOND);
	CHECK(!file_exists(UNPROVEN_FILE_NAME));

	CHECK_TEXT(fixture_expect(&fixture, GET_TOKENS)->bearer, SECOND);
	fixture_answer(&fixture, GET_TOKENS, 200, BOTH_ROWS);
	CHECK_TEXT(fixture_expect(&fixture, DELETE_OLD)->bearer, SECOND);
	CHECK_INT(wish.called, 0);
	fixture_answer(&fixture, DELETE_OLD, 200, "{\"status\":\"revoked\"}");
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	check_token(&fixture, SECOND);
	CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
	fixture_fini(&fixture);
}

TEST(what_is_not_minted_changes_nothing)
{
	static const struct {
		int status;
		const char *body;
	} answers[] = {
		{ 429, "{\"error\":\"maximum 50 active tokens per workspace\"}" },
		{ 500, "{\"error\":\"failed to create token\"}" },
		{ 401, INVALID_TOKEN },
		{ 404, "" },
		{ 201, "{}" },
		{ 201, "{\"auth_token\":\"\"}" },
		{ 201, "{\"auth_token\":\"two words here\"}" },
		{ 201, "{\"auth_token\":7}" },
		{ 201, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct fixture fixture;
		struct wish wish;

		rotate(&fixture, &wish);
		fixture_answer(&fixture, POST_TOKENS, answers[i].status, answers[i].body);
		CHECK_INT(wish.called, 1);
		CHECK(wish.err.kind != ERROR_NONE);
		check_token(&fixture, FIRST);
		fixture_expect_quiet(&fixture);
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(what_is_not_proven_changes_nothing)
{
	static const struct {
		int status;
		const char *body;
	} answers[] = {
		{ 401, INVALID_TOKEN },
		{ 503, "" },
		{ 200, "{}" },
		{ 200, "{\"workspace_id\":\"" OTHER_ID "\",\"status\":\"online\"}" },
		{ 404, "{\"deleted\":true,\"workspace_id\":\"" ID "\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct fixture fixture;
		struct wish wish;

		rotate(&fixture, &wish);
		fixture_answer(&fixture, POST_TOKENS, 201, MINTED_SECOND);
		fixture_answer(&fixture, GET_STATE, answers[i].status, answers[i].body);
		CHECK_INT(wish.called, 1);
		CHECK(wish.err.kind != ERROR_NONE);
		CHECK(!strstr(wish.err.text, SECOND));
		check_token(&fixture, FIRST);
		CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(what_the_disk_does_not_take_is_not_asked_about)
{
	struct fixture fixture;
	struct wish wish;
	FILE *file;

	rotate(&fixture, &wish);
	(void)fixture_expect(&fixture, POST_TOKENS);
	CHECK(rename("state/tokens", "state/aside") == 0);
	file = fopen("state/tokens", "w");
	CHECK(file && fclose(file) == 0);
	fixture_answer(&fixture, POST_TOKENS, 201, MINTED_SECOND);
	CHECK_INT(wish.called, 1);
	CHECK(wish.err.kind != ERROR_NONE);
	CHECK_TEXT(fixture.workspace->token.text, FIRST);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(an_old_token_that_cannot_be_revoked_is_left)
{
	static const struct {
		int status;
		const char *list;
		int revoke; /* 0: it does not come to that */
	} cases[] = {
		{ 500, "", 0 },
		{ 200, "{\"tokens\":[]}", 0 },
		{ 200, "{}", 0 },
		{ 200, "[]", 0 },
		/* To revoke the wrong one would be worse. */
		{ 200, "{\"tokens\":[" ROW(OLD_ROW, "first-to") "," ROW(NEW_ROW, "first-to") "]}",
		  0 },
		{ 200, "{\"tokens\":[" ROW("no-uuid", "first-to") "]}", 0 },
		{ 200, BOTH_ROWS, 404 },
		{ 200, BOTH_ROWS, 503 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture fixture;
		struct wish wish;

		rotate(&fixture, &wish);
		fixture_answer(&fixture, POST_TOKENS, 201, MINTED_SECOND);
		fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
		fixture_answer(&fixture, GET_TOKENS, cases[i].status, cases[i].list);
		if (cases[i].revoke)
			fixture_answer(&fixture, DELETE_OLD, cases[i].revoke, "{}");
		CHECK_INT(wish.called, 1);
		CHECK_INT(wish.err.kind, ERROR_NONE);
		check_token(&fixture, SECOND);
		CHECK(!fake_http_find(fixture.http, "DELETE", ""));
		fixture_fini(&fixture);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(a_token_that_is_given_is_proven_and_the_old_one_is_not_revoked)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, &wish);
	CHECK_INT(workspace_set_token(fixture.workspace, SECOND " and more", strlen(SECOND),
				      &wish.waiter, NULL),
		  0);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, SECOND);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), FIRST);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	check_token(&fixture, SECOND);
	CHECK(!fake_http_find(fixture.http, GET_TOKENS));
	drop_join(&fixture);
	fixture_fini(&fixture);
}

TEST(a_token_that_is_given_ends_a_lost_one)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, &wish);
	fixture_expire(&fixture, AGENDA_POLL);
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	/* The one on disk is the first, and so is the one in use. */
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	CHECK_INT(fixture.workspace->state, LIFECYCLE_AUTH_LOST);
	CHECK(workspace_rotate_token(fixture.workspace, &wish.waiter, NULL) < 0);

	CHECK_INT(
		workspace_set_token(fixture.workspace, SECOND, strlen(SECOND), &wish.waiter, NULL),
		0);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(wish.called, 1);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, SECOND);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, POST_BEAT, 200, "{}");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
	check_token(&fixture, SECOND);
	fixture_fini(&fixture);
}

TEST(what_cannot_be_a_token_is_refused_at_once)
{
	struct error err = { 0 };
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, &wish);
	CHECK(workspace_set_token(fixture.workspace, "short", 5, &wish.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
	CHECK_INT(wish.called, 0);
}

TEST(one_change_at_a_time)
{
	struct error err = { 0 };
	struct fixture fixture;
	struct wish wish, other;

	rotate(&fixture, &wish);
	wish_init(&other);
	CHECK(workspace_rotate_token(fixture.workspace, &other.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(workspace_set_token(fixture.workspace, SECOND, strlen(SECOND), &other.waiter, &err) <
	      0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	fixture_fini(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(other.called, 0);
}

TEST(a_change_goes_on_when_nobody_waits_any_more)
{
	struct fixture fixture;
	struct wish wish;

	rotate(&fixture, &wish);
	fixture_answer(&fixture, POST_TOKENS, 201, MINTED_SECOND);
	waiter_cancel(&wish.waiter);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, GET_TOKENS, 200, BOTH_ROWS);
	fixture_answer(&fixture, DELETE_OLD, 200, "{}");
	CHECK_INT(wish.called, 0);
	check_token(&fixture, SECOND);
	fixture_fini(&fixture);
}

/* Whoever waits is told what is true: before the switch it was not changed, after it, it was. */
TEST(a_change_may_be_broken_off_at_every_step)
{
	static const struct {
		const char *method, *end;
		int status;
		const char *body;
	} steps[] = {
		{ POST_TOKENS, 201, MINTED_SECOND },
		{ GET_STATE, 200, STATE("online") },
		{ GET_TOKENS, 200, BOTH_ROWS },
	};

	for (size_t n = 0; n <= ARRAY_LEN(steps); n++) {
		struct fixture fixture;
		struct wish wish;
		bool changed = n >= 2;

		rotate(&fixture, &wish);
		for (size_t i = 0; i < n; i++)
			fixture_answer(&fixture, steps[i].method, steps[i].end, steps[i].status,
				       steps[i].body);
		CHECK_INT(wish.called, 0);
		fixture_fini(&fixture);
		CHECK_INT(wish.called, 1);
		CHECK_INT(wish.err.kind, changed ? ERROR_NONE : ERROR_CANCELLED);
		CHECK_TEXT(file_line(TOKEN_FILE_NAME), changed ? SECOND : FIRST);
		(void)unlink(UNPROVEN_FILE_NAME);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(what_a_killed_rotation_left_is_gone_after_the_next_start)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put_token(&fixture, OLD);
	CHECK(token_store_unproven(fixture.dirfd, &fixture.settings, NEW, NULL) == 0);
	fixture_begin(&fixture);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, OLD);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), OLD);
	fixture_fini(&fixture);
}
