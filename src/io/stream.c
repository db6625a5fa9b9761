/* SPDX-License-Identifier: MIT */
/*
 * Buffered, capped, non-blocking connections.
 *
 * The watcher for writing runs only while the socket is full, and the one for
 * reading is left alone between calls: each start or stop of either may cost an
 * epoll_ctl(), and a call is to cost nothing but its recv() and its send().
 */

#include "io/stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_FIRST 1024 /* most requests fit; what an idle connection holds */
#define READ_MAX 16384  /* one peer's share of a turn */
#define KEEP_MAX 16384  /* a larger allocation is given back once it is empty */

/* After one large message a connection shall not stay large. */
static void stream_trim(struct buffer *buffer)
{
	if (!buffer_len(buffer) && buffer->capacity > KEEP_MAX && !buffer->failed)
		buffer_reset(buffer);
}

static void stream_stop(struct stream *stream)
{
	ev_io_stop(stream->loop->ev, &stream->readable);
	ev_io_stop(stream->loop->ev, &stream->writable);
	loop_work_cancel(&stream->flush);
	stream->reading = false;
}

/* The stream may be gone when this returns. */
static void stream_break(struct stream *stream)
{
	stream_stop(stream);
	stream->broken = true;
	stream->events->on_broken(stream);
}

/*
 * End of file is what both a peer that has only finished sending and one that
 * has closed look like. Only the latter hangs up.
 */
static bool stream_peer_has_hung_up(const struct stream *stream)
{
	struct pollfd pollfd = { .fd = stream->fd };

	return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR));
}

static void stream_end(struct stream *stream)
{
	stream->ended = true;
	if (stream_peer_has_hung_up(stream)) {
		stream_break(stream);
		return;
	}

	stream_read(stream, false);
	stream->events->on_end(stream);
}

/*
 * Reads once: what is left over makes the loop call again, after the others had
 * their turn. Returns as recv() does, or -errno.
 */
static ssize_t stream_receive(struct stream *stream)
{
	size_t want = MIN(stream->room, stream->in.limit - buffer_len(&stream->in));
	size_t room_len;
	ssize_t n;
	char *room;
	int r;

	stream_trim(&stream->in);
	r = buffer_reserve(&stream->in, want, &room, &room_len);
	if (r < 0)
		return r;

	want = MIN(room_len, stream->room);
	/* No control buffer: descriptors that were passed along are dropped by the kernel. */
	n = recv(stream->fd, room, want, MSG_DONTWAIT);
	if (n < 0)
		return -errno;

	buffer_commit(&stream->in, (size_t)n);
	if ((size_t)n == stream->room)
		stream->room = MIN(stream->room * 2, (size_t)READ_MAX);
	return n;
}

static void stream_on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct stream *stream = container_of(io, struct stream, readable);
	ssize_t n;

	if (buffer_len(&stream->in) >= stream->in.limit) {
		stream_read(stream, false);
		return;
	}

	n = stream_receive(stream);
	if (n == -EAGAIN || n == -EINTR)
		return;

	if (n < 0) {
		stream_break(stream);
		return;
	}

	if (n == 0) {
		stream_end(stream);
		return;
	}

	if (buffer_len(&stream->in) >= stream->in.limit)
		stream_read(stream, false);
	stream->events->on_input(stream);
	/* Careful: the stream may be gone. */
}

/* Returns how many bytes left, or -errno when the peer is gone. */
static ssize_t stream_send(struct stream *stream)
{
	ssize_t n = 0;

	if (stream->broken)
		return -EPIPE;

	if (buffer_len(&stream->out)) {
		n = send(stream->fd, buffer_at(&stream->out), buffer_len(&stream->out),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;

		n = MAX(n, (ssize_t)0);
		buffer_consume(&stream->out, (size_t)n);
	}

	if (buffer_len(&stream->out))
		ev_io_start(stream->loop->ev, &stream->writable);
	else
		ev_io_stop(stream->loop->ev, &stream->writable);
	stream_trim(&stream->out);
	stream_trim(&stream->in);
	return n;
}

static void stream_send_and_tell(struct stream *stream)
{
	ssize_t n;

	n = stream_send(stream);
	if (n < 0)
		stream_break(stream);
	else if (n > 0)
		stream->events->on_drained(stream);
	/* Careful: the stream may be gone. */
}

static void stream_on_writable(struct ev_loop *ev, struct ev_io *io, int events)
{
	stream_send_and_tell(container_of(io, struct stream, writable));
}

static void stream_on_flush(struct loop_work *work)
{
	stream_send_and_tell(container_of(work, struct stream, flush));
}

void stream_init(struct stream *stream, struct loop *loop, int fd, size_t max_in, size_t max_out,
		 const struct stream_events *events)
{
	*stream = (struct stream){
		.loop = loop,
		.fd = fd,
		.in = BUFFER_INIT(max_in),
		.out = BUFFER_INIT(max_out),
		.events = events,
		.room = READ_FIRST,
	};
	ev_io_init(&stream->readable, stream_on_readable, fd, EV_READ);
	ev_io_init(&stream->writable, stream_on_writable, fd, EV_WRITE);
	loop_work_init(&stream->flush, stream_on_flush);
}

void stream_fini(struct stream *stream)
{
	if (!stream || !stream->loop)
		return;

	stream_stop(stream);
	fd_close_auto(&stream->fd);
	stream->fd = -1;
	buffer_fini(&stream->in);
	buffer_fini(&stream->out);
	stream->loop = NULL;
}

void stream_read(struct stream *stream, bool on)
{
	stream->reading = on && !stream->ended && !stream->broken;
	if (stream->reading)
		ev_io_start(stream->loop->ev, &stream->readable);
	else
		ev_io_stop(stream->loop->ev, &stream->readable);
}

bool stream_has_unread(const struct stream *stream)
{
	int len = 0;

	return ioctl(stream->fd, FIONREAD, &len) == 0 && len > 0;
}

void stream_flush(struct stream *stream)
{
	/* A full socket is waited for: the watcher writes as soon as there is room. */
	if (!stream->broken && !ev_is_active(&stream->writable))
		loop_defer_in_turn(stream->loop, &stream->flush);
}

int stream_write_now(struct stream *stream)
{
	ssize_t n;

	loop_work_cancel(&stream->flush);
	n = stream_send(stream);
	if (n >= 0)
		return 0;

	stream_stop(stream);
	stream->broken = true;
	return (int)n;
}
