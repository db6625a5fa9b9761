/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whom a workspace may talk to, as the platform listed them, and where each
 * can be called. The list is kept as serialised JSON too, since it is asked
 * for far more often than it changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/membership.h"
#include "agent/waiter.h"
#include "base/buffer.h"
#include "base/parse.h"
#include "platform/platform.h"

#define PEERBOOK_ANSWER_MAX (8u << 20) /* bytes of the platform's list */
#define PEERBOOK_PEERS_MAX 20000

struct peerbook;

struct peerbook_events {
	void (*on_changed)(void *data);
	/* The platform refuses us in a way that says more about us than about peers. */
	void (*on_doubt)(void *data);
};

struct peer {
	char id[UUID_LEN + 1];
	char *name;               /* never NULL */
	char *role;               /* or NULL */
	char *url;                /* as registered, unchecked; or NULL */
	char *direct_url;         /* what discovery said and our rules allow; or NULL */
	int64_t direct_until_ms;  /* monotonic; 0: not discovered */
	size_t json_at, json_len; /* its object in the book's json */
};

struct peerbook {
	const struct membership *member;      /* borrowed */
	const struct peerbook_events *events; /* borrowed */
	void *data;
	struct peer *peers; /* in the platform's order */
	size_t n_peers;
	struct buffer json; /* [{...},...] with the members that the local API promises */
	bool fetched;
	int64_t fetched_at_ms; /* monotonic */
	int64_t fetched_wall_ms;
	struct platform_call call;
	struct loop_work fetch_soon;
	struct list waiters;
	struct list discoveries;  /* in flight */
	struct error *last_error; /* owned; NULL: none */
	uint64_t n_fetches, n_failures;
};

int peerbook_new(const struct membership *member, const struct peerbook_events *events, void *data,
		 struct peerbook **ret, struct error *err);
void peerbook_free(struct peerbook *book); /* takes NULL */
void peerbook_stop(struct peerbook *book); /* waiters get unavailable */

/* Whether the list is younger than url_cache_ttl. */
bool peerbook_is_fresh(const struct peerbook *book);

/* Joins the request in flight, or begins one. */
void peerbook_fetch(struct peerbook *book, struct waiter *waiter);

/*
 * By id, or by name when exactly one peer has it. NULL with ERROR_NOT_FOUND or
 * ERROR_CONFLICT.
 */
struct peer *peerbook_find(struct peerbook *book, const char *id_or_name, struct error *err);

/* Appends the objects of the peers whose name, role or id holds query, as an array. */
int peerbook_write(const struct peerbook *book, const char *query, struct buffer *out);

/* Whether discovery's answer (a direct URL, or none) is younger than url_cache_ttl. */
bool peer_is_discovered(const struct peerbook *book, const struct peer *peer);
/* Asks the platform where the peer can be called; joins one who asks already. */
int peerbook_discover(struct peerbook *book, struct peer *peer, struct waiter *waiter,
		      struct error *err);
/* Drops what discovery said; whether there was something. */
bool peerbook_invalidate(struct peerbook *book, struct peer *peer);
