/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One client's connection: finds requests in what it sends, and serves one of
 * them a turn of the loop, so that whoever sends many at once delays nobody
 * else. It stops reading while too much is unanswered or unread; it drops
 * nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/framer.h"
#include "io/peercred.h"
#include "io/stream.h"
#include "rpc/batch.h"
#include "rpc/caller.h"
#include "rpc/hub.h"

#define CONN_IN_SLACK 16384 /* one read beyond a message's limit */
#define CONN_IN_HIGH 8192   /* requests that wait to be served: past it nothing is read */

struct conn;

struct conn_events {
	/* A message has begun and not ended: conn->partial may be put into a list. */
	void (*on_partial)(struct conn *conn);
	/* It is about to be freed. */
	void (*on_close)(struct conn *conn);
};

struct conn {
	struct caller caller;
	struct stream stream;
	struct framer framer;
	const struct conn_events *events; /* borrowed */
	void *owner;                      /* borrowed; for the events */
	struct batch *batch;              /* whose entries are being served, or NULL */
	struct loop_work more;            /* serves the next request, or sees how things are */
	struct loop_work end;             /* frees it between turns */
	struct list partial;
	int64_t partial_since_ms;
	uint64_t served_turn; /* the turn that served one already */
	bool hungry;          /* there is no further message in what was read */
	bool ended;           /* the client sends no more, or we want no more */
};

/* Takes the fd, on success. The caller's rights are those of peer, now. */
int conn_new(struct hub *hub, int fd, const struct peercred *peer, struct account *account,
	     const struct conn_events *events, void *owner, struct conn **ret);
void conn_free(struct conn *conn);

/* Frees it after this turn; nothing more is sent. */
void conn_close(struct conn *conn);
/* Tells why first, as far as the socket takes it. */
void conn_close_with(struct conn *conn, const struct error *err);
/* Has sent what was not read yet, or has connected and not said anything. */
bool conn_is_speaking(const struct conn *conn);
/* No new requests; closes when all are answered and the answers are read. */
void conn_stop(struct conn *conn);
/* Ends all calls that wait with this error, and closes. */
void conn_cancel(struct conn *conn, const struct error *err);

static inline struct conn *conn_of(struct caller *caller)
{
	return container_of(caller, struct conn, caller);
}
