/* SPDX-License-Identifier: MIT */
/*
 * Between curl, which hands out bytes when it likes, and a callback that takes
 * them when it can.
 */

#include "io/http-stream.h"

#include <errno.h>

#include "io/http-transfer.h"

/* Fewer bytes than this, in so long, when nobody but the sender was waited for. */
#define PACE_MIN 32768
#define PACE_MS 30000

static void http_stream_on_flow(struct loop_work *work)
{
	struct http_transfer *transfer = container_of(work, struct http_transfer, stream.flow);
	struct http_stream *stream = &transfer->stream;
	struct buffer *body = &transfer->body;
	struct http_result head;
	int r;

	if (buffer_len(body)) {
		http_transfer_head(transfer, &head);
		r = stream->on_body(transfer->request, &head, buffer_at(body), buffer_len(body));
		/* Careful: the transfer is gone then. */
		if (r == -ECANCELED)
			return;

		if (r < 0) {
			stream->stalled = stream->waited = true;
			return;
		}
		buffer_consume(body, buffer_len(body));
		http_transfer_return_room(transfer);
	}
	stream->on_flowed(transfer);
}

/* The deadline ends it, which has come early. */
static void http_stream_on_pace(struct timer *timer)
{
	struct http_transfer *transfer = container_of(timer, struct http_transfer, stream.pace);
	struct http_stream *stream = &transfer->stream;

	if (!stream->waited && !stream->ended &&
	    stream->received - stream->received_by_then < PACE_MIN) {
		http_transfer_judge(transfer, HTTP_TIMED_OUT, "the body comes too slowly");
		timer_start(&transfer->deadline, 0);
		return;
	}

	stream->waited = stream->stalled;
	stream->received_by_then = stream->received;
	timer_start(timer, stream->pace_ms);
}

void http_stream_init(struct http_stream *stream)
{
	*stream = (struct http_stream){ 0 };
	loop_work_init(&stream->flow, http_stream_on_flow);
}

void http_stream_fini(struct http_stream *stream)
{
	timer_stop(&stream->pace);
	loop_work_cancel(&stream->flow);
}

void http_stream_prepare(struct http_transfer *transfer, const struct http_spec *spec)
{
	transfer->stream.on_body = spec->on_body;
	transfer->stream.max = spec->max_body;
	transfer->stream.pace_ms = spec->pace_ms ? spec->pace_ms : PACE_MS;
}

size_t http_stream_receive(struct http_transfer *transfer, const char *bytes, size_t len)
{
	struct http_stream *stream = &transfer->stream;
	struct loop *loop = transfer->deadline.loop;

	if (len > HTTP_STREAM_WINDOW - buffer_len(&transfer->body)) {
		stream->held_up = true;
		return CURL_WRITEFUNC_PAUSE;
	}

	if (len > stream->max - stream->received)
		http_transfer_judge(transfer, HTTP_TOO_LARGE, "reply is too large");
	else if (!transfer->is_framed)
		http_transfer_judge(transfer, HTTP_BROKEN, "reply does not say where it ends");
	else if (http_transfer_take_room(transfer, len) &&
		 buffer_append(&transfer->body, bytes, len) < 0)
		http_transfer_judge(transfer, HTTP_BROKEN, "no memory for the reply");
	if (transfer->verdict_why)
		return CURL_WRITEFUNC_ERROR;

	if (!stream->received) {
		timer_init(&stream->pace, loop, http_stream_on_pace);
		timer_start(&stream->pace, stream->pace_ms);
	}
	stream->received += len;
	if (!stream->stalled)
		loop_defer(loop, &stream->flow);
	return len;
}

void http_stream_resume(struct http_transfer *transfer)
{
	if (!transfer->stream.stalled)
		return;

	transfer->stream.stalled = false;
	loop_defer(transfer->deadline.loop, &transfer->stream.flow);
}

bool http_stream_holds(const struct http_transfer *transfer)
{
	return transfer->stream.on_body && transfer->stream.received &&
	       buffer_len(&transfer->body) > 0;
}
