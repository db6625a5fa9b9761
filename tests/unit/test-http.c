/* SPDX-License-Identifier: MIT */
/*
 * Requests: their life, their connections, and what they never do. Which
 * replies are taken is in test-http-reply.c.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"
#include "loopback.h"

#define TOKEN "tok-3n_S3cret.42"

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

TEST(sends_what_it_is_told_and_nothing_else)
{
	const char *const headers[] = { "X-Workspace-ID: w1", "X-Org: o1", NULL };
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = "POST";
	spec.headers = headers;
	spec.bearer = TOKEN;
	spec.body = "{\"a\":1}";
	spec.body_len = 7;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.status, 200);
	CHECK(strncmp(server.request, "POST /path HTTP/1.1\r\n", 21) == 0);
	CHECK_INT(count(server.request, "\r\nAuthorization: Bearer " TOKEN "\r\n"), 1);
	CHECK_INT(count(server.request, TOKEN), 1);
	CHECK_INT(count(server.request, "\r\nUser-Agent: molecule-agentd/"), 1);
	CHECK_INT(count(server.request, "\r\nAccept: application/json\r\n"), 1);
	CHECK_INT(count(server.request, "\r\nContent-Type: application/json\r\n"), 1);
	CHECK_INT(count(server.request, "\r\nContent-Length: 7\r\n"), 1);
	CHECK_INT(count(server.request, "\r\nX-Workspace-ID: w1\r\n"), 1);
	CHECK_INT(count(server.request, "\r\nX-Org: o1\r\n"), 1);
	CHECK_INT(count(server.request, "\r\nHost: "), 1);
	CHECK_INT(count(strstr(server.request, "\r\n\r\n"), "{\"a\":1}"), 1);
	/* The request line and nine fields: no Expect, no Accept-Encoding, no Origin. */
	CHECK_INT(count(server.request, "\r\n"), 10);
	server_close(&server);
	tear_down();
}

TEST(a_caller_may_have_its_own_accept_and_content_type)
{
	const char *const headers[] = { "accept: text/event-stream", "Content-Type: text/plain",
					NULL };
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = "PUT";
	spec.headers = headers;
	spec.body = "x";
	spec.body_len = 1;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(count(server.request, "ccept: "), 1);
	CHECK_INT(count(server.request, "Content-Type: "), 1);
	CHECK(strstr(server.request, "\r\naccept: text/event-stream\r\n"));
	CHECK(strncmp(server.request, "PUT /path ", 10) == 0);
	server_close(&server);
	tear_down();
}

TEST(a_large_body_is_sent_without_asking_first)
{
	const size_t len = 3 << 20;
	AUTO(free) char *body = malloc(len);
	struct probe probe = { 0 };
	struct http_spec spec;

	CHECK(body);
	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = "POST";
	spec.body = memset(body, 'b', len);
	spec.body_len = len;
	probe_start(&probe, &spec);
	memset(body, 'x', len); /* it was borrowed until start returned */
	finish();
	CHECK_INT(probe.result.status, 200);
	CHECK_INT(count(server.request, "Expect"), 0);
	CHECK(strspn(strstr(server.request, "\r\n\r\n") + 4, "b") > 3000);
	server_close(&server);
	tear_down();
}

TEST(nothing_of_a_request_shows_in_the_next)
{
	const char *const headers[] = { "X-Mine: 1", NULL };
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(proxy, { OK_REPLY });
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = "PATCH";
	spec.headers = headers;
	spec.bearer = TOKEN;
	spec.body = "{\"a\":1}";
	spec.body_len = 7;
	spec.proxy = proxy.url;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(count(proxy.request, TOKEN), 1);

	fetch(&probe, &server);
	CHECK_INT(proxy.n_requests, 1);
	CHECK(strncmp(server.request, "GET /path HTTP/1.1\r\n", 20) == 0);
	CHECK_INT(count(server.request, TOKEN) + count(server.request, "X-Mine"), 0);
	CHECK_TEXT(strstr(server.request, "\r\n\r\n"), "\r\n\r\n");
	server_close(&server);
	server_close(&proxy);
	tear_down();
}

