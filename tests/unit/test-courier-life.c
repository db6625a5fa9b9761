/* SPDX-License-Identifier: MIT */
/*
 * How long a call lasts and how it ends: tasks, deadlines, limits, breakers.
 */
#include "agent/courier.h"

#include <string.h>

#include "courier-fixture.h"

TEST(a_task_is_asked_after_until_it_is_done)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("submitted"));
	CHECK_INT(ask.called, 0);
	for (int i = 0; i < 3; i++) {
		CHECK(!is_out(DIRECTLY));
		expire(&ask.courier->rest);
		CHECK(strstr(expect(DIRECTLY)->body, "\"method\":\"tasks/get\""));
		CHECK(strstr(expect(DIRECTLY)->body, "\"t-1\""));
		answer(DIRECTLY, 200, TASK("working"));
	}

	/* That it does not say so just now means nothing. */
	expire(&ask.courier->rest);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	CHECK_INT(ask.called, 0);
	expire(&ask.courier->rest);
	CHECK(!is_out(BY_PROXY));
	answer(DIRECTLY, 200, TASK("completed"));
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(a_task_is_asked_after_the_way_it_went)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 200, TASK("working"));
	expire(&ask.courier->rest);
	CHECK(strstr(expect(BY_PROXY)->body, "\"method\":\"tasks/get\""));
	answer(BY_PROXY, 200, TASK("completed"));
	check_answered(&ask, A2A_PROXY);
	end();
}

TEST(a_task_that_is_not_done_in_time_has_no_known_outcome)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	CHECK(strstr(ask.err.text, "t-1"));
	end();
}

TEST(while_paused_nobody_asks_after_a_task)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	fixture.workspace->state = LIFECYCLE_PAUSED;
	expire(&ask.courier->rest);
	CHECK(!is_out(DIRECTLY));
	fixture.workspace->state = LIFECYCLE_ONLINE;
	expire(&ask.courier->rest);
	answer(DIRECTLY, 200, TASK("completed"));
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(time_that_runs_out_is_told_by_what_was_sent)
{
	struct courier_spec spec;
	struct ask ask;

	/* It never had a line. */
	begin();
	fixture.agent->context.switchboard->settings.max_calls = 0;
	begin_call(&ask, COURIER_AUTO);
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	fixture.agent->context.switchboard->settings.max_calls = 8;

	/* It was on its way, and no byte had left. */
	begin_call(&ask, COURIER_AUTO);
	CHECK(is_out(DIRECTLY));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	begin_call(&ask, COURIER_PROXY);
	CHECK(is_out(BY_PROXY));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);

	/* Some byte had. */
	begin_call(&ask, COURIER_AUTO);
	expect(DIRECTLY)->sent = true;
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	begin_call(&ask, COURIER_PROXY);
	expect(BY_PROXY)->sent = true;
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);

	/* That a peer is slow opens no breaker, and makes nobody avoid it. */
	CHECK(peerbook_calls_direct(fixture.workspace->peerbook, the_peer()));
	CHECK(!the_peer()->contact);

	/* It was still looked for. */
	fixture.workspace->peerbook->fetched = false;
	spec = spec_for(PEER);
	begin_as(&ask, &spec);
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	fixture_answer(&fixture, GET_PEERS, 200, PEERS);
	end();
}

TEST(what_was_paused_meanwhile_does_not_go_on)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	fixture.workspace->state = LIFECYCLE_PAUSED;
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	check_failed(&ask, ERROR_PAUSED);
	CHECK(!is_out(BY_PROXY));
	fixture.workspace->state = LIFECYCLE_ONLINE;
	end();
}

TEST(a_workspace_that_goes_ends_its_calls)
{
	struct ask early, late;

	begin();
	begin_call(&late, COURIER_AUTO);
	expect(DIRECTLY)->sent = true;
	begin_call(&early, COURIER_PROXY);
	workspace_stop(fixture.workspace);
	check_failed(&late, ERROR_UNKNOWN_OUTCOME);
	check_failed(&early, ERROR_UNAVAILABLE);
	end();
}

TEST(who_leaves_cancels_the_call_wherever_it_is)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	waiter_cancel(&ask.waiter);
	begin_call(&ask, COURIER_PROXY);
	waiter_cancel(&ask.waiter);
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	waiter_cancel(&ask.waiter);
	CHECK_INT(ask.called, 0);
	CHECK_INT(fixture.agent->context.switchboard->stats
			  .failed[SWITCHBOARD_DIRECT][ERROR_CANCELLED],
		  2);
	end();
}

static void break_peer(void)
{
	struct ask ask;

	for (int i = 0; i < BREAKER_FAILURES; i++) {
		the_peer()->dropped = false;
		begin_call(&ask, COURIER_DIRECT);
		fail(DIRECTLY, HTTP_BROKEN, true);
		check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	}
}

TEST(a_peer_that_fails_again_and_again_is_left_alone)
{
	struct ask ask;

	begin();
	break_peer();
	begin_call(&ask, COURIER_DIRECT);
	check_failed(&ask, ERROR_UNAVAILABLE);
	CHECK(ask.err.retry_after_ms > BREAKER_OPEN_MS / 2);
	CHECK(error_is_retryable(&ask.err));
	begin_call(&ask, COURIER_AUTO);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&ask, A2A_PROXY);
	end();
}

