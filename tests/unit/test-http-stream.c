/* SPDX-License-Identifier: MIT */
#include "io/http-stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "loopback.h"

#define LARGE ((size_t)32 << 20)
#define BODY_HEAD \
	"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nX-Plugin-Source: local://x\r\n"

struct sink {
	struct http_request request;
	struct timer resume;
	size_t n_taken, largest;
	unsigned n_pieces, n_refused, n_done;
	uint32_t sum;      /* of all bytes, in order */
	unsigned balks;    /* so often it takes nothing, for a moment */
	bool balks_always; /* and for ever */
	bool stops;        /* itself, at the first piece */
	enum http_outcome outcome;
	int status;
	int64_t length;
	char source[64], body[256], why[128];
};

static uint32_t sum_of(uint32_t sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	return sum;
}

static void on_resume(struct timer *timer)
{
	http_request_resume(&container_of(timer, struct sink, resume)->request);
}

static int on_body(struct http_request *request, const struct http_result *head, const char *bytes,
		   size_t len)
{
	struct sink *sink = container_of(request, struct sink, request);

	CHECK_INT(head->status, 200);
	CHECK(len > 0 && len <= HTTP_STREAM_WINDOW);
	sink->n_pieces++;
	if (sink->balks_always || sink->balks) {
		sink->n_refused++;
		if (sink->balks) {
			sink->balks--;
			timer_start(&sink->resume, 5);
		}
		return -EAGAIN;
	}
	if (sink->stops) {
		http_request_stop(request);
		loop_stop(&loop);
		return -ECANCELED;
	}

	sink->length = head->length;
	(void)snprintf(sink->source, sizeof(sink->source), "%s",
		       http_result_header(head, "x-plugin-source"));
	sink->largest = MAX(sink->largest, len);
	sink->n_taken += len;
	sink->sum = sum_of(sink->sum, bytes, len);
	return 0;
}

static void on_done(struct http_request *request, const struct http_result *result)
{
	struct sink *sink = container_of(request, struct sink, request);

	sink->n_done++;
	sink->outcome = result->outcome;
	sink->status = result->status;
	(void)snprintf(sink->body, sizeof(sink->body), "%s", result->body);
	(void)snprintf(sink->why, sizeof(sink->why), "%s", result->why ? result->why : "");
	loop_stop(&loop);
}

static void sink_start(struct sink *sink, const struct http_spec *spec)
{
	struct error err = { 0 };

	timer_init(&sink->resume, &loop, on_resume);
	http_request_init(&sink->request, on_done);
	if (http_request_start(&sink->request, http, spec, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
}

static struct http_spec stream_spec(const struct server *server)
{
	struct http_spec spec = spec_for(server);

	spec.max_body = LARGE;
	spec.on_body = on_body;
	spec.pace_ms = 200;
	return spec;
}

/* Streams the server's answer to the sink, until its end. */
static void stream(struct sink *sink, const struct server *server)
{
	struct http_spec spec = stream_spec(server);

	sink_start(sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink->n_done, 1);
	CHECK_INT(http_stats(http)->in_flight, 0);
	timer_stop(&sink->resume);
}

/* A reply with a body of that size; what it adds up to comes out as sum. */
static struct reply large_reply(size_t len, enum after after, uint32_t *sum)
{
	static char *bytes;
	int head;

	free(bytes);
	bytes = malloc(len + 1024);
	CHECK(bytes);
	head = snprintf(bytes, 1024, BODY_HEAD "Content-Length: %zu\r\n\r\n", len);
	for (size_t i = 0; i < len; i++)
		bytes[(size_t)head + i] = (char)(i * 7 + (i >> 11));
	*sum = sum_of(0, bytes + head, len);
	return (struct reply){ bytes, (size_t)head + len, after };
}

TEST(a_body_comes_in_pieces_and_whole)
{
	struct sink sink = { 0 };
	uint32_t sum;

	set_up();
	SERVER(server, large_reply(LARGE, KEEP, &sum));
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.status, 200);
	CHECK_TEXT(sink.body, "");
	CHECK_INT(sink.n_taken, LARGE);
	CHECK_INT(sink.sum, sum);
	CHECK_INT(sink.length, LARGE);
	CHECK_TEXT(sink.source, "local://x");
	CHECK(sink.largest <= HTTP_STREAM_WINDOW);
	server_close(&server);
	tear_down();
}

TEST(who_takes_nothing_stops_the_sender)
{
	struct sink sink = { .balks_always = true };
	struct http_spec spec;
	size_t before;
	uint32_t sum;

	set_up();
	SERVER(server, large_reply(LARGE, KEEP, &sum));
	spec = stream_spec(&server);
	sink_start(&sink, &spec);
	/* Until the socket buffers are full. */
	do {
		before = server.n_sent;
		timer_start(&sink.resume, 50);
		while (timer_is_running(&sink.resume))
			turn();
	} while (server.n_sent > before || !sink.n_refused);
	CHECK(server.n_sent < LARGE);
	CHECK_INT(sink.n_taken, 0);

	sink.balks_always = false;
	http_request_resume(&sink.request);
	loop_run(&loop);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.n_taken, LARGE);
	CHECK_INT(sink.sum, sum);
	server_close(&server);
	tear_down();
}

