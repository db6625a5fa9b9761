/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An HTTP server on the test's own loop that answers as it is told, byte for
 * byte, and a client that remembers what its callback was told.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/http.h"
#include "io/loop.h"

enum after {
	KEEP,     /* the connection stays */
	CLOSE,    /* FIN */
	RESET,    /* RST */
	BYTEWISE, /* stays, and each byte comes in a turn of its own */
};

struct reply {
	const char *bytes;
	size_t len; /* 0: strlen(); no bytes at all: say nothing */
	enum after after;
};

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

struct server {
	int fd;
	struct ev_io io;
	struct sockaddr_in address;
	char url[64];
	struct list conns;
	const struct reply *replies; /* used in order, the last one for ever */
	size_t n_replies;
	void (*on_request)(struct server *server); /* or NULL */
	bool holds;                                /* answers nothing until server_release() */
	unsigned n_accepted, n_open, most_open, n_requests;
	size_t n_sent;      /* bytes of replies that the sockets took */
	char request[4096]; /* the latest */
};

extern struct loop loop;
extern struct http *http;

/* The loop, the client side, and as many servers as one likes. */
void set_up(void);
void tear_down(void);

void server_open(struct server *server, const struct reply *replies, size_t n);
void server_close(struct server *server);
void server_release(struct server *server);

#define SERVER(name, ...)                                      \
	struct server name;                                    \
	const struct reply name##_replies[] = { __VA_ARGS__ }; \
	server_open(&name, name##_replies, ARRAY_LEN(name##_replies))

struct probe {
	struct http_request request;
	unsigned n_calls;
	struct http_result result; /* of its pointers only those that follow here are good */
	char body[128], why[256], retry_after[64], content_type[64];
	void (*then)(struct probe *probe); /* may free the probe */
};

extern unsigned n_waiting; /* probes that must end before finish() returns */

void probe_start(struct probe *probe, const struct http_spec *spec);
/* One turn of the loop, which may wait. */
void turn(void);
/* Runs the loop until all probes have ended. */
void finish(void);

/* A GET with sensible limits, for a test to change. */
struct http_spec spec_for(const struct server *server);
/* Starts a GET of the server and runs until it ended. */
void fetch(struct probe *probe, const struct server *server);
