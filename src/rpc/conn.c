/* SPDX-License-Identifier: MIT */
/*
 * Connections. A request that comes alone is served in the callback that read
 * it, and its answer is sent there: one recv() and one send(). Further ones wait
 * for a later turn, and their answers are sent together.
 */

#include "rpc/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "rpc/call.h"
#include "rpc/events.h"
#include "rpc/share.h"

static struct conn *conn_of_stream(struct stream *stream)
{
	return container_of(stream, struct conn, stream);
}

void conn_close(struct conn *conn)
{
	if (conn->caller.leaving)
		return;

	conn->caller.leaving = true;
	stream_read(&conn->stream, false);
	list_remove(&conn->partial);
	loop_work_cancel(&conn->more);
	loop_work_cancel(&conn->stream.flush);
	loop_defer(conn->stream.loop, &conn->end);
}

static bool has_more(const struct conn *conn)
{
	return conn->batch || !conn->hungry;
}

/* Whether the client has to take or get answers before it is served again. */
static bool is_stuffed(const struct conn *conn)
{
	return conn->caller.n_in_flight >= conn->caller.hub->settings.max_calls_in_flight ||
	       outlet_waiting(&conn->caller.outlet) >= OUTLET_HIGH;
}

static bool is_finished(const struct conn *conn)
{
	return conn->ended && !has_more(conn) && list_empty(&conn->caller.calls) &&
	       list_empty(&conn->caller.batches) && !outlet_waiting(&conn->caller.outlet);
}

/* While there are more answers to come soon, those before them wait for company. */
static void send_answers(struct conn *conn)
{
	struct outlet *outlet = &conn->caller.outlet;

	if (!outlet_waiting(outlet))
		return;
	if (has_more(conn) && outlet->n_held < OUTLET_HOLD &&
	    outlet_waiting(outlet) < OUTLET_HIGH / 2)
		return;

	outlet->n_held = 0;
	/* A full socket is being waited for. */
	if (ev_is_active(&conn->stream.writable))
		return;

	if (stream_write_now(&conn->stream) < 0)
		conn_close(conn);
}

/* Decides, from how things are now, what happens next. */
static void settle(struct conn *conn)
{
	bool stopping = conn->caller.hub->stopping;
	bool stuffed, reading;

	if (!conn->caller.leaving)
		send_answers(conn);
	if (conn->caller.leaving)
		return;

	if (is_finished(conn)) {
		conn_close(conn);
		return;
	}

	stuffed = is_stuffed(conn);
	if (has_more(conn) && !stuffed)
		loop_defer(conn->stream.loop, &conn->more);

	/* While the daemon stops, reading is only how a client that goes is noticed. */
	reading = stopping || (!conn->ended && !stuffed &&
			       (!has_more(conn) || buffer_len(&conn->stream.in) < CONN_IN_HIGH));
	if (reading != conn->stream.reading)
		stream_read(&conn->stream, reading);
}

static void complain(struct conn *conn, enum error_kind kind, const char *why)
{
	struct error err;

	(void)error_set(&err, kind, EBADMSG, "%s", why);
	call_complain(&conn->caller, &conn->caller.outlet.sink, &err);
}

static void receive(struct conn *conn, struct json_text text)
{
	if (json_text_kind(text) == JSON_ARRAY)
		conn->batch = batch_new(&conn->caller, text);
	else
		call_serve(&conn->caller, &conn->caller.outlet.sink, text);
}

/* There is no whole message left. */
static void go_hungry(struct conn *conn)
{
	conn->hungry = true;
	if (framer_is_mid_message(&conn->framer, &conn->stream.in) && list_empty(&conn->partial))
		conn->events->on_partial(conn);
}

/* The newline behind a message is no reason to come back for more. */
static void skip_newlines(struct conn *conn)
{
	struct buffer *in = &conn->stream.in;
	size_t len = buffer_len(in), n = 0;

	if (conn->caller.outlet.headers)
		return;

	while (n < len && (buffer_at(in)[n] == '\n' || buffer_at(in)[n] == '\r'))
		n++;
	buffer_consume(in, n);
}

static void serve_frame(struct conn *conn)
{
	struct buffer *in = &conn->stream.in;
	enum frame_kind kind;
	struct frame frame;

	kind = framer_next(&conn->framer, in, &frame);
	conn->caller.outlet.headers = framer_wants_headers(&conn->framer);
	if (kind != FRAME_NONE)
		list_remove(&conn->partial);

	switch (kind) {
	case FRAME_NONE:
		go_hungry(conn);
		return;
	case FRAME_MESSAGE:
		receive(conn, frame.text);
		break;
	case FRAME_INVALID_REQUEST:
		complain(conn, ERROR_INVALID_REQUEST, frame.why);
		break;
	case FRAME_TOO_LARGE:
		complain(conn, ERROR_TOO_LARGE, frame.why);
		break;
	case FRAME_BAD_HEADER:
		conn->ended = true;
		complain(conn, ERROR_PARSE, frame.why);
		break;
	case FRAME_PARSE_ERROR:
		complain(conn, ERROR_PARSE, frame.why);
		break;
	}

	conn->caller.hub->stats.bytes_in += frame.used;
	framer_done(&conn->framer, in, &frame);
	if (kind == FRAME_MESSAGE)
		skip_newlines(conn);
	if (!buffer_len(in))
		go_hungry(conn);
}

static void serve(struct conn *conn)
{
	conn->served_turn = conn->stream.loop->n_turns;
	if (!conn->batch)
		serve_frame(conn);
	else if (!batch_serve(conn->batch))
		conn->batch = NULL;
	settle(conn);
}

