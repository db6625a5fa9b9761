/* SPDX-License-Identifier: MIT */
/*
 * What somebody local asks of a workspace: refreshes, cards, whether a call may
 * go out. Whoever waits is called once, whatever happens meanwhile.
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

static void refresh(struct fixture *fixture, struct wish *wish)
{
	wish_init(wish);
	CHECK_INT(workspace_refresh(fixture->workspace, &wish->waiter, NULL), 0);
	CHECK_INT(wish->called, 0);
}

TEST(a_refresh_is_a_beat_and_a_poll)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(wish.called, 0);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	fixture_expect_quiet(&fixture);
	CHECK(agenda_has(&workspace_of(&fixture)->agenda, AGENDA_POLL));
	fixture_fini(&fixture);
}

TEST(two_refreshes_share_what_they_wait_for)
{
	struct wish one, two;
	struct fixture fixture;

	begin(&fixture);
	refresh(&fixture, &one);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	refresh(&fixture, &two);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	CHECK_INT(one.called + two.called, 0);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(one.called, 1);
	CHECK_INT(two.called, 1);
	fixture_fini(&fixture);
}

TEST(a_refresh_tells_of_a_failure)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	fixture_answer(&fixture, POST_BEAT, 503, "");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	fixture_fini(&fixture);
}

TEST(bad_news_is_what_a_refresh_is_for)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	fixture_answer(&fixture, GET_STATE, 200, STATE("degraded"));
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);

	for (int i = 0; i < 3; i++)
		poll(&fixture, 503, "");
	refresh(&fixture, &wish);
	fixture_answer(&fixture, GET_STATE, 200, STATE("degraded"));
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	fixture_answer(&fixture, GET_STATE, 200, STATE("degraded"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_DEGRADED);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	fixture_fini(&fixture);
}

/* Each of these cancels what the refresh waits for. */
TEST(a_refresh_ends_whatever_happens_meanwhile)
{
	static const struct {
		int status;
		const char *body;
	} polls[] = {
		{ 200, STATE("paused") },
		{ 404, "" },
		{ 404, "{\"deleted\":true,\"workspace_id\":\"" ID "\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(polls); i++) {
		struct fixture fixture;
		struct wish wish;

		begin(&fixture);
		refresh(&fixture, &wish);
		fixture_answer(&fixture, GET_STATE, polls[i].status, polls[i].body);
		fixture_expect_quiet(&fixture);
		CHECK_INT(wish.called, 1);
		fixture_fini(&fixture);
		CHECK_INT(wish.called, 1);
		CHECK(unlink(TOKEN_FILE_NAME) == 0);
		CHECK(rmdir("state/tokens") == 0);
		CHECK(rmdir("state") == 0);
	}
}

TEST(a_refresh_ends_when_its_token_is_lost)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	fixture_answer(&fixture, GET_STATE, 401, INVALID_TOKEN);
	fixture_answer(&fixture, GET_OBJECT, 200, OBJECT("online"));
	CHECK_INT(workspace_of(&fixture)->state, LIFECYCLE_AUTH_LOST);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAUTHORIZED);
	fixture_fini(&fixture);
}

TEST(a_refresh_ends_when_the_workspace_leaves)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	agent_stop(fixture.agent, NULL, NULL);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	CHECK(workspace_refresh(workspace_of(&fixture), &wish.waiter, NULL) < 0);
	fixture_fini(&fixture);
}

TEST(a_beat_that_a_join_takes_over_ends_the_refresh_too)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	refresh(&fixture, &wish);
	workspace_wake(workspace_of(&fixture), true);
	fixture_expire(&fixture, AGENDA_JOIN);
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	fixture_answer(&fixture, POST_BEAT, 200, OK_BODY);
	CHECK_INT(wish.called, 1);
	fixture_fini(&fixture);
}

TEST(a_refresh_of_a_paused_workspace_does_not_beat)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	poll(&fixture, 200, STATE("paused"));
	refresh(&fixture, &wish);
	fixture_settle(&fixture);
	CHECK_INT(fake_http_count(fixture.http), 1);
	fixture_answer(&fixture, GET_STATE, 200, STATE("paused"));
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	fixture_fini(&fixture);
}

TEST(a_refresh_of_a_lost_workspace_joins_now)
{
	struct fixture fixture;
	struct wish good, bad;

	begin(&fixture);
	for (int i = 0; i < 3; i++)
		poll(&fixture, 503, "");
	refresh(&fixture, &bad);
	fixture_fail(&fixture, GET_STATE);
	CHECK_INT(bad.called, 1);
	CHECK_INT(bad.err.kind, ERROR_UNAVAILABLE);

	refresh(&fixture, &good);
	rejoin(&fixture);
	CHECK_INT(good.called, 1);
	CHECK_INT(good.err.kind, ERROR_NONE);
	fixture_fini(&fixture);
}

TEST(a_refresh_that_cannot_be_sent_says_so)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	fake_http_refuse(fixture.http, true);
	refresh(&fixture, &wish);
	fixture_settle(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_INTERNAL);
	fixture_fini(&fixture);
}

TEST(calls_are_let_through_or_told_why_not)
{
	struct fixture fixture;
	struct error err = { 0 };

	begin(&fixture);
	CHECK_INT(workspace_may_call(workspace_of(&fixture), &err), 0);
	poll(&fixture, 200, STATE("degraded"));
	CHECK_INT(workspace_may_call(workspace_of(&fixture), &err), 0);
	poll(&fixture, 200, STATE("paused"));
	CHECK(workspace_may_call(workspace_of(&fixture), &err) < 0);
	CHECK_INT(err.kind, ERROR_PAUSED);
	poll(&fixture, 404, "");
	CHECK(workspace_may_call(workspace_of(&fixture), &err) < 0);
	CHECK_INT(err.kind, ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "misrouted"));
	workspace_stop(workspace_of(&fixture));
	CHECK(workspace_may_call(workspace_of(&fixture), &err) < 0);
	CHECK_INT(err.kind, ERROR_UNAVAILABLE);
	fixture_fini(&fixture);
}

TEST(a_card_is_shown_and_kept)
{
	struct error err = { 0 };
	struct wish wish, other;
	struct fixture fixture;

	begin(&fixture);
	wish_init(&wish);
	wish_init(&other);
	CHECK_INT(
		workspace_update_card(workspace_of(&fixture), "{\"a\":1} ", 7, &wish.waiter, NULL),
		0);
	CHECK(workspace_update_card(workspace_of(&fixture), "{}", 2, &other.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK_TEXT(fixture_expect(&fixture, POST_CARD)->body,
		   "{\"workspace_id\":\"" ID "\",\"agent_card\":{\"a\":1}}");
	fixture_answer(&fixture, POST_CARD, 200, "{\"status\":\"updated\"}");
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	CHECK_INT(other.called, 0);
	CHECK_TEXT(workspace_of(&fixture)->settings.agent_card, "{\"a\":1}");
	fixture_fini(&fixture);
}

TEST(a_card_that_waits_is_told_when_the_workspace_leaves)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture);
	wish_init(&wish);
	CHECK_INT(workspace_update_card(workspace_of(&fixture), "{}", 2, &wish.waiter, NULL), 0);
	fixture_settle(&fixture);
	fixture_fini(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
}