/* It has all in common with the one before that options are set for. */
TEST(nothing_of_a_request_shows_in_the_next_one_like_it)
{
	static const char first[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				    "Retry-After: 7\r\nContent-Length: 2\r\n\r\n{}";
	static const char second[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
	const char *const headers[] = { "X-Mine: 1", NULL };
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { first }, { second });
	spec = spec_for(&server);
	spec.method = "POST";
	spec.headers = headers;
	spec.bearer = TOKEN;
	spec.body = "{\"a\":1}";
	spec.body_len = 7;
	probe_start(&probe, &spec);
	finish();
	CHECK_TEXT(probe.retry_after, "7");

	spec.headers = NULL;
	spec.bearer = NULL;
	spec.body = "{}";
	spec.body_len = 2;
	probe_start(&probe, &spec);
	finish();
	CHECK_TEXT(probe.body, "second");
	CHECK(!probe.result.retry_after);
	CHECK_TEXT(probe.content_type, "");
	CHECK_INT(count(server.request, TOKEN) + count(server.request, "X-Mine"), 0);
	CHECK_TEXT(strstr(server.request, "\r\n\r\n"), "\r\n\r\n{}");

	spec.body = "";
	spec.body_len = 0;
	spec.max_body = 5;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_TOO_LARGE);
	CHECK_TEXT(strstr(server.request, "\r\n\r\n"), "\r\n\r\n");
	CHECK_INT(server.n_accepted, 1);
	server_close(&server);
	tear_down();
}

static void check_refused(struct http_spec *spec, const char *what)
{
	struct http_request request;
	struct error err = { 0 };

	http_request_init(&request, NULL);
	CHECK(http_request_start(&request, http, spec, &err) < 0);
	if (!strstr(err.text, what))
		test_fail(__FILE__, __LINE__, "\"%s\" has no \"%s\"", err.text, what);
	CHECK(!http_request_in_flight(&request));
	http_request_stop(&request);
}

TEST(what_a_request_may_not_do_it_may_not_after_one_that_may)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	fetch(&probe, &server);
	CHECK_INT(probe.result.status, 200);

	spec = spec_for(&server);
	spec.allow_http = false;
	check_refused(&spec, "not one of https");
	fetch(&probe, &server);
	spec = spec_for(&server);
	spec.url = "/elsewhere";
	check_refused(&spec, "URL");
	CHECK_INT(server.n_requests, 2);
	server_close(&server);
	tear_down();
}

static void check_without_body(const char *method, unsigned n_lengths)
{
	char start[32];
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.method = method;
	probe_start(&probe, &spec);
	finish();
	(void)snprintf(start, sizeof(start), "%s /path HTTP/1.1\r\n", method);
	CHECK(strncmp(server.request, start, strlen(start)) == 0);
	CHECK_INT(count(server.request, "Content-Type"), 0);
	CHECK_INT(count(server.request, "Content-Length: 0\r\n"), n_lengths);
	CHECK_TEXT(probe.body, "{}");
	server_close(&server);
	tear_down();
}

TEST(a_request_without_body_has_no_content_type)
{
	check_without_body("GET", 0);
	check_without_body("DELETE", 0);
	check_without_body("POST", 1);
}

TEST(refuses_urls_that_it_should_not_call)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"127.0.0.1/x",
		"file:///etc/passwd",
		"ftp://h/",
		"gopher://h/",
		"http://",
		"http://h:99999/",
		"http://a b/",
		"http://u:p@h/",
		"https://u@h/",
		"unix:/run/x",
		"http://h/\r\nX: y",
		"https://h/\x01",
	};
	struct http_spec spec = { .method = "GET", .timeout_ms = 1000, .allow_http = true };

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		spec.url = bad[i];
		check_refused(&spec, "URL");
	}
	spec.allow_http = false;
	spec.url = "http://127.0.0.1:1/";
	check_refused(&spec, "not one of https");
	CHECK_INT(http_stats(http)->started, 0);
	tear_down();
}

