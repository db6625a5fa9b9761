/* SPDX-License-Identifier: MIT */
/*
 * The life of requests and connections: stopped, started and freed at any time,
 * kept, shared, dropped, and never sent twice by accident.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"
#include "loopback.h"

TEST(a_callback_never_comes_from_inside_start)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	probe_start(&probe, &spec);
	CHECK(http_request_in_flight(&probe.request));
	CHECK_INT(probe.n_calls, 0);
	CHECK_INT(http_stats(http)->in_flight, 1);
	finish();
	CHECK_INT(probe.n_calls, 1);
	CHECK_INT(http_stats(http)->started, 1);
	CHECK_INT(http_stats(http)->answered, 1);
	server_close(&server);
	tear_down();
}

static struct probe *victim;
static unsigned n_victims;

static void stop_probe(struct probe *probe)
{
	if (!http_request_in_flight(&probe->request))
		return;
	http_request_stop(&probe->request);
	CHECK(!http_request_in_flight(&probe->request));
	n_waiting--;
	n_victims++;
}

static void stop_victim(struct server *server)
{
	if (victim)
		stop_probe(TAKE(victim));
}

TEST(a_stopped_request_does_not_call_back)
{
	struct probe stopped = { 0 }, probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);

	/* At once, and twice. */
	probe_start(&stopped, &spec);
	stop_probe(&stopped);
	http_request_stop(&stopped.request);

	/* When the server has it, and with the server's answer on its way. */
	probe_start(&stopped, &spec);
	victim = &stopped;
	server.on_request = stop_victim;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(stopped.n_calls, 0);
	CHECK_INT(n_victims, 2);
	server_close(&server);
	tear_down();
}

static struct probe crowd[8];

static void stop_all_others(struct probe *probe)
{
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		stop_probe(&crowd[i]);
}

static void release_at_six(struct server *server)
{
	if (server->n_requests == HTTP_ORIGIN_CONNECTIONS)
		server_release(server);
}

TEST(a_callback_may_stop_others_done_or_not)
{
	struct http_spec spec;
	unsigned n_calls = 0;

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	server.on_request = release_at_six;
	spec = spec_for(&server);
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
		crowd[i].then = stop_all_others;
		probe_start(&crowd[i], &spec);
	}
	finish();
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		n_calls += crowd[i].n_calls;
	CHECK_INT(n_calls, 1);
	CHECK_INT(n_victims, 7);
	server_close(&server);
	tear_down();
}

static struct http_spec next_spec;

static void start_again(struct probe *probe)
{
	if (probe->n_calls < 5)
		probe_start(probe, &next_spec);
}

TEST(a_callback_may_start_its_request_again)
{
	struct probe probe = { .then = start_again };

	set_up();
	SERVER(server, { OK_REPLY });
	next_spec = spec_for(&server);
	probe_start(&probe, &next_spec);
	finish();
	CHECK_INT(probe.n_calls, 5);
	CHECK_INT(server.n_requests, 5);
	CHECK_INT(server.n_accepted, 1);
	server_close(&server);
	tear_down();
}

static void free_probe(struct probe *probe)
{
	free(probe);
}

TEST(a_callback_may_free_its_request)
{
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	for (int i = 0; i < 3; i++) {
		struct probe *probe = calloc(1, sizeof(*probe));

		probe->then = free_probe;
		probe_start(probe, &spec);
	}
	finish();
	CHECK_INT(http_stats(http)->answered, 3);
	server_close(&server);
	tear_down();
}

TEST(a_request_that_ended_at_its_deadline_does_not_end_again)
{
	struct probe probe = { 0 }, after = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.timeout_ms = 0;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_TIMED_OUT);
	fetch(&after, &server);
	CHECK_INT(probe.n_calls, 1);
	CHECK_INT(after.result.status, 200);
	server_close(&server);
	tear_down();
}

/* A listener that takes no more: who connects waits until it gives up. */
static int open_full(struct server *server, int *ret_filler)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(server->address);

	server->address = (struct sockaddr_in){ .sin_family = AF_INET };
	server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(bind(fd, (struct sockaddr *)&server->address, len), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&server->address, &len), 0);
	CHECK_INT(listen(fd, 0), 0);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/path",
		       ntohs(server->address.sin_port));
	*ret_filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(*ret_filler, (struct sockaddr *)&server->address, len), 0);
	return fd;
}

