/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A workspace with a peer, and calls to it whose HTTP the test answers.
 */

#include "agent/contact.h"
#include "agent/courier.h"
#include "workspace-fixture.h"

#define PEER "11111111-1111-4111-8111-111111111111"
#define SHY "22222222-2222-4222-8222-222222222222"
#define STRANGER "33333333-3333-4333-8333-333333333333"
#define URL "http://192.0.32.10:9/in"
#define PEERS                                                            \
	"[{\"id\":\"" PEER "\",\"name\":\"alpha\",\"url\":\"" URL "\"}," \
	"{\"id\":\"" SHY "\",\"name\":\"shy\",\"url\":\"\"}]"
#define DIRECTLY "POST", "/in"
#define BY_PROXY "POST", "/workspaces/" PEER "/a2a"
#define DISCOVER "GET", "/registry/discover/" PEER

#define REPLY                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"kind\":\"message\",\"parts\":[" \
	"{\"kind\":\"text\",\"text\":\"hi\"}]}}"
#define TASK(state)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"kind\":\"task\",\"id\":\"t-1\"," \
	"\"status\":{\"state\":\"" state "\"},\"artifacts\":[{\"parts\":[{\"text\":\"hi\"}]}]}}"
#define RPC_ERROR(code) \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"error\":{\"code\":" code ",\"message\":\"no\"}}"

extern struct fixture fixture;

/* One call, and what came of it. */
struct ask {
	struct waiter waiter;
	struct courier *courier; /* NULL: it has ended */
	int called;
	struct error err;
	enum a2a_answer_kind kind;
	enum a2a_route route;
	char text[64];
};

/* For the waiter of an ask that the test begins itself. */
void on_end(struct waiter *waiter, const struct error *err);

/* A workspace that is online and has its list of peers. */
void begin(void);
/* Nothing is left of any call. */
void end(void);
void list_peers(void);
struct peer *the_peer(void);

/* "hello" as m-1, by any way. */
struct courier_spec spec_for(const char *to);
void begin_as(struct ask *ask, const struct courier_spec *spec);
void begin_call(struct ask *ask, enum courier_route route);

/* The client that calls go over. */
struct http *calls(void);
bool is_out(const char *method, const char *end);
/* What must be in flight; ends the test when it is not. */
struct fake_request *expect(const char *method, const char *end);
void answer(const char *method, const char *end, int status, const char *body);
void fail(const char *method, const char *end, enum http_outcome outcome, bool sent);
void expire(struct timer *timer);

void check_failed(const struct ask *ask, enum error_kind kind);
void check_answered(const struct ask *ask, enum a2a_route route);
