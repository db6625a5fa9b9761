/* SPDX-License-Identifier: MIT */
/*
 * Requests: which are in flight, which are done, and whose callback comes when.
 *
 * A request that is done waits until the end of the turn: then neither curl nor
 * a watcher is on the stack, and its callback may do as it likes.
 *
 * curl begins with a request when that is started: on a kept connection it is
 * sent before http_request_start() returns, and its reply may be there.
 */

#include "io/http.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "io/http-multi.h"
#include "io/http-transfer.h"

/* Transfers kept for later requests: some 10 KiB each, and as many as one origin has at once. */
#define HTTP_SPARE HTTP_ORIGIN_CONNECTIONS

static const struct http_limits http_limits = {
	.origin_connections = HTTP_ORIGIN_CONNECTIONS,
	/*
	 * Each is a file descriptor, and while its name is looked up a thread. What
	 * is above waits, under its deadline.
	 */
	.connections = 512,
	/*
	 * Over all origins: the platform's few and some peers'. curl walks them all
	 * once a second, and each costs a server something.
	 */
	.kept = 32,
};

struct http {
	struct loop *loop; /* borrowed */
	struct http_limits limits;
	struct http_room room;
	struct http_multi *multi; /* owned; NULL: the next request makes one */
	struct list retired;      /* multis that end with their last transfer */
	struct loop_work sweep;   /* ... here */
	struct list waiting;      /* to connect */
	unsigned n_connecting;
	struct loop_work admit; /* the next of those */
	struct list in_flight;
	struct list done;
	struct loop_work deliver; /* calls back for those */
	struct list spare;
	unsigned n_spare;
	struct http_stats stats;
};

/* It has its connection, or needs none any more: another one may look for his. */
static void http_connected(struct http *http, struct http_transfer *transfer)
{
	if (!transfer->connecting)
		return;

	transfer->connecting = false;
	http->n_connecting--;
	if (transfer->party)
		transfer->party->n_connecting--;
	if (!list_empty(&http->waiting))
		loop_defer(http->loop, &http->admit);
}

static void http_on_connected(struct http_transfer *transfer)
{
	http_connected(transfer->request->http, transfer);
}

/* Back to rest: the request may be started again or freed. */
static struct http_transfer *http_request_detach(struct http_request *request)
{
	struct http_transfer *transfer = TAKE(request->transfer);

	http_connected(request->http, transfer);
	http_transfer_return_room(transfer);
	transfer->party = NULL;
	request->http->stats.in_flight--;
	request->http = NULL;
	list_remove(&transfer->node);
	return transfer;
}

/*
 * One that failed or was stopped is not used again: curl leaves some of those
 * half cleaned up, and refuses options that it takes of a new one.
 */
static void http_recycle(struct http *http, struct http_transfer *transfer)
{
	if (!transfer->succeeded || http->n_spare == HTTP_SPARE) {
		http_transfer_free(transfer);
		return;
	}

	http_transfer_rest(transfer);
	list_prepend(&http->spare, &transfer->node);
	http->n_spare++;
}

/* One whose options suit; else the one that has rested longest. */
static struct http_transfer *http_take_transfer(struct http *http, const struct http_spec *spec)
{
	struct http_transfer *transfer = NULL;

	list_for_each (node, &http->spare) {
		transfer = list_entry(node, struct http_transfer, node);
		if (http_transfer_suits(transfer, spec))
			break;
	}
	if (!transfer)
		return http_transfer_new();

	list_remove(&transfer->node);
	http->n_spare--;
	return transfer;
}

static void http_deliver_one(struct http *http, struct http_request *request)
{
	struct http_transfer *transfer = request->transfer;
	char why[CURL_ERROR_SIZE];
	struct http_result result;

	http_transfer_result(transfer, why, &result);
	result.elapsed_ms = loop_now_ms(http->loop) - transfer->began_ms;
	if (result.outcome == HTTP_ANSWERED)
		http->stats.answered++;
	else
		http->stats.failed++;

	(void)http_request_detach(request);
	request->on_done(request, &result);
	/* Careful: the request may be gone. */
	http_recycle(http, transfer);
}

static void http_deliver(struct loop_work *work)
{
	struct http *http = container_of(work, struct http, deliver);

	while (!list_empty(&http->done)) {
		struct list *first = http->done.next;

		http_deliver_one(http, container_of(first, struct http_transfer, node)->request);
	}
}

static void http_leave_multi(struct http_transfer *transfer)
{
	struct http *http = transfer->request->http;

	http_connected(http, transfer);
	/* A multi that was retired has waited for this. */
	if (transfer->multi && transfer->multi != http->multi && !transfer->multi->n_easy)
		loop_defer(http->loop, &http->sweep);
	transfer->multi = NULL;
}

