/* SPDX-License-Identifier: MIT */
/*
 * Which replies are taken for replies. What is cut short, framed twice, encoded
 * or too large never is.
 */
#include "io/http-transfer.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "loopback.h"

/* One request, one reply. */
static struct probe ask(const char *bytes, size_t len, enum after after)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { bytes, len, after });
	fetch(&probe, &server);
	CHECK_INT(probe.n_calls, 1);
	CHECK_INT(server.n_requests, 1);
	CHECK(probe.result.sent);
	server_close(&server);
	tear_down();
	return probe;
}

static void check_outcome(const char *bytes, enum after after, enum http_outcome outcome)
{
	struct probe probe = ask(bytes, 0, after);

	CHECK_TEXT(http_outcome_name(probe.result.outcome), http_outcome_name(outcome));
	CHECK_INT(probe.result.status, 0);
	CHECK_INT(probe.result.body_len, 0);
	CHECK(probe.why[0]);
}

TEST(takes_a_whole_reply)
{
	struct probe probe = ask("HTTP/1.1 201 Made\r\nContent-Type: application/json\r\n"
				 "Retry-After: 7\r\nRetry-After: 9\r\nContent-Length: 7\r\n\r\n"
				 "{\"a\":1}",
				 0, KEEP);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.status, 201);
	CHECK_TEXT(probe.body, "{\"a\":1}");
	CHECK_TEXT(probe.content_type, "application/json");
	CHECK_TEXT(probe.retry_after, "7");
}

TEST(takes_an_error_and_an_empty_reply)
{
	struct probe probe = ask("HTTP/1.1 503 Gone fishing\r\nContent-Length: 0\r\n\r\n", 0, KEEP);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.status, 503);
	CHECK_INT(probe.result.body_len, 0);
	CHECK_TEXT(probe.content_type, "");
	CHECK_TEXT(probe.retry_after, "(null)");

	probe = ask("HTTP/1.1 204 No Content\r\n\r\n", 0, KEEP);
	CHECK_INT(probe.result.status, 204);
	probe = ask("HTTP/1.1 304 Not Modified\r\n\r\n", 0, KEEP);
	CHECK_INT(probe.result.status, 304);
}

TEST(takes_an_error_that_ends_with_its_connection_but_no_success)
{
	struct probe probe = ask("HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", 0, CLOSE);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.status, 502);
	CHECK_TEXT(probe.body, "<html>");

	check_outcome("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", CLOSE, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\n\r\n", CLOSE, HTTP_BROKEN);
}

static struct probe ask_unframed(const char *bytes, enum after after)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { bytes, 0, after });
	spec = spec_for(&server);
	spec.takes_unframed = true;
	probe_start(&probe, &spec);
	finish();
	server_close(&server);
	tear_down();
	return probe;
}

TEST(takes_a_success_that_ends_with_its_connection_when_told_to)
{
	struct probe probe = ask_unframed("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", CLOSE);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK(probe.result.unframed);
	CHECK_TEXT(probe.body, "{\"a\":1}");

	probe = ask_unframed(OK_REPLY, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK(!probe.result.unframed);
	probe = ask_unframed("HTTP/1.1 204 No Content\r\n\r\n", KEEP);
	CHECK(!probe.result.unframed);

	probe = ask_unframed("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", RESET);
	CHECK_INT(probe.result.outcome, HTTP_BROKEN);
	probe = ask_unframed("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}", CLOSE);
	CHECK_INT(probe.result.outcome, HTTP_BROKEN);
}

TEST(takes_chunks_with_trailers)
{
	struct probe probe = ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
				 0, KEEP);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_TEXT(probe.body, "abcde");
}

TEST(takes_a_reply_in_single_bytes)
{
	struct probe probe = ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
				 0, BYTEWISE);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_TEXT(probe.body, "abcde");
	probe = ask(OK_REPLY, 0, BYTEWISE);
	CHECK_TEXT(probe.body, "{}");
}

TEST(takes_what_follows_interim_replies)
{
	struct probe probe = ask("HTTP/1.1 100 Continue\r\n\r\n"
				 "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" OK_REPLY,
				 0, KEEP);

	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.status, 200);
	CHECK_TEXT(probe.body, "{}");
}

TEST(takes_a_body_with_a_nul_by_its_length)
{
	static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0b";
	struct http_transfer *transfer;
	struct http_result result;
	char why[CURL_ERROR_SIZE];

	/* Apart from its length nothing tells it from "a". */
	CHECK_INT(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
	transfer = http_transfer_new();
	transfer->head = HTTP_HEAD_ENDED;
	transfer->is_framed = true;
	buffer_init(&transfer->body, 10);
	CHECK_INT(buffer_append(&transfer->body, bytes + sizeof(bytes) - 4, 3), 0);
	http_transfer_result(transfer, why, &result);
	CHECK_INT(result.body_len, 3);
	CHECK_INT(memcmp(result.body, "a\0b", 4), 0);
	http_transfer_free(transfer);
	curl_global_cleanup();
}

TEST(refuses_a_body_that_was_cut_short)
{
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", CLOSE, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", CLOSE, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", RESET, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE,
		      HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", CLOSE,
		      HTTP_BROKEN);
}

TEST(refuses_headers_cut_anywhere)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nX: y\r\n100: z\r\n\r\n";

	for (size_t len = 0; len < sizeof(reply) - 1; len++) {
		struct probe probe = ask(len ? reply : NULL, len, CLOSE);

		CHECK_INT(probe.result.outcome, HTTP_BROKEN);
	}
}

TEST(refuses_interim_replies_without_a_final_one)
{
	check_outcome("HTTP/1.1 100 Continue\r\n\r\n", CLOSE, HTTP_BROKEN);
}

