/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connected Unix socket with an input and an output buffer, both capped.
 *
 * It reads only while it is told to, so that back-pressure reaches the client,
 * and writes whatever is in `out` when it can. A call that is not pipelined
 * costs one recv() and one send(). File descriptors that a peer passes along
 * are closed by the kernel, since nobody asks it for them.
 *
 * A callback is the last thing that an event does: it may free the stream.
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
	void (*on_broken)(struct stream *stream);  /* the peer is gone: comes once, and last */
};

struct stream {
	struct loop *loop; /* borrowed */
	int fd;            /* owned; -1: closed */
	struct ev_io readable, writable;
	struct buffer in, out;
	const struct stream_events *events; /* borrowed */
	bool reading, ended, broken;
	size_t room;            /* how much to read at once: grows with what the peer sends */
	struct loop_work flush; /* writes at the end of the turn: one send for many answers */
};

/* Takes the fd, which must be non-blocking. Does not read before stream_read(). */
void stream_init(struct stream *stream, struct loop *loop, int fd, size_t max_in, size_t max_out,
		 const struct stream_events *events);
void stream_fini(struct stream *stream);

/* Reading stops by itself when in is full, and for good at on_end and on_broken. */
void stream_read(struct stream *stream, bool on);

/* Whether the peer has sent something that was not read yet. */
bool stream_has_unread(const struct stream *stream);

/* To be called after appending to out; tries to write at the end of this turn. */
void stream_flush(struct stream *stream);
/*
 * Tries to write right now: 0, or -errno when the peer is gone. No callback
 * comes from inside it; what the socket does not take is written later.
 */
int stream_write_now(struct stream *stream);
