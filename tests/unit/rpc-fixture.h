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

/* Sends it all, letting the server read meanwhile. */
void client_say(struct client *client, const char *text);
void client_say_bytes(struct client *client, const char *bytes, size_t len);
/* The next line, without its newline, or NULL when none comes: freed with the next call. */
const char *client_hear(struct client *client);
/* Both. */
const char *client_ask(struct client *client, const char *text);
/* Reads what is there without turning the loop. */
size_t client_pull(struct client *client);
/* Whether the server has closed the connection, once all was read. */
bool client_is_closed(struct client *client);