TEST(refuses_bad_chunks)
{
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", KEEP,
		      HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		      KEEP, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "fffffffffffffffff\r\n",
		      KEEP, HTTP_BROKEN);
}

TEST(refuses_two_lengths)
{
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}", KEEP,
		      HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "2\r\n{}\r\n0\r\n\r\n",
		      KEEP, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n"
		      "2\r\n{}\r\n0\r\n\r\n",
		      KEEP, HTTP_BROKEN);
}

TEST(refuses_a_length_that_is_none)
{
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", CLOSE, HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", CLOSE, HTTP_BROKEN);
}

TEST(refuses_an_encoding_that_was_not_asked_for)
{
	struct probe probe;

	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", KEEP,
		      HTTP_BROKEN);
	check_outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{}", CLOSE,
		      HTTP_BROKEN);

	check_outcome("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
		      KEEP, HTTP_BROKEN);
	probe = ask("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		    0, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
}

TEST(refuses_what_is_not_http)
{
	check_outcome("hello\n", CLOSE, HTTP_BROKEN);
	check_outcome("<html>hello</html>", CLOSE, HTTP_BROKEN);
	check_outcome("", CLOSE, HTTP_BROKEN);
	check_outcome("", RESET, HTTP_BROKEN);
	check_outcome("SSH-2.0-OpenSSH_9.2p1\r\n", KEEP, HTTP_BROKEN);
}

TEST(a_body_may_be_as_large_as_allowed_and_not_larger)
{
	char reply[1200];
	struct probe probe;
	int n;

	n = snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	memset(reply + n, 'x', 1001);
	probe = ask(reply, (size_t)n + 1000, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.body_len, 1000);

	/* By its length: nothing of the body need come. */
	check_outcome("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", KEEP, HTTP_TOO_LARGE);

	/* By what comes. */
	n = snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\n\r\n");
	memset(reply + n, 'x', 1001);
	probe = ask(reply, (size_t)n + 1001, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);
}

/* head, then line as often as fits into len bytes, then end. */
static char *repeat(const char *head, const char *line, size_t len, const char *end, size_t *ret)
{
	char *bytes = malloc(len + strlen(end)), *p = stpcpy(bytes, head);

	while ((size_t)(p - bytes) + strlen(line) < len)
		p = stpcpy(p, line);
	p = stpcpy(p, end);
	*ret = (size_t)(p - bytes);
	return bytes;
}

TEST(headers_may_be_many_but_not_too_many)
{
	AUTO(free) char *few = NULL, *many = NULL, *interim = NULL;
	struct probe probe;
	size_t len;

	few = repeat("HTTP/1.1 200 OK\r\n", "X-Header: of some length\r\n", 60000,
		     "Content-Length: 0\r\n\r\n", &len);
	probe = ask(few, len, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);

	many = repeat("HTTP/1.1 200 OK\r\n", "X-Header: of some length\r\n", 70000,
		      "Content-Length: 0\r\n\r\n", &len);
	probe = ask(many, len, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);

	interim = repeat("", "HTTP/1.1 100 Continue\r\n\r\n", 70000, OK_REPLY, &len);
	probe = ask(interim, len, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);
}

TEST(one_header_may_be_long_but_not_too_long)
{
	static const size_t sizes[] = { 70000, 99000, 200000, 1000000 };
	AUTO(free) char *line = NULL;
	struct probe probe;
	size_t len;

	line = repeat("HTTP/1.1 200 OK\r\nX: ", "y", 60000, "\r\nContent-Length: 0\r\n\r\n", &len);
	probe = ask(line, len, KEEP);
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(free)
		char *large = repeat("HTTP/1.1 200 OK\r\nX: ", "y", sizes[i],
				     "\r\nContent-Length: 0\r\n\r\n", &len);

		probe = ask(large, len, KEEP);
		CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);
	}
}

TEST(nothing_of_a_reply_shows_in_the_next)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server,
	       { "HTTP/1.1 429 Later\r\nRetry-After: 7\r\nContent-Type: text/html\r\n"
		 "Content-Length: 4\r\n\r\nwait" },
	       { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" });
	fetch(&probe, &server);
	CHECK_TEXT(probe.retry_after, "7");
	fetch(&probe, &server);
	CHECK_INT(server.n_accepted, 1);
	CHECK_TEXT(probe.retry_after, "(null)");
	CHECK_TEXT(probe.content_type, "");
	CHECK_TEXT(probe.body, "");
	server_close(&server);
	tear_down();
}

TEST(what_comes_behind_a_reply_is_not_the_next_reply)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { OK_REPLY "HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n" },
	       { OK_REPLY });
	fetch(&probe, &server);
	CHECK_INT(probe.result.status, 200);
	fetch(&probe, &server);
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(server.n_accepted, 2);
	server_close(&server);
	tear_down();
}

TEST(the_sentence_of_a_failure_is_safe_to_show)
{
	struct http_transfer *transfer;
	struct http_result result;
	char why[CURL_ERROR_SIZE];

	CHECK_INT(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
	transfer = http_transfer_new();
	transfer->code = CURLE_PEER_FAILED_VERIFICATION;
	(void)stpcpy(transfer->why, "name '\x1b[2J\nroot: ok' does not match");
	http_transfer_result(transfer, why, &result);
	CHECK_INT(result.outcome, HTTP_UNTRUSTED);
	CHECK_TEXT(result.why, "name '\\x1b[2J\\x0aroot: ok' does not match");

	transfer->why[0] = '\0';
	http_transfer_result(transfer, why, &result);
	CHECK(result.why[0]);
	http_transfer_free(transfer);
	curl_global_cleanup();
}
