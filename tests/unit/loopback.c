/* SPDX-License-Identifier: MIT */
#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"

struct loop loop;
struct http *http;
unsigned n_waiting;

struct conn {
	struct ev_io io, writable;
	struct server *server;
	struct list node;
	struct loop_work work; /* sends the next byte */
	const struct reply *reply;
	size_t n_sent, len;
	bool owes; /* a reply, when released */
	char request[4096];
	size_t request_len;
};

void set_up(void)
{
	struct error err;

	CHECK_INT(loop_init(&loop), 0);
	CHECK_INT(http_new(&loop, &http, &err), 0);
}

void tear_down(void)
{
	http_free(http);
	loop_fini(&loop);
}

static void conn_close(struct conn *conn)
{
	ev_io_stop(loop.ev, &conn->io);
	ev_io_stop(loop.ev, &conn->writable);
	loop_work_cancel(&conn->work);
	list_remove(&conn->node);
	conn->server->n_open--;
	CHECK_INT(close(conn->io.fd), 0);
	free(conn);
}

/* What the socket takes of so much. */
static void conn_send(struct conn *conn, size_t len)
{
	const char *bytes = conn->reply->bytes + conn->n_sent;
	ssize_t n = send(conn->io.fd, bytes, len, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		return;

	/* A client that has had enough is none of our business. */
	CHECK(n >= 0 || errno == EPIPE || errno == ECONNRESET);
	if (n < 0)
		n = (ssize_t)len;
	conn->n_sent += (size_t)n;
	conn->server->n_sent += (size_t)n;
}

static void conn_send_byte(struct loop_work *work)
{
	struct conn *conn = container_of(work, struct conn, work);

	conn_send(conn, 1);
	if (conn->n_sent < conn->len)
		loop_defer(&loop, &conn->work);
}

/* All of the reply is out. */
static void conn_finish(struct conn *conn)
{
	enum after after = conn->reply->after;

	if (after == RESET)
		CHECK_INT(setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER,
				     &(struct linger){ .l_onoff = 1 }, sizeof(struct linger)),
			  0);
	if (after != KEEP)
		conn_close(conn);
}

static void conn_on_writable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct conn *conn = container_of(io, struct conn, writable);

	conn_send(conn, conn->len - conn->n_sent);
	if (conn->n_sent < conn->len)
		return;

	ev_io_stop(ev, io);
	conn_finish(conn);
}

static void conn_answer(struct conn *conn)
{
	struct server *server = conn->server;
	const struct reply *reply = server->replies;

	if (server->n_replies > 1) {
		server->replies++;
		server->n_replies--;
	}
	conn->reply = reply;
	conn->n_sent = 0;
	conn->len = reply->len || !reply->bytes ? reply->len : strlen(reply->bytes);

	if (reply->after == BYTEWISE) {
		loop_defer(&loop, &conn->work);
		return;
	}

	if (conn->len)
		conn_send(conn, conn->len);
	if (conn->n_sent < conn->len)
		ev_io_start(loop.ev, &conn->writable);
	else
		conn_finish(conn);
}

/* How long the request is, or 0 when it is not all there. */
static size_t request_len(const char *request, size_t len)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *field = strstr(request, "Content-Length: ");
	size_t need;

	if (!end)
		return 0;

	need = (size_t)(end - request) + 4;
	if (field && field < end)
		need += strtoul(field + strlen("Content-Length: "), NULL, 10);
	return need <= len ? need : 0;
}

static void conn_on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct conn *conn = container_of(io, struct conn, io);
	struct server *server = conn->server;
	size_t room = sizeof(conn->request) - 1 - MIN(conn->request_len, sizeof(conn->request) - 1);
	char rest[65536]; /* of a long body, only the length counts */
	ssize_t n = recv(io->fd, room ? conn->request + conn->request_len : rest,
			 room ? room : sizeof(rest), 0);
	size_t len;

	if (n <= 0) {
		conn_close(conn);
		return;
	}

	conn->request_len += (size_t)n;
	conn->request[MIN(conn->request_len, sizeof(conn->request) - 1)] = '\0';
	len = request_len(conn->request, conn->request_len);
	/* What is not HTTP at all (a TLS handshake) is answered, too. */
	if (!len && conn->request[0] != 0x16)
		return;

	server->n_requests++;
	memcpy(server->request, conn->request, sizeof(server->request));
	conn->request_len = 0;
	if (server->on_request)
		server->on_request(server);
	if (server->holds)
		conn->owes = true;
	else
		conn_answer(conn);
}