TEST(refuses_headers_that_would_be_two)
{
	const char *headers[] = { NULL, NULL };
	static const char *const bad[] = {
		"X: y\r\nZ: a", "X: y\n", "X", ": y", "A B: c", "X: \x7f"
	};
	struct http_spec spec = { .method = "GET", .url = "https://h/", .headers = headers };

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		headers[0] = bad[i];
		check_refused(&spec, "header number 1");
	}
	spec.headers = NULL;
	spec.bearer = "a\r\nX: y";
	check_refused(&spec, "token");
	spec.bearer = "";
	check_refused(&spec, "token");
	spec.bearer = NULL;
	spec.method = "GET / HTTP/1.1\r\nX: y\r\n\r\n";
	check_refused(&spec, "method");
	tear_down();
}

TEST(a_closed_port_is_unreachable)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	server_close(&server);
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_UNREACHABLE);
	CHECK(!probe.result.sent);
	CHECK_INT(probe.result.status, 0);
	CHECK_INT(http_stats(http)->failed, 1);
	tear_down();
}

TEST(a_server_that_speaks_no_tls_is_not_trusted)
{
	char url[80];
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 0, CLOSE });
	spec = spec_for(&server);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", ntohs(server.address.sin_port));
	spec.url = url;
	spec.bearer = TOKEN;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_UNTRUSTED);
	CHECK(!probe.result.sent);
	CHECK(strstr(probe.why, "SSL"));
	server_close(&server);
	tear_down();
}

TEST(a_request_ends_at_its_deadline)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { NULL });
	spec = spec_for(&server);
	/* On a slow day the first of these come before anything was sent. */
	for (spec.timeout_ms = 50; !probe.result.sent; spec.timeout_ms *= 2) {
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(probe.result.outcome, HTTP_TIMED_OUT);
		CHECK(probe.result.elapsed_ms >= spec.timeout_ms);
		CHECK_TEXT(probe.why,
			   probe.result.sent ? "no whole reply in time" : "not connected in time");
		CHECK(spec.timeout_ms < 10000);
	}
	server_close(&server);
	tear_down();
}

TEST(a_request_that_waits_for_a_connection_ends_at_its_deadline_unsent)
{
	struct probe probes[HTTP_ORIGIN_CONNECTIONS] = { 0 }, late = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	server.holds = true;
	spec = spec_for(&server);
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probe_start(&probes[i], &spec);
	while (server.n_requests < HTTP_ORIGIN_CONNECTIONS)
		turn();
	spec.timeout_ms = 50;
	probe_start(&late, &spec);
	while (!late.n_calls)
		turn();
	CHECK_INT(late.result.outcome, HTTP_TIMED_OUT);
	CHECK(!late.result.sent);
	CHECK_TEXT(late.why, "not connected in time");
	server_release(&server);
	finish();
	CHECK_INT(probes[0].result.status, 200);
	server_close(&server);
	tear_down();
}

TEST(a_redirect_is_an_answer)
{
	char reply[160];
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(elsewhere, { OK_REPLY });
	(void)snprintf(reply, sizeof(reply),
		       "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		       elsewhere.url);
	SERVER(server, { reply });
	spec = spec_for(&server);
	spec.bearer = TOKEN;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_ANSWERED);
	CHECK_INT(probe.result.status, 302);
	CHECK_INT(elsewhere.n_accepted, 0);
	server_close(&server);
	server_close(&elsewhere);
	tear_down();
}

static void set_proxies(const char *url, const char *except)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "all_proxy",
					     "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK_INT(setenv(names[i], url, 1), 0);
	CHECK_INT(setenv("no_proxy", except, 1), 0);
	CHECK_INT(setenv("NO_PROXY", except, 1), 0);
}

