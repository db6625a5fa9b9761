/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The local API with a fake agent behind it, and clients that speak to it over
 * socket pairs in the same process: one turn of the loop is one call here, so a
 * test says exactly what has happened when.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "fake-agent.h"
#include "rpc/server.h"

#define OPS "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001"
#define LAB "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0002"
#define GROUP_GID 4711 /* of the group that may read and use */

struct fixture {
	struct loop loop;
	struct rpc_settings settings;
	struct server *server;
	unsigned n_reloads;
	enum error_kind reload_fails;
	bool stopped;
};

extern struct fixture fixture;

/* Settings may be changed before: they are the defaults when max_connections is 0. */
void fixture_init(void);
void fixture_fini(void);
void fixture_turn(void);
void fixture_turns(unsigned n);

struct client {
	int fd;
	size_t len;
	char *bytes; /* what was heard and not handed out */
	size_t capacity;
	bool ended; /* the server closed */
};

/* As root, which may do everything; or as somebody else. */
void client_open(struct client *client);
void client_open_as(struct client *client, uid_t uid, gid_t gid);
void client_close(struct client *client);
/* The last one closes, which leaves none, and then all ends. */
void fixture_end(struct client *client);

/* Sends it all, letting the server read meanwhile. */
void client_say(struct client *client, const char *text);
void client_say_bytes(struct client *client, const char *bytes, size_t len);
/* The next line, without its newline, or NULL when none comes: freed with the next call. */
const char *client_hear(struct client *client);
/* Both. */
const char *client_ask(struct client *client, const char *text);
/* Asks as id 1. The answer, which must be JSON, or NULL when none comes yet: as client_hear(). */
const char *client_call(struct client *client, const char *method, const char *params);
/* For such an answer: all that it must be, or an error's kind and what its sentence names. */
void check_result(const char *answer, const char *result);
void check_fails(const char *answer, const char *kind, const char *names);
/* Reads what is there without turning the loop. */
size_t client_pull(struct client *client);
/* Whether the server has closed the connection, once all was read. */
bool client_is_closed(struct client *client);