TEST(a_request_that_ended_while_connecting_hinders_no_later_one)
{
	struct probe probe = { 0 };
	struct server full;
	struct http_spec spec;
	int fd, filler;

	set_up();
	SERVER(server, { OK_REPLY });
	fd = open_full(&full, &filler);
	spec = spec_for(&full);
	for (int i = 0; i < 4; i++) {
		/* By our deadline, and by curl's. */
		spec.timeout_ms = i % 2 ? 20000 : 30;
		spec.connect_timeout_ms = i % 2 ? 30 : 0;
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(probe.result.outcome, HTTP_TIMED_OUT);
		CHECK(!probe.result.sent);
		CHECK_INT(!strcmp(probe.why, "not connected in time"), i % 2 == 0);
		fetch(&probe, &server);
		CHECK_INT(probe.result.status, 200);
	}
	CHECK_INT(close(fd) | close(filler), 0);
	server_close(&server);
	tear_down();
}

TEST(one_connection_serves_many_requests)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { OK_REPLY });
	for (int i = 0; i < 50; i++) {
		fetch(&probe, &server);
		CHECK_INT(probe.result.status, 200);
	}
	CHECK_INT(server.n_accepted, 1);
	CHECK_INT(server.n_requests, 50);
	server_close(&server);
	tear_down();
}

static void check_again(const char *method, const char *body)
{
	struct probe probe = { 0 };
	struct http_spec spec;
	char start[32];

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = method;
	spec.body = body;
	spec.body_len = body ? strlen(body) : 0;
	(void)snprintf(start, sizeof(start), "%s /path HTTP/1.1\r\n", method);
	for (unsigned n = 1; n <= 3; n++) {
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(server.n_requests, n);
		CHECK(strncmp(server.request, start, strlen(start)) == 0);
		CHECK_TEXT(strstr(server.request, "\r\n\r\n") + 4, body ?: "");
	}
	CHECK_INT(server.n_accepted, 1);
	server_close(&server);
	tear_down();
}

TEST(each_method_can_be_used_again)
{
	check_again("GET", NULL);
	check_again("DELETE", NULL);
	check_again("POST", "{}");
	check_again("PUT", "{}");
	check_again("PATCH", "{}");
	check_again("DELETE", "{}");
}

TEST(an_origin_gets_six_connections_and_no_more)
{
	static struct probe probes[50];
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probe_start(&probes[i], &spec);
	finish();
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		CHECK_INT(probes[i].result.status, 200);
	CHECK_INT(server.n_requests, 50);
	CHECK_INT(server.most_open, HTTP_ORIGIN_CONNECTIONS);
	CHECK_INT(server.n_accepted, HTTP_ORIGIN_CONNECTIONS);
	server_close(&server);
	tear_down();
}

static struct probe queue[30];

static void stop_some_of_queue(struct server *server)
{
	if (server->n_requests != HTTP_ORIGIN_CONNECTIONS)
		return;

	/* The first six are at the server, the others wait. */
	stop_probe(&queue[0]);
	stop_probe(&queue[3]);
	stop_probe(&queue[10]);
	stop_probe(&queue[29]);
	server_release(server);
}

TEST(those_that_wait_go_on_when_others_are_stopped)
{
	struct probe again = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	server.on_request = stop_some_of_queue;
	spec = spec_for(&server);
	for (size_t i = 0; i < ARRAY_LEN(queue); i++)
		probe_start(&queue[i], &spec);
	finish();
	for (size_t i = 0; i < ARRAY_LEN(queue); i++) {
		bool was_stopped = i == 0 || i == 3 || i == 10 || i == 29;

		CHECK_INT(queue[i].n_calls, !was_stopped);
		CHECK_INT(queue[i].result.status, was_stopped ? 0 : 200);
	}
	/* Nothing that was stopped hinders a later one. */
	for (int i = 0; i < 20; i++) {
		fetch(&again, &server);
		CHECK_INT(again.result.status, 200);
	}
	server_close(&server);
	tear_down();
}

static bool has_asked(const struct server *server, const char *line)
{
	return strncmp(server->request, line, strlen(line)) == 0;
}

TEST(those_that_wait_go_on_when_others_time_out)
{
	struct probe slow[HTTP_ORIGIN_CONNECTIONS] = { 0 }, last = { 0 };
	struct http_spec spec;
	char url[80];

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	spec = spec_for(&server);
	spec.timeout_ms = 100;
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		probe_start(&slow[i], &spec);
	(void)snprintf(url, sizeof(url), "%s/last", server.url);
	spec.url = url;
	spec.timeout_ms = 20000;
	probe_start(&last, &spec);
	/* Their time need not be over in the same turn: until it is, nobody is answered. */
	while (n_waiting > 1 || !has_asked(&server, "GET /path/last "))
		turn();
	server_release(&server);
	finish();
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		CHECK_INT(slow[i].result.outcome, HTTP_TIMED_OUT);
	CHECK_INT(last.result.status, 200);
	server_close(&server);
	tear_down();
}

