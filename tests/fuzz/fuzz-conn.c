/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a client that speaks to the whole local API, with a fake agent
 * behind it: cut into reads at random, with what it waits for coming, events
 * happening and answers being read at random moments. The first byte says who
 * the client is and what it does in the end.
 *
 * What must hold: everything that is heard is JSON, a line each; nobody but
 * those who may is told a secret; and nothing is left of a connection that is
 * closed.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/jsonscan.h"
#include "base/log.h"
#include "fake-agent.h"
#include "fuzz.h"
#include "lib/test.h"
#include "rpc/server.h"

#define SECRET "hush-hush"
#define OPS "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001"
#define DELEGATION "11111111-1111-4111-8111-111111111111"
#define STRANGER 54321
#define TURNS_MAX 4000 /* a batch is served an entry a turn */

enum options {
	OPTION_STRANGER = 1 << 0,
	OPTION_TWO_WORKSPACES = 1 << 1,
	OPTION_OLD = 1 << 2,   /* everything has to be fetched */
	OPTION_DEAF = 1 << 3,  /* reads nothing before the end */
	OPTION_STOP = 1 << 4,  /* the daemon stops first */
	OPTION_CLOSE = 1 << 5, /* closes at once, and waits for no answer */
	OPTION_AWAY = 1 << 6,  /* the platform is out of reach */
	OPTION_SMALL = 1 << 7, /* limits */
};

struct ears {
	struct json_scan scan;
	bool headers; /* then the framing is another, which others test */
};

static struct loop loop;
static struct server *server;
static struct error outage = { .kind = ERROR_UNAVAILABLE, .text = "the platform is away" };
static bool stopped;

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, format);
	abort();
}

static int lose(const struct log_record *record)
{
	return 0;
}

static void on_state(void *data, struct workspace *workspace, enum lifecycle_state before)
{
	server_on_state(server, workspace, before);
}

static void on_report(void *data, struct workspace *workspace)
{
	server_on_report(server, workspace);
}

static const struct agent_events events = { .on_state = on_state, .on_report = on_report };

static void on_stopped(void *data)
{
	stopped = true;
}

static void begin(unsigned options)
{
	struct hub_host host = { .loop = &loop, .agent = &fake.agent, .version = "fuzz" };
	struct rpc_settings settings;

	log_set_sink(lose);
	rpc_settings_init(&settings);
	if (options & OPTION_SMALL) {
		settings.max_calls_in_flight = 2;
		settings.max_request_bytes = 4096;
		settings.max_output_bytes = 4096;
	}
	if (!loop.ev)
		REQUIRE(loop_init(&loop) == 0);

	fake_init(&loop, &events, NULL);
	fake.age_ms = options & OPTION_OLD ? 1000 : 0;
	fake.old_peers = options & OPTION_OLD;
	fake.too_stale = options & OPTION_AWAY;
	(void)fake_add("ops", OPS, "{\"KEY\":\"" SECRET "\"}");
	fake_set_peers(agent_find(&fake.agent, "ops"), "[{\"id\":\"p1\"}]");
	if (options & OPTION_TWO_WORKSPACES)
		(void)fake_add("lab", "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0002", NULL);
	REQUIRE(server_new(&host, &settings, NULL, &server, NULL) == 0);
}