TEST(one_who_balks_now_and_then_loses_nothing)
{
	struct sink sink = { .balks = 100 };
	uint32_t sum;

	set_up();
	SERVER(server, large_reply((size_t)8 << 20, CLOSE, &sum));
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.n_refused, 100);
	CHECK_INT(sink.sum, sum);
	server_close(&server);
	tear_down();
}

TEST(the_end_waits_until_the_last_piece_is_taken)
{
	struct sink sink = { .balks = 3 };

	set_up();
	SERVER(server, { BODY_HEAD "Content-Length: 5\r\n\r\nabcde", 0, CLOSE });
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.n_pieces, 4);
	CHECK_INT(sink.n_taken, 5);
	server_close(&server);
	tear_down();
}

TEST(a_stream_needs_little_of_the_room_for_replies)
{
	const struct http_limits limits = { .body_bytes = HTTP_STREAM_WINDOW };
	struct sink sink = { 0 };
	uint32_t sum;

	set_up();
	http_limit(http, &limits);
	SERVER(server, large_reply((size_t)4 << 20, KEEP, &sum));
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.sum, sum);
	server_close(&server);
	tear_down();
}

TEST(chunks_are_put_together)
{
	struct sink sink = { 0 };

	set_up();
	SERVER(server, { BODY_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			 0, BYTEWISE });
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.n_taken, 5);
	CHECK_INT(sink.sum, sum_of(0, "abcde", 5));
	CHECK_INT(sink.length, -1);
	server_close(&server);
	tear_down();
}

TEST(another_status_is_no_stream)
{
	struct sink sink = { 0 };

	set_up();
	SERVER(server,
	       { "HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n{\"error\":\"gone\"" });
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_ANSWERED);
	CHECK_INT(sink.status, 404);
	CHECK_TEXT(sink.body, "{\"error\":\"gone\"");
	CHECK_INT(sink.n_pieces, 0);
	server_close(&server);
	tear_down();
}

TEST(an_error_has_less_room_than_what_was_asked_for)
{
	struct sink sink = { 0 };
	uint32_t sum;
	struct reply reply;

	set_up();
	reply = large_reply(HTTP_STREAM_ERROR_MAX + 1, KEEP, &sum);
	memcpy((char *)(uintptr_t)reply.bytes, "HTTP/1.1 500 NO", 15);
	SERVER(server, reply);
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_TOO_LARGE);
	CHECK_INT(sink.n_pieces, 0);
	server_close(&server);
	tear_down();
}

/* Bytes came, and what they were is not known. */
static void check_broken(const struct reply *reply, size_t most_taken)
{
	struct sink sink = { 0 };

	set_up();
	SERVER(server, *reply);
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_BROKEN);
	CHECK_INT(sink.status, 0);
	CHECK(sink.n_taken <= most_taken);
	server_close(&server);
	tear_down();
}

TEST(a_short_body_is_never_taken_for_a_whole_one)
{
	const struct reply short_of_length = { BODY_HEAD "Content-Length: 6\r\n\r\nabcde", 0,
					       CLOSE };
	const struct reply reset = { BODY_HEAD "Content-Length: 6\r\n\r\nabcde", 0, RESET };
	const struct reply no_last_chunk = { BODY_HEAD
					     "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
					     0, CLOSE };
	const struct reply half_a_chunk = { BODY_HEAD
					    "Transfer-Encoding: chunked\r\n\r\n9\r\nabcde",
					    0, CLOSE };

	check_broken(&short_of_length, 5);
	check_broken(&reset, 5);
	check_broken(&no_last_chunk, 5);
	check_broken(&half_a_chunk, 5);
}

