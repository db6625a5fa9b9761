/* SPDX-License-Identifier: MIT */
/*
 * Connections: turns, limits, back-pressure, and how they end.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/test.h"
#include "rpc-fixture.h"

#define GET(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"secrets.get\"}\n"
#define GET_NEW(id)                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"secrets.get\",\"params\":" \
	"{\"max_age_ms\":0}}\n"

static struct client client, other;
static struct workspace *workspace;
static bool stopped;

static void begin(void)
{
	fixture_init();
	workspace = fake_add("ops", OPS, "{\"A\":\"1\"}");
	client_open(&client);
}

static void limits(void)
{
	rpc_settings_init(&fixture.settings);
}

static unsigned count_lines(const struct client *heard)
{
	unsigned n = 0;

	for (size_t i = 0; i < heard->len; i++)
		n += heard->bytes[i] == '\n';
	return n;
}

static bool has_id(const char *answer, const char *id)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "\"id\":%s,", id);
	return answer && strstr(answer, text);
}

TEST(one_request_of_each_connection_is_served_a_turn)
{
	struct buffer pipeline = BUFFER_INIT(16384);
	unsigned turns;

	begin();
	client_open(&other);
	for (unsigned i = 0; i < 100; i++)
		CHECK_INT(buffer_append_text(&pipeline, GET("1")), 0);
	CHECK_INT(send(client.fd, buffer_at(&pipeline), buffer_len(&pipeline), 0),
		  buffer_len(&pipeline));
	buffer_fini(&pipeline);
	fixture_turns(3);

	/* Somebody else does not wait for those hundred. */
	CHECK_INT(send(other.fd, GET("2"), strlen(GET("2")), 0), strlen(GET("2")));
	for (turns = 0; !client_pull(&other); turns++)
		fixture_turn();
	CHECK(turns <= 2);
	(void)client_pull(&client);
	CHECK(count_lines(&client) <= 3 + 2);

	for (turns = 0; count_lines(&client) < 100 && turns < 200; turns++) {
		fixture_turn();
		(void)client_pull(&client);
	}
	CHECK_INT(count_lines(&client), 100);
	CHECK(turns >= 80);
	client_close(&other);
	fixture_end(&client);
}

TEST(a_request_alone_is_answered_in_its_turn)
{
	begin();
	fixture_turns(2);
	CHECK_INT(send(client.fd, GET("1"), strlen(GET("1")), 0), strlen(GET("1")));
	fixture_turn();
	CHECK(client_pull(&client));
	CHECK_INT(count_lines(&client), 1);
	fixture_end(&client);
}

TEST(a_client_that_does_not_read_is_not_read)
{
	static char block[1 << 16];
	size_t len = strlen(GET("1")), sent = 0;

	begin();
	for (size_t at = 0; at + len <= sizeof(block); at += len)
		(void)memcpy(block + at, GET("1"), len);
	for (unsigned idle = 0; idle < 400;) {
		ssize_t n = send(client.fd, block, sizeof(block) / len * len, MSG_NOSIGNAL);

		CHECK(n > 0 || errno == EAGAIN);
		idle = n > 0 ? 0 : idle + 1;
		sent += (size_t)MAX(n, (ssize_t)0);
		fixture_turn();
	}
	/* Two socket buffers, and a little of answers and of requests: no more. */
	CHECK(sent < 4 << 20);
	CHECK_INT(server_connections(fixture.server), 1);

	/* And it goes on where it stopped. */
	while (client_hear(&client))
		;
	CHECK(!client.ended);
	CHECK_INT(server_connections(fixture.server), 1);
	fixture_end(&client);
}

