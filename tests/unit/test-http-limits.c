/* SPDX-License-Identifier: MIT */
/*
 * What a client may have at one time: connections that are being made, memory
 * for replies; and connections that are one request's own.
 */
#include "io/http.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "loopback.h"

static void limit_connecting(unsigned n)
{
	http_limit(http, &(struct http_limits){ .connecting = n });
}

/* A spec for a server that never says a word of TLS: its connection is never there. */
static struct http_spec mute_spec(const struct server *server)
{
	static char url[64];
	struct http_spec spec = spec_for(server);

	(void)snprintf(url, sizeof(url), "https%s", server->url + strlen("http"));
	spec.url = url;
	return spec;
}

TEST(who_may_not_connect_yet_waits_for_one_that_has_connected)
{
	struct probe probes[8] = { 0 };
	struct http_spec spec;

	set_up();
	limit_connecting(1);
	SERVER(server, { OK_REPLY });
	server.holds = true;
	spec = spec_for(&server);
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probe_start(&probes[i], &spec);
	/* None has its answer yet: it is the connection that the others wait for. */
	while (server.n_requests < ARRAY_LEN(probes))
		turn();
	CHECK_INT(server.most_open, ARRAY_LEN(probes));
	server_release(&server);
	finish();
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		CHECK_INT(probes[i].result.status, 200);
	server_close(&server);
	tear_down();
}

TEST(who_waits_to_connect_waits_under_his_deadline)
{
	struct probe first = { 0 }, second = { 0 };
	struct http_spec spec;

	set_up();
	limit_connecting(1);
	SERVER(mute, { NULL });
	SERVER(server, { OK_REPLY });
	spec = mute_spec(&mute);
	probe_start(&first, &spec);
	spec = spec_for(&server);
	spec.timeout_ms = 50;
	probe_start(&second, &spec);
	while (!second.n_calls)
		turn();
	CHECK_INT(second.result.outcome, HTTP_TIMED_OUT);
	CHECK(!second.result.sent);
	CHECK_INT(server.n_accepted, 0);
	http_request_stop(&first.request);
	n_waiting--;
	server_close(&server);
	server_close(&mute);
	tear_down();
}

TEST(one_that_gives_up_connecting_makes_room)
{
	struct probe first = { 0 }, second = { 0 }, third = { 0 };
	struct http_spec spec;

	set_up();
	limit_connecting(1);
	SERVER(mute, { NULL });
	SERVER(server, { OK_REPLY });
	spec = mute_spec(&mute);
	probe_start(&first, &spec);
	spec = spec_for(&server);
	probe_start(&second, &spec);
	probe_start(&third, &spec);
	/* One that waits may go, too. */
	http_request_stop(&third.request);
	http_request_stop(&first.request);
	n_waiting -= 2;
	finish();
	CHECK_INT(second.result.status, 200);
	CHECK_INT(third.n_calls, 0);
	server_close(&server);
	server_close(&mute);
	tear_down();
}

static void on_probed(struct probe *probe)
{
	loop_stop(&loop);
}

/* Until this one has ended, whatever others there are. */
static void await(struct probe *probe, const struct http_spec *spec)
{
	probe->then = on_probed;
	probe_start(probe, spec);
	loop_run(&loop);
	CHECK_INT(probe->n_calls, 1);
}

TEST(a_party_that_cannot_connect_leaves_half_to_others)
{
	struct http_party stuck = { 0 }, well = { 0 };
	struct probe probes[5] = { 0 }, probe = { 0 };
	struct http_spec spec;

	set_up();
	limit_connecting(4);
	SERVER(mute, { NULL });
	SERVER(server, { OK_REPLY });
	spec = mute_spec(&mute);
	spec.party = &stuck;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probe_start(&probes[i], &spec);
	CHECK_INT(stuck.n_connecting, 2);

	spec = spec_for(&server);
	spec.party = &well;
	await(&probe, &spec);
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(well.n_connecting, 0);
	CHECK_INT(mute.n_accepted, 2);

	/* One of them gives up: the next may try. */
	http_request_stop(&probes[0].request);
	CHECK_INT(stuck.n_connecting, 1);
	while (mute.n_accepted < 3)
		turn();
	CHECK_INT(stuck.n_connecting, 2);
	for (size_t i = 1; i < ARRAY_LEN(probes); i++)
		http_request_stop(&probes[i].request);
	CHECK_INT(stuck.n_connecting, 0);
	n_waiting -= (unsigned)ARRAY_LEN(probes);
	server_close(&server);
	server_close(&mute);
	tear_down();
}

