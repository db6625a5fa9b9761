/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An agent without a platform, for tests of the layer above it: workspaces are
 * what the test says they are, and what they wait for comes when it says so.
 */

#include <stddef.h>

#include "agent/agent.h"
#include "agent/courier.h"

struct fake {
	struct agent agent;
	enum error_kind refuses; /* what workspace_may_call() answers */
	int64_t age_ms;          /* how old the secrets are */
	bool old_peers;          /* the list is older than url_cache_ttl */
	bool too_stale;          /* the secrets are older than secrets_max_stale */
	struct list join_waiters;
	unsigned n_fetches, n_peer_fetches, n_discoveries, n_cards, n_rotations;
	struct list waiters; /* for all but secrets, peers and joining */
	char token[64];      /* what was joined or set with */
	bool forgotten;
	bool has_journal, full; /* full: no delegation is taken */
	char wiped[WORKSPACE_KEY_SIZE];
	char ordered[256];            /* what an outbox was asked last */
	struct delegation *open;      /* the only one that has not ended; borrowed */
	struct courier courier;       /* the latest call to a peer; its message is the caller's */
	enum error_kind refuses_call; /* what courier_new() answers */
	unsigned n_calls;
	struct shelf shelf;           /* of the first workspace whose plugins are asked for */
	struct shelf_outcome outcome; /* of what is waited for */
	char asked[256];              /* of the shelf: "install NAME SOURCE DIGEST setup report" */
};

extern struct fake fake;

void fake_shelf_init(void);
void fake_shelf_fini(void);

void fake_init(struct loop *loop, const struct agent_events *events, void *data);
void fake_fini(void);

/* An online workspace; bundle is what vault->bundle is to be, or NULL: nothing fetched yet. */
struct workspace *fake_add(const char *name, const char *id, const char *bundle);
void fake_set_bundle(struct workspace *workspace, const char *bundle);
void fake_set_state(struct workspace *workspace, enum lifecycle_state state);
/* All that wait are told these delegations; borrowed. */
void fake_tell(struct delegation *rows, size_t n, bool duplicate);
/* Ends all calls to peers with what the peer has answered. */
void fake_answer_call(enum a2a_route route, const struct a2a_answer *answer);
/* peers is the book's JSON; their names and ids are read from it. */
void fake_set_peers(struct workspace *workspace, const char *peers);