TEST(calls_in_flight_have_a_limit_and_none_is_dropped)
{
	limits();
	fixture.settings.max_calls_in_flight = 4;
	begin();
	fake.age_ms = 1;
	for (unsigned i = 0; i < 6; i++)
		client_say(&client, GET_NEW("1"));
	client_say(&client, GET("2"));
	CHECK(!client_hear(&client));
	CHECK_INT(fake.n_fetches, 4);

	waiters_call(&workspace->vault.waiters, NULL);
	for (unsigned i = 0; i < 4; i++)
		CHECK(has_id(client_hear(&client), "1"));
	CHECK(has_id(client_hear(&client), "2"));
	CHECK_INT(fake.n_fetches, 6);
	waiters_call(&workspace->vault.waiters, NULL);
	CHECK(has_id(client_hear(&client), "1"));
	CHECK(has_id(client_hear(&client), "1"));
	CHECK(!client_hear(&client));
	fixture_end(&client);
}

TEST(an_answer_longer_than_the_cap_is_an_error)
{
	static char bundle[100000];

	limits();
	fixture.settings.max_output_bytes = 65536;
	begin();
	(void)memset(bundle, 'x', sizeof(bundle) - 1);
	(void)memcpy(bundle, "{\"A\":\"", 6);
	(void)memcpy(bundle + sizeof(bundle) - 3, "\"}", 2);
	fake_set_bundle(workspace, bundle);
	CHECK(strstr(client_ask(&client, GET("1")), "-32010"));
	CHECK(has_id(client_ask(&client, GET("2")), "2"));
	fixture_end(&client);
}

TEST(answers_that_nobody_reads_end_the_connection)
{
	static char bundle[60000];

	limits();
	fixture.settings.max_output_bytes = 1 << 20;
	begin();
	(void)memset(bundle, 'x', sizeof(bundle) - 1);
	(void)memcpy(bundle, "{\"A\":\"", 6);
	(void)memcpy(bundle + sizeof(bundle) - 3, "\"}", 2);
	fake_set_bundle(workspace, bundle);
	fake.age_ms = 1;
	for (unsigned i = 0; i < 60; i++)
		client_say(&client, GET_NEW("1"));
	CHECK_INT(fake.n_fetches, 60);
	waiters_call(&workspace->vault.waiters, NULL);
	fixture_turns(3);
	CHECK_INT(server_connections(fixture.server), 0);
	fixture_end(&client);
}

TEST(a_half_closed_client_gets_its_answers)
{
	begin();
	fake.age_ms = 1;
	client_say(&client, GET_NEW("1"));
	CHECK_INT(send(client.fd, GET("2") GET("3"), 2 * strlen(GET("2")), 0),
		  2 * strlen(GET("2")));
	CHECK_INT(shutdown(client.fd, SHUT_WR), 0);
	CHECK(has_id(client_hear(&client), "2"));
	CHECK(has_id(client_hear(&client), "3"));
	CHECK(!client_hear(&client));
	CHECK(!client.ended);
	waiters_call(&workspace->vault.waiters, NULL);
	CHECK(has_id(client_hear(&client), "1"));
	CHECK(client_is_closed(&client));
	fixture_end(&client);
}

TEST(an_end_within_a_message_is_an_end)
{
	begin();
	client_say(&client, "{\"jsonrpc\":");
	CHECK_INT(shutdown(client.fd, SHUT_WR), 0);
	CHECK(client_is_closed(&client));
	CHECK_INT(client.len, 0);
	fixture_end(&client);
}

TEST(a_client_that_leaves_takes_its_calls_along)
{
	begin();
	fake.age_ms = 1;
	client_say(&client, GET_NEW("1"));
	client_say(&client, "[" GET_NEW("2") "," GET_NEW("3") "]");
	fixture_turns(3);
	CHECK_INT(fake.n_fetches, 3);
	client_close(&client);
	fixture_turns(3);
	CHECK(list_empty(&workspace->vault.waiters));
	CHECK_INT(server_connections(fixture.server), 0);
	client_open(&client);
	fixture_end(&client);
}

