/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A workspace over HTTP that the test answers: a real loop that the test turns
 * by hand, a state directory of its own, and a memory of all that the agent
 * told its owner. Timers are long, and end when the test says so.
 */

#include "agent/agent.h"
#include "base/buffer.h"
#include "lib/fake-http.h"
#include "lib/test.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define OTHER_ID "7c9e6679-7425-40de-944b-e07fc1f90ae7"
#define TOKEN_FILE_NAME "state/tokens/" ID "@platform.test"
#define UNPROVEN_FILE_NAME TOKEN_FILE_NAME ".unproven"

#define GET_STATE "GET", "/workspaces/" ID "/state"
#define GET_OBJECT "GET", "/workspaces/" ID
#define GET_SECRETS "GET", "/workspaces/" ID "/secrets/values"
#define GET_PEERS "GET", "/registry/" ID "/peers"
#define GET_TOKENS "GET", "/workspaces/" ID "/tokens?limit=200"
#define POST_TOKENS "POST", "/workspaces/" ID "/tokens"
#define POST_BEAT "POST", "/registry/heartbeat"
#define POST_REGISTER "POST", "/registry/register"
#define POST_CARD "POST", "/registry/update-card"
#define GET_PROBE "GET", "since_id=00000000-0000-4000-8000-000000000000"

#define STATE(status) "{\"workspace_id\":\"" ID "\",\"status\":\"" status "\",\"deleted\":false}"
#define OBJECT(status) "{\"id\":\"" ID "\",\"status\":\"" status "\"}"
#define INVALID_TOKEN "{\"error\":\"invalid workspace auth token\"}"
#define MISSING_TOKEN "{\"error\":\"missing workspace auth token\"}"

struct fixture {
	struct loop loop;
	struct http *http;
	int dirfd;
	struct store *store; /* NULL before fixture_open_store() */
	struct agent *agent;
	struct workspace_settings settings; /* of the workspace: change them before it begins */
	struct workspace *workspace;        /* borrowed; NULL before it begins */

	/* What the agent told. */
	unsigned n_states, n_secrets, n_peers, n_delegations, n_warnings_raised, n_warnings_gone;
	char path[512];    /* "joining online paused": the states one after the other */
	char changed[256]; /* the last on_secrets */
	char told[512];    /* "pending delegated": the statuses of delegations */
	int exit_status;   /* the last on_exit; 0: none */
	struct error save_error;
};

/* What one waiter was told. */
struct wish {
	struct waiter waiter;
	int called;
	struct error err;
};

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);
/* For those who need a journal; before the workspace begins. */
void fixture_open_store(struct fixture *fixture);
/* All that is not on disk is gone, and so is the workspace. */
void fixture_restart(struct fixture *fixture);
/* As fixture_settle(), until nothing is under way to or from the journal either. */
void fixture_settle_store(struct fixture *fixture);
void fixture_set(struct fixture *fixture, const char *key, const char *text);
void fixture_put_token(struct fixture *fixture, const char *token); /* on disk */
/* Makes the workspace, and turns the loop. */
void fixture_begin(struct fixture *fixture);
/* The same with a token, up to online, with nothing in flight and no secrets. */
void fixture_begin_online(struct fixture *fixture);

/* Turns the loop until nothing is deferred and no timer is due at once. */
void fixture_settle(struct fixture *fixture);
/* What must be in flight after that; ends the test when it is not. */
struct fake_request *fixture_expect(struct fixture *fixture, const char *method, const char *end);
/* Answers it, and settles. */
void fixture_answer(struct fixture *fixture, const char *method, const char *end, int status,
		    const char *body);
void fixture_fail(struct fixture *fixture, const char *method, const char *end);
/* Nothing is in flight. */
void fixture_expect_quiet(struct fixture *fixture);
/* Answers what secrets, probes and lists of peers are in flight, as a platform without any. */
void fixture_answer_rest(struct fixture *fixture);

/* What is on the agenda is due now; settles. */
void fixture_expire(struct fixture *fixture, enum agenda_item item);

void wish_init(struct wish *wish);

bool file_exists(const char *path);
/* The first line; of the last file that was asked for. */
const char *file_line(const char *path);