TEST(the_environment_has_no_say_in_proxies)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(proxy, { OK_REPLY });
	SERVER(server, { OK_REPLY });
	set_proxies(proxy.url, "");
	fetch(&probe, &server);
	CHECK_INT(proxy.n_accepted, 0);
	CHECK_INT(server.n_requests, 1);

	/* Nor does it take away the one that is given. */
	set_proxies("", "*");
	spec = spec_for(&server);
	spec.proxy = proxy.url;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(proxy.n_requests, 1);
	CHECK_INT(server.n_requests, 1);
	CHECK(strncmp(proxy.request, "GET http://127.0.0.1:", 21) == 0);
	server_close(&server);
	server_close(&proxy);
	tear_down();
}

TEST(a_proxy_that_is_asked_to_connect_sees_no_token)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(proxy, { "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" });
	spec = spec_for(&proxy);
	spec.proxy = proxy.url;
	spec.url = "https://platform.invalid/";
	spec.bearer = TOKEN;
	probe_start(&probe, &spec);
	finish();
	CHECK(strncmp(proxy.request, "CONNECT platform.invalid:443 ", 29) == 0);
	CHECK_INT(count(proxy.request, TOKEN), 0);
	CHECK(probe.result.outcome != HTTP_ANSWERED);
	CHECK(!probe.result.sent);
	server_close(&proxy);
	tear_down();
}

TEST(netrc_has_no_say)
{
	FILE *file = fopen(".netrc", "w");
	struct probe probe = { 0 };

	CHECK(file);
	(void)fputs("default login me password " TOKEN "\n", file);
	CHECK_INT(fclose(file), 0);
	CHECK_INT(setenv("HOME", ".", 1), 0);
	set_up();
	SERVER(server, { OK_REPLY });
	fetch(&probe, &server);
	CHECK_INT(count(server.request, "Authorization"), 0);
	server_close(&server);
	tear_down();
}

static unsigned n_asked;

static bool dial_nothing(const struct sockaddr *address, void *context)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct server *server = context;

	n_asked++;
	CHECK_INT(in->sin_family, AF_INET);
	CHECK_INT(in->sin_addr.s_addr, server->address.sin_addr.s_addr);
	CHECK_INT(in->sin_port, server->address.sin_port);
	return false;
}

TEST(an_address_that_may_not_be_dialled_is_not)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	set_up();
	SERVER(server, { OK_REPLY });
	spec = spec_for(&server);
	spec.may_dial = dial_nothing;
	spec.may_dial_context = &server;
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_REFUSED);
	CHECK_INT(n_asked, 1);

	/* Nor is a connection used that others may have. */
	fetch(&probe, &server);
	CHECK_INT(server.n_accepted, 1);
	probe_start(&probe, &spec);
	finish();
	CHECK_INT(probe.result.outcome, HTTP_REFUSED);
	CHECK(!probe.result.sent);
	CHECK_INT(server.n_requests, 1);
	server_close(&server);
	tear_down();
}

static void check_cloexec(struct server *server)
{
	struct sockaddr_in peer = { 0 };
	unsigned n = 0;

	for (int fd = 0; fd < 100; fd++) {
		socklen_t len = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
		    peer.sin_port != server->address.sin_port)
			continue;
		n++;
		CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	CHECK_INT(n, 1);
}

TEST(no_child_inherits_a_connection)
{
	struct probe probe = { 0 };

	set_up();
	SERVER(server, { OK_REPLY });
	server.on_request = check_cloexec;
	fetch(&probe, &server);
	CHECK_INT(server.n_requests, 1);
	server_close(&server);
	tear_down();
}

TEST(every_outcome_has_a_name)
{
	for (int i = HTTP_ANSWERED; i <= HTTP_REFUSED; i++)
		CHECK(strcmp(http_outcome_name((enum http_outcome)i), "unknown") != 0);
}