/* The transfer is out of curl; what became of it is known, and stays. */
static void http_end(struct http *http, struct http_transfer *transfer)
{
	timer_stop(&transfer->deadline);
	http_stream_fini(&transfer->stream);
	http_leave_multi(transfer);

	list_remove(&transfer->node);
	list_append(&http->done, &transfer->node);
	loop_defer_in_turn(http->loop, &http->deliver);
}

/* curl has let go of it. */
static void http_finish(struct http_transfer *transfer, CURLcode code)
{
	transfer->code = code;
	transfer->succeeded = code == CURLE_OK;
	/* What waits to be taken is a part of the reply: the end comes after it. */
	if (code == CURLE_OK && http_stream_holds(transfer)) {
		transfer->stream.ended = true;
		http_leave_multi(transfer);
		return;
	}
	http_end(transfer->request->http, transfer);
}

/* All that had come of a body was taken: on with it. */
static void http_on_flowed(struct http_transfer *transfer)
{
	struct http_stream *stream = &transfer->stream;
	CURLcode code;

	if (stream->ended) {
		http_end(transfer->request->http, transfer);
		return;
	}

	if (!stream->held_up)
		return;

	/* Hands over what it has held back, which it may not like. */
	stream->held_up = false;
	code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	if (code != CURLE_OK) {
		http_multi_remove(transfer->multi, transfer->easy);
		http_finish(transfer, code);
	}
}

static void http_on_curl_done(CURL *easy, CURLcode code)
{
	struct http_transfer *transfer = NULL;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	http_finish(transfer, code);
}

static void http_on_deadline(struct timer *timer)
{
	struct http_transfer *transfer = container_of(timer, struct http_transfer, deadline);

	http_transfer_judge(transfer, HTTP_TIMED_OUT,
			    http_transfer_was_sent(transfer) ? "no whole reply in time"
							     : "not connected in time");
	if (transfer->multi)
		http_multi_remove(transfer->multi, transfer->easy);
	http_end(transfer->request->http, transfer);
}

static void http_sweep(struct loop_work *work)
{
	struct http *http = container_of(work, struct http, sweep);

	list_for_each_safe (node, &http->retired) {
		struct http_multi *multi = container_of(node, struct http_multi, node);

		if (!multi->n_easy)
			http_multi_free(multi);
	}
}

/* To curl, which connects it. */
static int http_dial(struct http *http, struct http_transfer *transfer, struct error *err)
{
	int r;

	if (!http->multi)
		http->multi = http_multi_new(http->loop, &http->limits, http_on_curl_done);
	if (!http->multi)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot set up a request: %m");

	r = http_multi_add(http->multi, transfer->easy);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot begin a request: %m");

	transfer->multi = http->multi;
	transfer->connecting = true;
	http->n_connecting++;
	if (transfer->party)
		transfer->party->n_connecting++;
	list_append(&http->in_flight, &transfer->node);
	return 0;
}

/* One that cannot be reached leaves as many to others as it has. */
static bool http_may_dial(const struct http *http, const struct http_party *party)
{
	unsigned n_left;

	if (!http->limits.connecting)
		return true;

	n_left = http->limits.connecting - MIN(http->n_connecting, http->limits.connecting);
	return n_left && (!party || party->n_connecting < n_left);
}

static void http_admit(struct loop_work *work)
{
	struct http *http = container_of(work, struct http, admit);

	list_for_each_safe (node, &http->waiting) {
		struct http_transfer *transfer = container_of(node, struct http_transfer, node);

		if (!http_may_dial(http, NULL))
			return;

		if (!http_may_dial(http, transfer->party))
			continue;

		list_remove(&transfer->node);
		if (http_dial(http, transfer, NULL) < 0) {
			http_transfer_judge(transfer, HTTP_REFUSED, "no memory for the request");
			http_end(http, transfer);
		}
	}
	if (http->multi)
		http_multi_go(http->multi);
}

static int check_curl(struct error *err)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (info->version_num < 0x075800)
		return error_set(err, ERROR_INTERNAL, ENOTSUP,
				 "libcurl %s is too old: 7.88.0 is needed", info->version);

	if (!(info->features & CURL_VERSION_SSL))
		return error_set(err, ERROR_INTERNAL, ENOTSUP, "this libcurl has no TLS");

	if (!(info->features & CURL_VERSION_ASYNCHDNS))
		return error_set(err, ERROR_INTERNAL, ENOTSUP,
				 "this libcurl looks up names while all else waits: one with "
				 "AsynchDNS is needed");

	return 0;
}