TEST(a_body_that_ends_with_its_connection_is_not_even_begun)
{
	const struct reply reply = { BODY_HEAD "\r\nabcde", 0, CLOSE };

	check_broken(&reply, 0);
}

TEST(a_reset_amid_a_large_body_is_an_error)
{
	struct reply reply;
	uint32_t sum;

	reply = large_reply(LARGE, RESET, &sum);
	reply.len -= LARGE / 2;
	check_broken(&reply, LARGE / 2);
}

TEST(what_was_announced_as_too_large_is_not_begun)
{
	struct sink sink = { 0 };
	struct http_spec spec;
	uint32_t sum;

	set_up();
	SERVER(server, large_reply(100001, KEEP, &sum));
	spec = stream_spec(&server);
	spec.max_body = 100000;
	sink_start(&sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink.outcome, HTTP_TOO_LARGE);
	CHECK_INT(sink.n_pieces, 0);
	server_close(&server);
	tear_down();
}

TEST(what_grows_too_large_is_cut_off)
{
	struct sink sink = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { BODY_HEAD "Transfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
			 0, BYTEWISE });
	spec = stream_spec(&server);
	spec.max_body = 5;
	sink_start(&sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink.outcome, HTTP_TOO_LARGE);
	CHECK(sink.n_taken <= 5);
	server_close(&server);
	tear_down();
}

TEST(a_request_may_be_stopped_by_who_gets_its_body)
{
	struct sink sink = { .stops = true };
	struct http_spec spec;
	uint32_t sum;

	set_up();
	SERVER(server, large_reply(LARGE, KEEP, &sum));
	spec = stream_spec(&server);
	sink_start(&sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink.n_done, 0);
	CHECK_INT(sink.n_pieces, 1);
	CHECK(!http_request_in_flight(&sink.request));
	turn();
	CHECK_INT(sink.n_pieces, 1);
	server_close(&server);
	tear_down();
}

TEST(one_who_never_takes_it_meets_the_deadline)
{
	struct sink sink = { .balks_always = true };
	struct http_spec spec;
	uint32_t sum;

	set_up();
	SERVER(server, large_reply(LARGE, KEEP, &sum));
	spec = stream_spec(&server);
	spec.timeout_ms = 700;
	sink_start(&sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink.outcome, HTTP_TIMED_OUT);
	CHECK_TEXT(sink.why, "no whole reply in time");
	server_close(&server);
	tear_down();
}

TEST(a_whole_body_that_is_never_taken_meets_it_too)
{
	struct sink sink = { .balks_always = true };
	struct http_spec spec;

	set_up();
	SERVER(server, { BODY_HEAD "Content-Length: 5\r\n\r\nabcde", 0, CLOSE });
	spec = stream_spec(&server);
	spec.timeout_ms = 300;
	sink_start(&sink, &spec);
	loop_run(&loop);
	CHECK_INT(sink.outcome, HTTP_TIMED_OUT);
	server_close(&server);
	tear_down();
}

TEST(a_sender_who_dawdles_is_given_up)
{
	struct sink sink = { 0 };

	set_up();
	/* Says that there is more, and sends it not. */
	SERVER(server, { BODY_HEAD "Content-Length: 1000000\r\n\r\nabcde" });
	stream(&sink, &server);
	CHECK_INT(sink.outcome, HTTP_TIMED_OUT);
	CHECK_TEXT(sink.why, "the body comes too slowly");
	CHECK_INT(sink.n_taken, 5);
	server_close(&server);
	tear_down();
}

TEST(the_next_request_is_no_stream)
{
	struct sink sink = { 0 };
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { BODY_HEAD "Content-Length: 5\r\n\r\nabcde" }, { OK_REPLY });
	stream(&sink, &server);
	fetch(&probe, &server);
	CHECK_TEXT(probe.body, "{}");
	CHECK_INT(probe.result.length, 2);
	CHECK_INT(server.n_accepted, 1);
	server_close(&server);
	tear_down();
}
