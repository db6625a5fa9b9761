/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whom a workspace may talk to, as the platform listed them, and where each
 * can be called. The answer is kept as serialised JSON too, since it is asked
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

struct contact;
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
	struct contact *contact;  /* owned; NULL: nothing to remember of calls to it */
	bool url_usable;          /* url may be called directly, as far as can be seen from it */
	bool dropped;             /* what the list says of its URL is not to be used */
	uint8_t view;             /* what the book's json says that we make of it */
	size_t json_at, json_len; /* what the platform says of it, in the book's json */
};

struct peerbook {
	const struct membership *member;      /* borrowed */
	const struct peerbook_events *events; /* borrowed */
	void *data;
	struct peer *peers; /* in the platform's order */
	size_t n_peers;
	struct buffer
		json; /* of all peers: the list as it was answered last, or what it is made of */
	bool json_is_list;
	bool fetched;
	int64_t fetched_at_ms; /* monotonic */
	int64_t fetched_wall_ms;
	struct platform_call call;
	struct loop_work fetch_soon;
	struct list waiters;
	struct list discoveries;  /* in flight */
	struct list farewells;    /* who must hear of it when all traffic ends */
	struct error *last_error; /* owned; NULL: none */
};

int peerbook_new(const struct membership *member, const struct peerbook_events *events, void *data,
		 struct peerbook **ret, struct error *err);
void peerbook_free(struct peerbook *book); /* takes NULL */
/* Waiters get unavailable, or why it is not available. */
void peerbook_stop(struct peerbook *book);

/* Whether the list is younger than url_cache_ttl. */
bool peerbook_is_fresh(const struct peerbook *book);

/* Joins the request in flight, or begins one. */
void peerbook_fetch(struct peerbook *book, struct waiter *waiter);

/*
 * By id, or by name when exactly one peer has it. NULL with ERROR_NOT_FOUND or
 * ERROR_CONFLICT.
 */
struct peer *peerbook_find(struct peerbook *book, const char *id_or_name, struct error *err);

/* By id alone. NULL: it is not on the list. */
struct peer *peerbook_find_id(const struct peerbook *book, const char *id);

/*
 * Appends the objects of the peers whose name, role or id holds query, as an array;
 * NULL: of all.
 */
int peerbook_write(struct peerbook *book, const char *query, struct buffer *out);

/* Whether discovery's answer (a direct URL, or none) is younger than url_cache_ttl. */
bool peer_is_discovered(const struct peerbook *book, const struct peer *peer);
/* Asks the platform where the peer can be called; joins one who asks already. */
int peerbook_discover(struct peerbook *book, struct peer *peer, struct waiter *waiter,
		      struct error *err);

/* Whether it is known where the peer can be called: from discovery, or from a list not too old. */
bool peerbook_knows_url(const struct peerbook *book, const struct peer *peer);
/* Where it can be called directly; NULL: nowhere, or it is not known. */
const char *peerbook_direct_url(const struct peerbook *book, const struct peer *peer);
/* Whether a call would go there now: it may have failed, and be avoided for a while. */
bool peerbook_calls_direct(const struct peerbook *book, const struct peer *peer);
/* What calls to it have taught; NULL without memory. */
struct contact *peerbook_contact(struct peerbook *book, struct peer *peer, struct list *contacts);
/* A direct call to it failed: for url_cache_ttl it is not called directly. */
void peerbook_avoid(struct peerbook *book, struct peer *peer);

/* Other addresses may be called now than before. */
void peerbook_judge_anew(struct peerbook *book);

/* Drops what is known of where it is and of calls to it; whether there was something. */
bool peerbook_invalidate(struct peerbook *book, struct peer *peer);
