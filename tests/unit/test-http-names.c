/* SPDX-License-Identifier: MIT */
/*
 * Names: unknown ones, slow servers for them, and what that does to the loop.
 */
#include "io/http.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <string.h>

#include "lib/test.h"
#include "loopback.h"

/* Name resolution as the tests need it: libcurl finds this one before libc's. */
static sem_t released;
static unsigned n_resolving;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
						       const struct addrinfo *hints,
						       struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (strcmp(node, "slow.test") == 0) {
		__atomic_add_fetch(&n_resolving, 1, __ATOMIC_SEQ_CST);
		(void)sem_wait(&released);
		return EAI_AGAIN;
	}
	if (strcmp(node, "unknown.test") == 0)
		return EAI_NONAME;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(strcmp(node, "known.test") == 0 ? "127.0.0.1" : node, service, hints, ret);
}

TEST(an_unknown_name_is_unresolved)
{
	struct probe probe = { 0 };
	struct http_spec spec = { .method = "GET", .url = "https://unknown.test/" };

	set_up();
	spec.timeout_ms = 20000;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_UNRESOLVED);
	CHECK(!probe.result.sent);
	tear_down();
}

static unsigned count_resolving(void)
{
	return __atomic_load_n(&n_resolving, __ATOMIC_SEQ_CST);
}

TEST(a_slow_name_server_does_not_stop_the_loop)
{
	struct probe slow = { 0 }, quick = { 0 };
	struct http_spec spec = { .method = "GET", .url = "https://slow.test/" }, quick_spec;

	(void)alarm(60); /* or a failure would last for ever */
	CHECK_INT(sem_init(&released, 0, 0), 0);
	set_up();
	SERVER(server, { OK_REPLY });

	/* Others go on, and stopping does not wait. */
	spec.timeout_ms = 50000;
	probe_start(&slow, &spec);
	while (count_resolving() < 1)
		turn();
	n_waiting = 0;
	http_request_stop(&slow.request);
	probe_start(&slow, &spec);
	quick_spec = spec_for(&server);
	probe_start(&quick, &quick_spec);
	while (!quick.n_calls)
		turn();
	CHECK_INT(quick.result.status, 200);
	http_request_stop(&slow.request);
	n_waiting = 0;

	/* Nor does a deadline, nor the end of it all. */
	for (spec.timeout_ms = 50; count_resolving() < 3; spec.timeout_ms *= 2) {
		probe_start(&slow, &spec);
		finish();
		CHECK_INT(slow.result.outcome, HTTP_TIMED_OUT);
		CHECK(!slow.result.sent);
	}
	server_close(&server);
	tear_down();
	for (int i = 0; i < 20; i++)
		CHECK_INT(sem_post(&released), 0);
}

TEST(two_time_outs_in_one_turn_end_a_request_once)
{
	struct probe probe = { 0 };
	struct http_spec spec = { .method = "GET", .url = "https://slow.test/" };
	int64_t began_ms;

	(void)alarm(20);
	CHECK_INT(sem_init(&released, 0, 0), 0);
	set_up();
	spec.connect_timeout_ms = 10;
	spec.timeout_ms = 12;
	began_ms = loop_now_ms(&loop);
	probe_start(&probe, &spec);
	turn();
	while (loop_now_ms(&loop) < began_ms + 40)
		;
	finish();
	CHECK_INT(probe.n_calls, 1);
	CHECK_INT(probe.result.outcome, HTTP_TIMED_OUT);
	tear_down();
	CHECK_INT(sem_post(&released), 0);
}
