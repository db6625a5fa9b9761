/* SPDX-License-Identifier: MIT */
/*
 * Clients and server in one process.
 */

#include "rpc-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/jsonscan.h"
#include "lib/test.h"
#include "rpc/policy.h"

#define IDLE_TURNS 100 /* after which nothing more comes that no timer brings */

struct fixture fixture;

static void on_state(void *data, struct workspace *workspace, enum lifecycle_state before)
{
	server_on_state(fixture.server, workspace, before);
}

static void on_report(void *data, struct workspace *workspace)
{
	server_on_report(fixture.server, workspace);
}

static const struct agent_events events = { .on_state = on_state, .on_report = on_report };

static int reload(void *data, struct buffer *changed, struct error *err)
{
	fixture.n_reloads++;
	if (fixture.reload_fails)
		return error_set(err, fixture.reload_fails, 0, "agentd.conf:3: that is wrong");

	return buffer_append_text(changed, "[\"rpc\"]");
}

void fixture_init(void)
{
	struct hub_host host = {
		.loop = &fixture.loop,
		.agent = &fake.agent,
		.version = "1.2.3",
		.started_wall_ms = 1795176000000,
		.reload = reload,
	};

	if (!fixture.settings.max_connections)
		rpc_settings_init(&fixture.settings);
	CHECK_INT(loop_init(&fixture.loop), 0);
	fake_init(&fixture.loop, &events, NULL);
	CHECK_INT(server_new(&host, &fixture.settings, NULL, &fixture.server, NULL), 0);
}

void fixture_fini(void)
{
	server_free(fixture.server);
	fake_fini();
	loop_fini(&fixture.loop);
}

void fixture_turn(void)
{
	(void)ev_run(fixture.loop.ev, EVRUN_NOWAIT);
}

void fixture_turns(unsigned n)
{
	while (n--)
		fixture_turn();
}

void client_open_as(struct client *client, uid_t uid, gid_t gid)
{
	struct peercred peer = { .uid = uid, .gid = gid, .pid = getpid(), .fd = -1 };
	int fds[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*client = (struct client){ .fd = fds[0] };
	peer.fd = fds[1];
	server_take(fixture.server, fds[1], &peer);
}

void client_open(struct client *client)
{
	client_open_as(client, 0, 0);
}

void client_close(struct client *client)
{
	(void)close(client->fd);
	free(client->bytes);
	*client = (struct client){ .fd = -1 };
}

void fixture_end(struct client *client)
{
	client_close(client);
	fixture_turns(3);
	CHECK_INT(server_connections(fixture.server), 0);
	fixture_fini();
}

void client_say_bytes(struct client *client, const char *bytes, size_t len)
{
	for (unsigned idle = 0; len && idle < IDLE_TURNS;) {
		ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		fixture_turn();
		idle = n > 0 ? 0 : idle + 1;
		bytes += MAX(n, (ssize_t)0);
		len -= (size_t)MAX(n, (ssize_t)0);
	}
}

void client_say(struct client *client, const char *text)
{
	client_say_bytes(client, text, strlen(text));
}

size_t client_pull(struct client *client)
{
	size_t total = 0;
	ssize_t n;

	for (;;) {
		if (client->capacity - client->len < 65536) {
			client->capacity = client->capacity * 2 + 131072;
			client->bytes = realloc(client->bytes, client->capacity);
			CHECK(client->bytes);
		}

		n = recv(client->fd, client->bytes + client->len,
			 client->capacity - client->len - 1, MSG_DONTWAIT);
		if (n <= 0)
			break;
		client->len += (size_t)n;
		total += (size_t)n;
	}

	if (n == 0 || (n < 0 && errno != EAGAIN))
		client->ended = true;
	return total;
}

static char *take_line(struct client *client)
{
	static char *line;
	char *newline = client->len ? memchr(client->bytes, '\n', client->len) : NULL;
	size_t len;

	if (!newline)
		return NULL;

	len = (size_t)(newline - client->bytes);
	free(line);
	line = strndup(client->bytes, len);
	client->len -= len + 1;
	(void)memmove(client->bytes, newline + 1, client->len);
	return line;
}

const char *client_hear(struct client *client)
{
	unsigned idle = 0;
	char *line;

	while (!(line = take_line(client)) && !client->ended && idle < IDLE_TURNS) {
		fixture_turn();
		idle = client_pull(client) ? 0 : idle + 1;
	}

	return line;
}

const char *client_ask(struct client *client, const char *text)
{
	client_say(client, text);
	return client_hear(client);
}

const char *client_call(struct client *client, const char *method, const char *params)
{
	char request[4096];
	const char *answer;

	(void)snprintf(request, sizeof(request),
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
		       params);
	answer = client_ask(client, request);
	if (answer)
		CHECK_INT(json_check(answer, strlen(answer), 64, 65536, NULL), 0);
	return answer;
}

void check_result(const char *answer, const char *result)
{
	char whole[8192];

	(void)snprintf(whole, sizeof(whole), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}",
		       result);
	CHECK_TEXT(answer, whole);
}

void check_fails(const char *answer, const char *kind, const char *names)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "\"kind\":\"%s\"", kind);
	CHECK_HAS(answer, text);
	CHECK_HAS(answer, names);
}

bool client_is_closed(struct client *client)
{
	for (unsigned i = 0; i < IDLE_TURNS && !client->ended; i++) {
		fixture_turn();
		(void)client_pull(client);
	}

	return client->ended;
}