static void server_on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct server *server = container_of(io, struct server, io);
	struct conn *conn = calloc(1, sizeof(*conn));
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	CHECK(conn && fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	conn->server = server;
	loop_work_init(&conn->work, conn_send_byte);
	list_append(&server->conns, &conn->node);
	server->n_accepted++;
	server->n_open++;
	server->most_open = MAX(server->most_open, server->n_open);
	ev_io_init(&conn->io, conn_on_readable, fd, EV_READ);
	ev_io_init(&conn->writable, conn_on_writable, fd, EV_WRITE);
	ev_io_start(ev, &conn->io);
}

void server_open(struct server *server, const struct reply *replies, size_t n)
{
	socklen_t len = sizeof(server->address);

	*server = (struct server){ .replies = replies, .n_replies = n };
	list_init(&server->conns);
	server->address.sin_family = AF_INET;
	server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(server->fd >= 0);
	CHECK_INT(bind(server->fd, (struct sockaddr *)&server->address, len), 0);
	CHECK_INT(getsockname(server->fd, (struct sockaddr *)&server->address, &len), 0);
	CHECK_INT(listen(server->fd, 128), 0);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/path",
		       ntohs(server->address.sin_port));
	ev_io_init(&server->io, server_on_readable, server->fd, EV_READ);
	ev_io_start(loop.ev, &server->io);
}

void server_close(struct server *server)
{
	list_for_each_safe (node, &server->conns)
		conn_close(container_of(node, struct conn, node));
	ev_io_stop(loop.ev, &server->io);
	CHECK_INT(close(server->fd), 0);
}

void server_release(struct server *server)
{
	server->holds = false;
	list_for_each_safe (node, &server->conns) {
		struct conn *conn = container_of(node, struct conn, node);

		if (conn->owes) {
			conn->owes = false;
			conn_answer(conn);
		}
	}
}

static void copy(char *dst, size_t size, const char *text)
{
	(void)snprintf(dst, size, "%s", text ? text : "(null)");
}

static void probe_on_done(struct http_request *request, const struct http_result *result)
{
	struct probe *probe = container_of(request, struct probe, request);

	CHECK(!http_request_in_flight(request));
	CHECK_INT(strlen(result->body), result->body_len);
	CHECK((result->outcome == HTTP_ANSWERED) == !result->why);
	probe->n_calls++;
	probe->result = *result;
	copy(probe->body, sizeof(probe->body), result->body);
	copy(probe->why, sizeof(probe->why), result->why);
	copy(probe->retry_after, sizeof(probe->retry_after), result->retry_after);
	copy(probe->content_type, sizeof(probe->content_type), result->content_type);
	n_waiting--;
	if (probe->then)
		probe->then(probe);
	/* Careful: the probe may be gone. */
	if (!n_waiting)
		loop_stop(&loop);
}

void probe_start(struct probe *probe, const struct http_spec *spec)
{
	struct error err = { 0 };

	http_request_init(&probe->request, probe_on_done);
	if (http_request_start(&probe->request, http, spec, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	n_waiting++;
}

void turn(void)
{
	(void)ev_run(loop.ev, EVRUN_ONCE);
}

void finish(void)
{
	if (n_waiting)
		loop_run(&loop);
	CHECK_INT(n_waiting, 0);
	CHECK_INT(http_stats(http)->in_flight, 0);
}

struct http_spec spec_for(const struct server *server)
{
	return (struct http_spec){
		.method = "GET",
		.url = server->url,
		.max_body = 1000,
		.timeout_ms = 20000,
		.allow_http = true,
	};
}

void fetch(struct probe *probe, const struct server *server)
{
	struct http_spec spec = spec_for(server);

	probe_start(probe, &spec);
	finish();
}