int http_new(struct loop *loop, struct http **ret, struct error *err)
{
	struct http *http;
	int r;

	r = check_curl(err);
	if (r < 0)
		return r;

	/* It would write the keys of each connection to where the environment says. */
	(void)unsetenv("SSLKEYLOGFILE");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot initialise libcurl");

	http = calloc(1, sizeof(*http));
	if (!http) {
		curl_global_cleanup();
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot initialise libcurl: %m");
	}

	http->loop = loop;
	http->limits = http_limits;
	list_init(&http->waiting);
	list_init(&http->retired);
	list_init(&http->in_flight);
	list_init(&http->done);
	list_init(&http->spare);
	loop_work_init(&http->sweep, http_sweep);
	loop_work_init(&http->deliver, http_deliver);
	loop_work_init(&http->admit, http_admit);

	*ret = http;
	return 0;
}

void http_limit(struct http *http, const struct http_limits *limits)
{
	http->limits = *limits;
	http->room.max = limits->body_bytes;
}

void http_free(struct http *http)
{
	struct list *node;

	if (!http)
		return;

	assert(list_empty(&http->in_flight) && list_empty(&http->done) &&
	       list_empty(&http->waiting));
	loop_work_cancel(&http->admit);
	loop_work_cancel(&http->deliver);
	loop_work_cancel(&http->sweep);
	http_sweep(&http->sweep);
	http_multi_free(http->multi);
	while ((node = list_pop(&http->spare)))
		http_transfer_free(container_of(node, struct http_transfer, node));
	free(http);
	curl_global_cleanup();
}

void http_request_init(struct http_request *request, http_done_fn on_done)
{
	*request = (struct http_request){ .on_done = on_done };
}

static int http_begin(struct http *http, struct http_transfer *transfer,
		      const struct http_spec *spec, struct error *err)
{
	int r;

	transfer->read_bytes = http->limits.read_bytes;
	r = http_transfer_prepare(transfer, spec, err);
	if (r < 0)
		return r;

	transfer->room = &http->room;
	transfer->on_connected = http_on_connected;
	transfer->stream.on_flowed = http_on_flowed;
	transfer->party = spec->party;
	if (http_may_dial(http, transfer->party))
		return http_dial(http, transfer, err);

	list_append(&http->waiting, &transfer->node);
	return 0;
}

int http_request_start(struct http_request *request, struct http *http,
		       const struct http_spec *spec, struct error *err)
{
	struct http_transfer *transfer;
	int r;

	assert(!request->http);

	transfer = http_take_transfer(http, spec);
	if (!transfer)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot set up a request: %m");

	r = http_begin(http, transfer, spec, err);
	if (r < 0) {
		http_recycle(http, transfer);
		return r;
	}

	request->http = http;
	request->transfer = transfer;
	transfer->request = request;
	transfer->began_ms = loop_now_ms(http->loop);
	timer_init(&transfer->deadline, http->loop, http_on_deadline);
	timer_start(&transfer->deadline, spec->timeout_ms);
	http->stats.started++;
	http->stats.in_flight++;
	if (transfer->multi)
		http_multi_go(transfer->multi);
	return 0;
}

void http_request_stop(struct http_request *request)
{
	struct http *http = request->http;
	struct http_transfer *transfer;

	if (!http)
		return;

	transfer = http_request_detach(request);
	if (transfer->multi) {
		http_multi_remove(transfer->multi, transfer->easy);
		if (transfer->multi != http->multi && !transfer->multi->n_easy)
			loop_defer(http->loop, &http->sweep);
	}
	http_recycle(http, transfer);
}

bool http_request_in_flight(const struct http_request *request)
{
	return request->http;
}

void http_request_resume(struct http_request *request)
{
	if (request->transfer)
		http_stream_resume(request->transfer);
}

bool http_request_was_sent(const struct http_request *request)
{
	return request->transfer && http_transfer_was_sent(request->transfer);
}

void http_drop_connections(struct http *http)
{
	if (!http->multi)
		return;

	list_append(&http->retired, &http->multi->node);
	http->multi = NULL;
	loop_defer(http->loop, &http->sweep);
}

const struct http_stats *http_stats(const struct http *http)
{
	return &http->stats;
}

const char *http_outcome_name(enum http_outcome outcome)
{
	switch (outcome) {
	case HTTP_ANSWERED:
		return "answered";
	case HTTP_UNRESOLVED:
		return "unresolved";
	case HTTP_UNREACHABLE:
		return "unreachable";
	case HTTP_UNTRUSTED:
		return "untrusted";
	case HTTP_TIMED_OUT:
		return "timed_out";
	case HTTP_TOO_LARGE:
		return "too_large";
	case HTTP_BROKEN:
		return "broken";
	case HTTP_REFUSED:
		return "refused";
	}
	return "unknown";
}