static int dial(unsigned options)
{
	struct peercred peer = { .uid = options & OPTION_STRANGER ? STRANGER : 0, .gid = STRANGER };
	int fds[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	peer.fd = fds[1];
	server_take(server, fds[1], &peer);
	return fds[0];
}

static void turn(void)
{
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
}

/* Returns false when the server has closed. */
static bool listen_to(int fd, struct ears *ears, unsigned options)
{
	char bytes[4097];
	ssize_t n;
	size_t used;

	while ((n = recv(fd, bytes, sizeof(bytes) - 1, 0)) > 0) {
		bytes[n] = '\0';
		REQUIRE(!(options & OPTION_STRANGER) || !strstr(bytes, SECRET));
		ears->headers |= bytes[0] == 'C' && json_scan_is_empty(&ears->scan);
		for (ssize_t at = 0; at < n && !ears->headers; at += (ssize_t)used) {
			enum json_verdict verdict =
				json_scan_feed(&ears->scan, bytes + at, (size_t)(n - at), &used);

			REQUIRE(verdict == JSON_MORE || verdict == JSON_DONE);
			if (verdict == JSON_DONE)
				json_scan_init(&ears->scan, JSON_DEPTH_MAX, JSON_VALUES_MAX);
		}
	}
	return n < 0 && errno == EAGAIN;
}

/* What some wait for comes, or does not. */
static void answer(uint32_t which, const struct error *err)
{
	static char key[] = "k1";
	/* It has ended: for what has not, a turn of this loop is too short a time. */
	static struct delegation row = {
		.id = DELEGATION,
		.to = OPS,
		.key = key,
		.status = DELEGATE_COMPLETED,
	};

	if (which == 0 && err)
		waiters_call(&fake.waiters, err);
	else if (which == 0)
		fake_tell(&row, 1, false);

	list_for_each (node, &fake.agent.workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		if (which == 1)
			waiters_call(&workspace->vault.waiters, err);
		else if (which == 2)
			waiters_call(&workspace->peerbook->waiters, err);
		else if (which == 3)
			waiters_call(&fake.join_waiters, NULL);
	}
}

/* Something that a client has no hand in. */
static void meddle(uint32_t random, unsigned options)
{
	struct workspace *ops = agent_find(&fake.agent, "ops");
	uint32_t what = random % 8;

	answer(what, options & OPTION_AWAY ? &outage : NULL);
	if (ops && what == 4)
		fake_set_state(ops, ops->state == LIFECYCLE_PAUSED ? LIFECYCLE_ONLINE
								   : LIFECYCLE_PAUSED);
	if (ops && what == 5)
		server_on_secrets(server, ops, "[\"KEY\"]", 7);
}

static void speak(int fd, const char *bytes, size_t len, struct ears *ears, unsigned options)
{
	uint32_t random = fuzz_seed((const uint8_t *)bytes, len);

	for (unsigned idle = 0; len && idle < 64;) {
		size_t want = MIN(len, (size_t)(fuzz_random(&random) % 512 + 1));
		ssize_t n = send(fd, bytes, want, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		idle = n > 0 ? 0 : idle + 1;
		bytes += MAX(n, (ssize_t)0);
		len -= (size_t)MAX(n, (ssize_t)0);
		turn();
		meddle(fuzz_random(&random), options);
		if (!(options & OPTION_DEAF) && !listen_to(fd, ears, options))
			return;
	}
}

static void finish(int fd, struct ears *ears, unsigned options)
{
	bool open = true;

	if (options & OPTION_STOP)
		server_stop(server, 60000, on_stopped, NULL);
	if (!(options & OPTION_CLOSE))
		(void)shutdown(fd, SHUT_WR);
	for (unsigned i = 0; open && i < TURNS_MAX && !(options & OPTION_CLOSE); i++) {
		turn();
		meddle(i, options);
		open = listen_to(fd, ears, options);
	}
	REQUIRE(!open || (options & OPTION_CLOSE));
	(void)close(fd);
}

/* A server that stops gives those who are just about to speak some milliseconds. */
static void await_stop(void)
{
	int64_t until_ms = loop_now_ms(&loop) + 5000;

	while (!stopped && loop_now_ms(&loop) < until_ms)
		turn();
}

static void end(unsigned options)
{
	/*
	 * What was said before the close is served, one request a turn, before the
	 * close is seen; and whoever waits waits for no longer than a request may take.
	 */
	for (uint32_t i = 0; i < 8 || (i < TURNS_MAX && server_connections(server)); i++) {
		answer(i % 4, &outage);
		turn();
	}
	if (options & OPTION_STOP)
		await_stop();
	REQUIRE(server_connections(server) == 0);
	REQUIRE(list_empty(&fake.waiters));
	list_for_each (node, &fake.agent.workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		REQUIRE(list_empty(&workspace->vault.waiters));
		REQUIRE(list_empty(&workspace->peerbook->waiters));
		REQUIRE(list_empty(&fake.join_waiters));
		REQUIRE(list_empty(&workspace->reporter.shares));
	}
	REQUIRE(stopped == !!(options & OPTION_STOP));
	stopped = false;
	server_free(server);
	fake_fini();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct ears ears = { .headers = false };
	unsigned options;
	int fd;

	if (len < 2)
		return 0;

	options = bytes[0];
	json_scan_init(&ears.scan, JSON_DEPTH_MAX, JSON_VALUES_MAX);
	begin(options);
	fd = dial(options);
	speak(fd, (const char *)bytes + 1, len - 1, &ears, options);
	finish(fd, &ears, options);
	end(options);
	return 0;
}