TEST(a_call_can_be_cancelled)
{
	begin();
	fake.age_ms = 1;
	client_say(&client, GET_NEW("1") GET_NEW("\"b\""));
	CHECK(!client_hear(&client));
	client_say(&client,
		   "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":{\"id\":\"b\"}}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":[7]}\n");
	CHECK_TEXT(
		client_hear(&client),
		"{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"error\":{\"code\":-32016,\"message\":\"the client "
		"cancelled the call\",\"data\":{\"kind\":\"cancelled\",\"retryable\":false}}}");
	CHECK(!client_hear(&client));
	CHECK_TEXT(client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"rpc.cancel\","
				       "\"params\":[\"b\"]}\n"),
		   "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"cancelled\":false}}");
	waiters_call(&workspace->vault.waiters, NULL);
	CHECK(has_id(client_hear(&client), "1"));
	fixture_end(&client);
}

TEST(a_call_of_a_batch_can_be_cancelled)
{
	const char *answer;

	begin();
	fake.age_ms = 1;
	CHECK(!client_ask(&client, "[" GET("1") "," GET_NEW("2") "]"));
	answer = client_ask(&client,
			    "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":[2]}");
	CHECK(answer && strstr(answer, "-32016") && answer[strlen(answer) - 1] == ']');
	CHECK(!strstr(answer, ",]"));
	fixture_end(&client);
}

TEST(a_message_that_does_not_end_ends_the_connection)
{
	limits();
	fixture.settings.partial_timeout_ms = 20;
	begin();
	client_open(&other);
	client_say(&other, GET("1"));
	client_say(&client, GET("1") "{\"jsonrpc\":");
	CHECK(has_id(client_hear(&client), "1"));
	while (!client.ended) {
		(void)ev_run(fixture.loop.ev, EVRUN_ONCE);
		/* It is freed between turns. */
		fixture_turn();
		(void)client_pull(&client);
	}
	CHECK(client.len && strstr(client.bytes, "-32700"));

	/* One that has said all it wants to say stays. */
	CHECK(has_id(client_hear(&other), "1"));
	CHECK(has_id(client_ask(&other, GET("2")), "2"));
	client_close(&other);
	fixture_end(&client);
}

TEST(connections_have_a_limit_that_root_is_above)
{
	struct client users[3], roots[SERVER_RESERVE + 1];

	limits();
	fixture.settings.max_connections = 3;
	fixture_init();
	for (unsigned i = 0; i < 3; i++)
		client_open_as(&users[i], 1000 + i, 1000);
	CHECK_INT(server_connections(fixture.server), 3);
	client_open_as(&other, 2000, 2000);
	CHECK(strstr(client_hear(&other), "\"id\":null,\"error\":{\"code\":-32017"));
	CHECK(client_is_closed(&other));
	client_close(&other);

	for (unsigned i = 0; i < SERVER_RESERVE; i++)
		client_open(&roots[i]);
	CHECK(has_id(client_ask(&roots[SERVER_RESERVE - 1],
				"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workspace.list\"}"),
		     "1"));
	client_open(&roots[SERVER_RESERVE]);
	CHECK(strstr(client_hear(&roots[SERVER_RESERVE]), "-32017"));

	client_close(&users[0]);
	for (unsigned i = 0; i <= SERVER_RESERVE; i++)
		client_close(&roots[i]);
	fixture_turns(2);
	client_open_as(&users[0], 2000, 2000);
	CHECK_INT(server_connections(fixture.server), 3);
	for (unsigned i = 0; i < 3; i++)
		client_close(&users[i]);
	fixture_fini();
}

TEST(a_user_cannot_lock_the_others_out)
{
	struct client users[3];

	limits();
	fixture.settings.max_connections_per_uid = 2;
	fixture_init();
	for (unsigned i = 0; i < 3; i++)
		client_open_as(&users[i], 1000, 1000);
	CHECK(strstr(client_hear(&users[2]), "max_connections_per_uid"));
	client_open_as(&other, 1001, 1001);
	CHECK_INT(server_connections(fixture.server), 3);
	for (unsigned i = 0; i < 3; i++)
		client_close(&users[i]);
	client_close(&other);
	fixture_fini();
}