static void on_more(struct loop_work *work)
{
	struct conn *conn = container_of(work, struct conn, more);

	if (has_more(conn) && !is_stuffed(conn) && conn->served_turn != conn->stream.loop->n_turns)
		serve(conn);
	else
		settle(conn);
}

static void on_input(struct stream *stream)
{
	struct conn *conn = conn_of_stream(stream);

	if (conn->caller.hub->stopping) {
		buffer_reset(&stream->in);
		return;
	}

	conn->hungry = false;
	if (!list_empty(&conn->more.node))
		return;

	if (is_stuffed(conn))
		settle(conn);
	else
		serve(conn);
}

static void on_drained(struct stream *stream)
{
	struct conn *conn = conn_of_stream(stream);

	conn->caller.outlet.n_held = 0;
	settle(conn);
}

static void on_end(struct stream *stream)
{
	struct conn *conn = conn_of_stream(stream);

	conn->ended = true;
	settle(conn);
}

static void on_broken(struct stream *stream)
{
	conn_close(conn_of_stream(stream));
}

static const struct stream_events stream_events = {
	.on_input = on_input,
	.on_drained = on_drained,
	.on_end = on_end,
	.on_broken = on_broken,
};

static struct conn *conn_of_sink(struct sink *sink)
{
	struct outlet *outlet = container_of(sink, struct outlet, sink);

	return conn_of(container_of(outlet, struct caller, outlet));
}

static void on_sink_answer(struct sink *sink, size_t start)
{
	outlet_end(container_of(sink, struct outlet, sink), start);
}

static void on_sink_overflow(struct sink *sink)
{
	struct conn *conn = conn_of_sink(sink);

	if (conn->caller.leaving)
		return;

	conn->caller.hub->stats.n_output_overflows++;
	log_notice("closed a connection of uid %u (pid %d): it does not read its answers",
		   conn->caller.uid, conn->caller.pid);
	conn_close(conn);
}

/* One that waited is answered: with others of this turn, and only then is seen what follows. */
static void on_caller_answer(struct caller *caller)
{
	struct conn *conn = conn_of(caller);

	if (caller->leaving)
		return;

	stream_flush(&conn->stream);
	loop_defer_in_turn(conn->stream.loop, &conn->more);
}

static void on_end_of_turn(struct loop_work *work)
{
	conn_free(container_of(work, struct conn, end));
}

static void caller_init(struct caller *caller, struct hub *hub, const struct peercred *peer,
			struct account *account)
{
	caller->hub = hub;
	caller->account = account;
	caller->classes = policy_classes(&hub->policy, peer);
	caller->uid = peer->uid;
	caller->gid = peer->gid;
	caller->pid = peer->pid;
	caller->on_answer = on_caller_answer;
	list_init(&caller->calls);
	list_init(&caller->batches);
	list_init(&caller->subscriptions);
	list_init(&caller->shares);
	list_init(&caller->node);
	list_append(&hub->callers, &caller->node);
}

int conn_new(struct hub *hub, int fd, const struct peercred *peer, struct account *account,
	     const struct conn_events *events, void *owner, struct conn **ret)
{
	const struct rpc_settings *settings = &hub->settings;
	struct conn *conn;

	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;

	conn->events = events;
	conn->owner = owner;
	conn->hungry = true;
	conn->served_turn = UINT64_MAX;
	list_init(&conn->partial);
	loop_work_init(&conn->more, on_more);
	loop_work_init(&conn->end, on_end_of_turn);
	framer_init(&conn->framer, settings->max_request_bytes);
	stream_init(&conn->stream, hub->host.loop, fd, settings->max_request_bytes + CONN_IN_SLACK,
		    settings->max_output_bytes + OUTLET_SLACK, &stream_events);
	outlet_init(&conn->caller.outlet, &conn->stream, settings->max_output_bytes,
		    &hub->stats.bytes_out);
	conn->caller.outlet.sink.on_answer = on_sink_answer;
	conn->caller.outlet.sink.on_overflow = on_sink_overflow;
	caller_init(&conn->caller, hub, peer, account);
	stream_read(&conn->stream, true);
	*ret = conn;
	return 0;
}

void conn_free(struct conn *conn)
{
	struct caller *caller;

	if (!conn)
		return;

	caller = &conn->caller;
	caller->leaving = true;
	call_end_all(caller, NULL);
	events_end_all(caller);
	while (!list_empty(&caller->batches))
		batch_free(list_entry(caller->batches.next, struct batch, node));
	/* What it reported is taken back, which others may hear of. */
	shares_end_all(caller);

	list_remove(&caller->node);
	list_remove(&conn->partial);
	loop_work_cancel(&conn->more);
	loop_work_cancel(&conn->end);
	conn->events->on_close(conn);
	stream_fini(&conn->stream);
	free(conn);
}

void conn_close_with(struct conn *conn, const struct error *err)
{
	if (conn->caller.leaving)
		return;

	call_complain(&conn->caller, &conn->caller.outlet.sink, err);
	if (!conn->caller.leaving)
		(void)stream_write_now(&conn->stream);
	conn_close(conn);
}

bool conn_is_speaking(const struct conn *conn)
{
	return !conn->caller.leaving && !conn->ended &&
	       (conn->served_turn == UINT64_MAX || stream_has_unread(&conn->stream));
}

void conn_stop(struct conn *conn)
{
	if (conn->caller.leaving)
		return;

	conn->ended = true;
	conn->hungry = true;
	list_remove(&conn->partial);
	settle(conn);
}

void conn_cancel(struct conn *conn, const struct error *err)
{
	if (conn->caller.leaving)
		return;

	call_end_all(&conn->caller, err);
	if (!conn->caller.leaving)
		(void)stream_write_now(&conn->stream);
	conn_close(conn);
}