#define LONG_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
#define SIXTY "123456789012345678901234567890123456789012345678901234567890"

TEST(replies_share_a_room_and_leave_it)
{
	struct probe probe = { 0 };

	set_up();
	http_limit(http, &(struct http_limits){ .body_bytes = 100 });
	SERVER(server, { LONG_REPLY SIXTY });
	for (int i = 0; i < 3; i++) {
		fetch(&probe, &server);
		CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	}
	server_close(&server);
	tear_down();
}

TEST(a_reply_without_room_fails_and_says_why)
{
	struct probe half = { 0 }, probe = { 0 };
	struct http_spec spec;

	set_up();
	http_limit(http, &(struct http_limits){ .body_bytes = 100 });
	/* One that has come so far, and stays. */
	SERVER(slow, { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" SIXTY });
	SERVER(server, { LONG_REPLY SIXTY });
	spec = spec_for(&slow);
	probe_start(&half, &spec);
	while (!slow.n_requests)
		turn();
	turn();
	spec = spec_for(&server);
	probe_start(&probe, &spec);
	while (!probe.n_calls)
		turn();
	CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);
	CHECK_TEXT(probe.why, "other replies take all the room there is");

	http_request_stop(&half.request);
	n_waiting--;
	fetch(&probe, &server);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	server_close(&server);
	server_close(&slow);
	tear_down();
}

TEST(replies_of_one_party_leave_as_much_room_to_others)
{
	struct http_party large = { 0 }, small = { 0 };
	struct probe half = { 0 }, more = { 0 }, probe = { 0 };
	struct http_spec spec;

	set_up();
	http_limit(http, &(struct http_limits){ .body_bytes = 170 });
	SERVER(slow, { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" SIXTY });
	SERVER(server, { LONG_REPLY SIXTY });
	spec = spec_for(&slow);
	spec.party = &large;
	probe_start(&half, &spec);
	while (large.room_used < 60)
		turn();

	spec = spec_for(&server);
	spec.party = &large;
	await(&more, &spec);
	CHECK_INT(more.result.outcome, HTTP_TOO_LARGE);
	CHECK_TEXT(more.why, "other replies of the same one take all the room it may have");
	CHECK_INT(large.room_used, 60);

	spec.party = &small;
	await(&probe, &spec);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(small.room_used, 0);

	http_request_stop(&half.request);
	n_waiting--;
	CHECK_INT(large.room_used, 0);
	server_close(&server);
	server_close(&slow);
	tear_down();
}

static void on_rested(struct timer *timer)
{
}

/* Lets connections rest for so long. */
static void rest(int64_t ms)
{
	struct timer timer;

	timer_init(&timer, &loop, on_rested);
	timer_start(&timer, ms);
	while (timer_is_running(&timer))
		turn();
}

TEST(a_connection_that_has_rested_for_too_long_is_not_used)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.max_idle_s = 1;
	for (int i = 0; i < 3; i++) {
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(probe.result.status, 200);
	}
	CHECK_INT(server.n_accepted, 1);

	/* curl counts whole seconds, and both ends of them. */
	rest(2100);
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(server.n_accepted, 2);
	server_close(&server);
	tear_down();
}

TEST(it_can_be_asked_whether_a_request_has_left)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	spec = spec_for(&server);
	CHECK(!http_request_was_sent(&probe.request));
	probe_start(&probe, &spec);
	CHECK(!http_request_was_sent(&probe.request));
	while (!server.n_requests)
		turn();
	CHECK(http_request_was_sent(&probe.request));
	server_release(&server);
	finish();
	CHECK(!http_request_was_sent(&probe.request));
	server_close(&server);
	tear_down();
}