TEST(descriptors_that_a_client_sends_along_are_closed)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (char[]){ ' ' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	char byte;
	int fds[2];

	begin();
	CHECK_INT(pipe(fds), 0);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	(void)memcpy(CMSG_DATA(header), &fds[1], sizeof(int));
	CHECK_INT(sendmsg(client.fd, &msg, 0), 1);
	(void)close(fds[1]);
	CHECK(has_id(client_ask(&client, GET("1")), "1"));
	/* Nobody holds the writing end any more. */
	CHECK_INT(read(fds[0], &byte, 1), 0);
	(void)close(fds[0]);
	fixture_end(&client);
}

static void on_stopped(void *data)
{
	stopped = true;
	loop_stop(&fixture.loop);
}

TEST(stopping_waits_for_calls_and_takes_no_new_ones)
{
	begin();
	client_open(&other);
	CHECK(has_id(client_ask(&other, GET("0")), "0"));
	fake.age_ms = 1;
	client_say(&client, GET_NEW("1"));
	server_stop(fixture.server, 60000, on_stopped, NULL);
	CHECK(client_is_closed(&other));
	client_say(&client, GET("2"));
	fixture_turns(3);
	CHECK(!stopped);
	waiters_call(&workspace->vault.waiters, NULL);
	CHECK(has_id(client_hear(&client), "1"));
	CHECK(client_is_closed(&client));
	CHECK_INT(client.len, 0);
	fixture_turn();
	CHECK(stopped);
	client_close(&other);
	fixture_end(&client);
}

TEST(a_call_that_was_sent_before_the_stop_is_answered)
{
	begin();
	CHECK(has_id(client_ask(&client, GET("1")), "1"));
	CHECK_INT(send(client.fd, GET("2"), strlen(GET("2")), 0), strlen(GET("2")));
	server_stop(fixture.server, 60000, on_stopped, NULL);
	loop_run(&fixture.loop);
	CHECK(stopped);
	CHECK(has_id(client_hear(&client), "2"));
	fixture_end(&client);
}

TEST(who_had_just_connected_when_it_was_stopped_is_served)
{
	begin();
	server_stop(fixture.server, 60000, on_stopped, NULL);
	CHECK(has_id(client_ask(&client, GET("1")), "1"));
	CHECK(!client_is_closed(&client));
	loop_run(&fixture.loop);
	CHECK(stopped);
	CHECK(client_is_closed(&client));
	fixture_end(&client);
}

TEST(who_connects_and_says_nothing_does_not_hold_up_the_stop)
{
	begin();
	server_stop(fixture.server, 60000, on_stopped, NULL);
	loop_run(&fixture.loop);
	CHECK(stopped);
	CHECK(client_is_closed(&client));
	fixture_end(&client);
}

TEST(stopping_cancels_what_takes_too_long)
{
	begin();
	fake.age_ms = 1;
	client_say(&client, GET_NEW("1"));
	server_stop(fixture.server, 10, on_stopped, NULL);
	loop_run(&fixture.loop);
	CHECK(stopped);
	CHECK(strstr(client_hear(&client), "-32016"));
	CHECK(client_is_closed(&client));
	CHECK(list_empty(&workspace->vault.waiters));
	fixture_end(&client);
}

TEST(stopping_without_connections_is_told_all_the_same)
{
	fixture_init();
	server_stop(fixture.server, 60000, on_stopped, NULL);
	CHECK(!stopped);
	fixture_turns(2);
	CHECK(stopped);
	fixture_fini();
}

TEST(a_socket_is_bound_and_answers)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "agentd.sock" };

	fixture_init();
	(void)fake_add("ops", OPS, "{\"A\":\"1\"}");
	CHECK_INT(server_bind(fixture.server, "agentd.sock", NULL), 0);
	client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_INT(connect(client.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK(has_id(client_ask(&client, GET("1")), "1"));
	fixture_end(&client);
}
