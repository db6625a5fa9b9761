/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: the n-th allocation fails, for every n, while a client calls
 * everything there is. It gets an error or is let go; nothing half-made stays.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/jsonscan.h"
#include "lib/test.h"
#include "rpc-fixture.h"

#define CALL(method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"

/* The linker puts these in the way of what our code allocates. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static unsigned left; /* until one fails; 0: none does */
static bool failed;

static bool fails(void)
{
	if (!left || --left)
		return false;

	failed = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

static const char *const script[] = {
	CALL("daemon.info", "{}"),
	CALL("daemon.status", "{}"),
	CALL("daemon.metrics", "{}"),
	CALL("daemon.reload", "{}"),
	CALL("rpc.discover", "{}"),
	CALL("workspace.list", "{}"),
	CALL("workspace.status", "{}"),
	CALL("workspace.report", "{\"current_task\":\"x\"}"),
	CALL("workspace.update_card", "{\"agent_card\":{}}"),
	CALL("workspace.refresh", "{}"),
	CALL("token.set", "{\"token\":\"0123456789\"}"),
	CALL("token.rotate", "{}"),
	CALL("secrets.list", "{}"),
	CALL("secrets.get", "{\"keys\":[\"A\",\"B\"]}"),
	CALL("secrets.get", "{\"max_age_ms\":0}"),
	CALL("secrets.refresh", "{}"),
	CALL("peers.list", "{}"),
	CALL("peers.discover", "{\"peer\":\"p\"}"),
	CALL("events.subscribe", "{}"),
	CALL("events.unsubscribe", "[\"s1\"]"),
	"[" CALL("secrets.refresh", "{}") "," CALL("events.subscribe", "{}") "]",
};

/* Allocates nothing of its own while the server is at work. */
static void say_all(int fd, unsigned nth)
{
	for (size_t i = 0; i < ARRAY_LEN(script); i++)
		if (send(fd, script[i], strlen(script[i]), MSG_NOSIGNAL) < 0)
			return;

	left = nth;
	fixture_turns(40);
	server_on_secrets(fixture.server, agent_find(&fake.agent, "ops"), "[\"A\"]", 5);
	waiters_call(&fake.waiters, NULL);
	waiters_call(&agent_find(&fake.agent, "ops")->vault.waiters, NULL);
	waiters_call(&agent_find(&fake.agent, "ops")->peerbook->waiters, NULL);
	fixture_turns(10);
	left = 0;
}

/* Returns how many answers and events came. */
static unsigned hear_all(struct client *client)
{
	const char *line;
	unsigned n = 0;

	for (; (line = client_hear(client)); n++)
		CHECK_INT(json_check(line, strlen(line), JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL), 0);

	return n;
}

/* How many messages came; the last runs have them all. */
static unsigned run(unsigned nth)
{
	struct workspace *workspace;
	struct client client;
	unsigned n;

	failed = false;
	fixture_init();
	workspace = fake_add("ops", OPS, "{\"A\":\"1\"}");
	fake.age_ms = 1;
	client_open(&client);
	say_all(client.fd, nth);
	n = hear_all(&client);

	client_close(&client);
	fixture_turns(4);
	CHECK_INT(server_connections(fixture.server), 0);
	CHECK(list_empty(&fake.waiters));
	CHECK(list_empty(&workspace->vault.waiters));
	CHECK(list_empty(&workspace->reporter.shares));
	fixture_fini();
	return n;
}

TEST(no_allocation_may_fail_unnoticed)
{
	unsigned whole = run(0), nth = 0, n;

	CHECK(whole > ARRAY_LEN(script));
	do {
		n = run(++nth);
		CHECK(nth < 10000);
	} while (failed);

	CHECK_INT(n, whole);
	CHECK(nth > ARRAY_LEN(script));
}

TEST(a_connection_without_memory_is_refused)
{
	struct client client;

	for (unsigned nth = 1; nth < 4; nth++) {
		fixture_init();
		left = nth;
		client_open(&client);
		left = 0;
		CHECK_INT(server_connections(fixture.server), nth > 2);
		client_close(&client);
		fixture_fini();
	}
}