TEST(one_call_finds_out_whether_it_works_again)
{
	struct ask first, second;

	begin();
	break_peer();
	the_peer()->contact->breaker.until_ms = loop_now_ms(&fixture.loop);
	begin_call(&first, COURIER_AUTO);
	CHECK(is_out(DIRECTLY));
	begin_call(&second, COURIER_AUTO);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&second, A2A_PROXY);

	/* One that was cancelled found out nothing: the next one may. */
	waiter_cancel(&first.waiter);
	begin_call(&first, COURIER_AUTO);
	answer(DIRECTLY, 200, REPLY);
	check_answered(&first, A2A_DIRECT);
	CHECK_INT(the_peer()->contact->breaker.n_failures, 0);
	end();
}

TEST(what_the_platform_queued_is_told_and_not_sent_again)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 202, "{\"queued\":true,\"queue_id\":\"q-1\"}");
	CHECK_INT(ask.called, 1);
	CHECK_INT(ask.kind, A2A_QUEUED);
	CHECK_INT(fixture.agent->context.switchboard->stats.queued[SWITCHBOARD_PROXY], 1);
	end();
}

TEST(when_the_platform_refuses_our_token_the_workspace_hears_of_it)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 401, "{\"error\":\"invalid caller auth token\"}");
	check_failed(&ask, ERROR_UNAUTHORIZED);
	CHECK(fixture.workspace->doubted || agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	end();
}

TEST(there_is_an_end_to_how_many_may_wait)
{
	struct switchboard *board;
	struct courier_spec spec;
	struct ask asks[4], late = { 0 };

	begin();
	board = fixture.agent->context.switchboard;
	/* One peer may have half of them. */
	board->settings.max_calls = 4;
	board->settings.max_waiting = 4;
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		begin_call(&asks[i], COURIER_PROXY);
	CHECK_INT(board->n_open, 2);
	CHECK_INT(board->n_waiting, 2);
	CHECK_INT(fake_http_count(calls()), 2);

	spec = spec_for(PEER);
	waiter_init(&late.waiter, on_end);
	CHECK(courier_new(&spec, &late.waiter, &late.courier, &late.err) < 0);
	CHECK_INT(late.err.kind, ERROR_OVERLOADED);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		answer(BY_PROXY, 200, REPLY);
		check_answered(&asks[i], A2A_PROXY);
	}
	end();
}

TEST(there_is_an_end_to_what_messages_may_take)
{
	struct switchboard *board;
	struct ask ask, late = { 0 };
	struct courier_spec spec;

	begin();
	board = fixture.agent->context.switchboard;
	board->settings.max_message_bytes = 300;
	begin_call(&ask, COURIER_PROXY);
	spec = spec_for(PEER);
	waiter_init(&late.waiter, on_end);
	CHECK(courier_new(&spec, &late.waiter, &late.courier, &late.err) < 0);
	CHECK_INT(late.err.kind, ERROR_OVERLOADED);
	CHECK(strstr(late.err.text, "max_message_bytes"));
	answer(BY_PROXY, 200, REPLY);
	begin_call(&late, COURIER_PROXY);
	answer(BY_PROXY, 200, REPLY);
	end();
}

TEST(what_the_platform_would_cut_is_never_sent)
{
	size_t len = A2A_MESSAGE_MAX;
	struct courier_spec spec;
	struct ask ask = { 0 };
	char *text;

	begin();
	text = malloc(len);
	CHECK(text);
	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	spec = spec_for(PEER);
	spec.text = (struct json_text){ text, len };
	waiter_init(&ask.waiter, on_end);
	CHECK(courier_new(&spec, &ask.waiter, &ask.courier, &ask.err) < 0);
	CHECK_INT(ask.err.kind, ERROR_TOO_LARGE);
	free(text);
	end();
}

TEST(what_cannot_be_started_is_told)
{
	struct ask ask;

	begin();
	fake_http_refuse(calls(), true);
	begin_call(&ask, COURIER_AUTO);
	check_failed(&ask, ERROR_INTERNAL);
	begin_call(&ask, COURIER_PROXY);
	check_failed(&ask, ERROR_INTERNAL);
	fake_http_refuse(calls(), false);
	end();
}

TEST(calls_are_counted_by_route_and_outcome)
{
	struct buffer out = BUFFER_INIT(1 << 20);
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, REPLY);
	begin_call(&ask, COURIER_AUTO);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	answer(BY_PROXY, 402, "{\"error\":\"workspace budget limit exceeded\"}");
	check_failed(&ask, ERROR_BUDGET);
	(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
	break_peer();
	switchboard_write_metrics(fixture.agent->context.switchboard, &out);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK(strstr(buffer_at(&out), "{route=\"direct\",outcome=\"answered\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "{route=\"proxy\",outcome=\"budget_exceeded\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "molecule_a2a_fallbacks_total 1\n"));
	CHECK(strstr(buffer_at(&out), "molecule_a2a_breakers{state=\"open\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "latency_seconds_count{route=\"proxy\"} 1\n"));
	buffer_fini(&out);
	end();
}
