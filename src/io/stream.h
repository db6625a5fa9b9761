/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connected socket with an input and an output buffer, both capped.
 *
 * It reads only while it is told to, so that back-pressure reaches the client,
 * and writes whatever is in `out` when it can. File descriptors that a peer
 * passes along are closed. Callbacks may free the stream.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "io/loop.h"

struct stream;

struct stream_events {
	void (*on_input)(struct stream *stream);   /* bytes were added to in */
	void (*on_drained)(struct stream *stream); /* something left out: its length sank */
	void (*on_end)(struct stream *stream);     /* the peer sends no more; it may still read */
	void (*on_broken)(struct stream *stream);  /* the peer is gone */
};

struct stream {
	struct loop *loop; /* borrowed */
	int fd;            /* owned; -1: closed */
	struct ev_io readable, writable;
	struct buffer in, out;
	const struct stream_events *events; /* borrowed */
	bool reading, ended;
	struct loop_work flush; /* writes at the end of the turn: one send for many answers */
};

/* Takes the fd, which must be non-blocking. Does not read before stream_read(). */
void stream_init(struct stream *stream, struct loop *loop, int fd, size_t max_in, size_t max_out,
		 const struct stream_events *events);
void stream_fini(struct stream *stream);

void stream_read(struct stream *stream, bool on);

/* To be called after appending to out; tries to write at the end of this turn. */
void stream_flush(struct stream *stream);
/* Tries to write right now: 0, or -errno when the peer is gone. */
int stream_write_now(struct stream *stream);