/* The first answers; whatever comes next on that connection is swallowed. */
static struct probe fetch_twice(const char *method, unsigned n_requests)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY }, { "", 0, CLOSE }, { OK_REPLY });
	fetch(&probe, &server);
	CHECK_INT(probe.result.status, 200);
	spec = spec_for(&server);
	spec.method = method;
	if (strcmp(method, "GET") != 0) {
		spec.body = "{}";
		spec.body_len = 2;
	}
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(server.n_requests, n_requests);
	CHECK(probe.result.sent);
	server_close(&server);
	tear_down();
	return probe;
}

TEST(a_post_on_a_dying_connection_is_not_sent_twice)
{
	struct probe probe = fetch_twice("POST", 2);

	CHECK_INT(probe.result.outcome, HTTP_BROKEN);
	CHECK_TEXT(probe.why, "connection closed without a reply; not sent a second time");
	CHECK(probe.result.reused);
	CHECK_INT(fetch_twice("PATCH", 2).result.outcome, HTTP_BROKEN);
}

TEST(who_wants_to_be_alone_has_a_connection_of_his_own)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY }, { OK_REPLY }, { OK_REPLY }, { "", 0, CLOSE });
	fetch(&probe, &server);
	spec = spec_for(&server);
	spec.method = "POST";
	spec.alone = true;
	for (int i = 0; i < 2; i++) {
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(probe.result.status, 200);
	}
	CHECK_INT(server.n_accepted, 3);

	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_BROKEN);
	CHECK(!probe.result.reused);
	CHECK_INT(server.n_accepted, 4);
	/* And leaves alone what was kept for others. */
	CHECK_INT(server.n_open, 1);
	server_close(&server);
	tear_down();
}

TEST(what_is_idempotent_is_sent_again_on_a_new_connection)
{
	CHECK_INT(fetch_twice("GET", 3).result.status, 200);
	CHECK_INT(fetch_twice("PUT", 3).result.status, 200);
	CHECK_INT(fetch_twice("DELETE", 3).result.status, 200);
}

TEST(a_post_finds_a_new_connection_when_the_kept_one_is_closed)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY, 0, CLOSE }, { OK_REPLY });
	fetch(&probe, &server);
	spec = spec_for(&server);
	spec.method = "POST";
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(server.n_accepted, 2);
	CHECK_INT(server.n_requests, 2);
	server_close(&server);
	tear_down();
}

TEST(dropped_connections_are_closed_and_not_used_again)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { OK_REPLY });
	http_drop_connections(http);
	fetch(&probe, &server);
	http_drop_connections(http);
	http_drop_connections(http);
	fetch(&probe, &server);
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(server.n_accepted, 2);
	CHECK_INT(server.most_open, 1);
	fetch(&probe, &server);
	CHECK_INT(server.n_accepted, 2);
	server_close(&server);
	tear_down();
}

static void drop_and_release(struct server *server)
{
	if (server->n_requests == 1)
		http_drop_connections(http);
	else
		server_release(server);
}

TEST(dropping_connections_lets_those_in_use_finish)
{
	struct probe before = { 0 }, after = { 0 }, later = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	server.on_request = drop_and_release;
	spec = spec_for(&server);
	probe_start(&before, &spec);
	while (!server.n_requests)
		turn();
	probe_start(&after, &spec);
	finish();
	CHECK_INT(before.result.status, 200);
	CHECK_INT(after.result.status, 200);
	CHECK_INT(server.n_accepted, 2);
	CHECK_INT(server.most_open, 2);
	server.on_request = NULL;
	fetch(&later, &server);
	CHECK_INT(server.n_accepted, 2);
	CHECK_INT(server.n_open, 1);
	server_close(&server);
	tear_down();
}

TEST(stopping_the_last_one_on_dropped_connections_closes_them)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { NULL });
	spec = spec_for(&server);
	probe_start(&probe, &spec);
	while (!server.n_requests)
		turn();
	http_drop_connections(http);
	turn();
	CHECK_INT(server.n_open, 1);
	stop_probe(&probe);
	while (server.n_open)
		turn();
	server_close(&server);
	tear_down();
}

static void stop_some(struct probe *probe)
{
	static unsigned n;

	if (++n % 3 == 0)
		for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
			stop_probe(&crowd[i]);
}

TEST(hundreds_of_requests_leave_nothing_behind)
{
	static struct probe probes[200];
	struct http_spec spec;
	unsigned n_calls = 0;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = "POST";
	spec.bearer = "some-token";
	spec.body = "{}";
	spec.body_len = 2;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		if (i % 25 == 0)
			probe_start(&crowd[i / 25], &spec);
		probes[i].then = stop_some;
		probe_start(&probes[i], &spec);
	}
	finish();
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		n_calls += probes[i].n_calls;
	CHECK_INT(n_calls, 200);
	CHECK(n_victims > 0);
	CHECK_INT(http_stats(http)->started, 208);
	CHECK_INT(http_stats(http)->answered, 208 - n_victims);
	server_close(&server);
	tear_down();
}
