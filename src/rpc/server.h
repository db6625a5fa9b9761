/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The local socket: JSON-RPC 2.0 for whoever on this host may ask.
 *
 * It accepts connections within the limits, tells the callers of what changes,
 * and ends in order: no new calls, then those that wait, then the rest.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/buffer.h"
#include "base/error.h"
#include "io/peercred.h"
#include "rpc/hub.h"
#include "rpc/settings.h"

#define SERVER_LISTENERS_MAX 8
#define SERVER_RESERVE 16 /* connections above the limit for root and our own user */

struct server;

typedef void (*server_stopped_fn)(void *data);

/* group: whose members may read and use; NULL or "": nobody's. */
int server_new(const struct hub_host *host, const struct rpc_settings *settings, const char *group,
	       struct server **ret, struct error *err);
/* Closes everything at once. */
void server_free(struct server *server);

/* Listens at path, for the group as far as it exists. */
int server_bind(struct server *server, const char *path, struct error *err);
/* Takes a listening socket, on success. */
int server_adopt(struct server *server, int fd, struct error *err);

/*
 * A connection that was accepted elsewhere: fd is non-blocking, and is ours from
 * here on, whether there is room for it or not. peer is only looked at.
 */
void server_take(struct server *server, int fd, const struct peercred *peer);

/* From now on, for new connections. Looks the group up again. */
void server_configure(struct server *server, const struct rpc_settings *settings,
		      const char *group);

/*
 * No new connections, and no new calls either, after a moment for those who are
 * just about to speak. Calls that wait may go on for timeout_ms, then they are
 * answered `cancelled`. on_stopped comes once, from the loop, when the last
 * connection is closed; the server may be freed there.
 */
void server_stop(struct server *server, int64_t timeout_ms, server_stopped_fn on_stopped,
		 void *data);

/* What the agent tells (struct agent_events) is handed on to these. */
void server_on_state(struct server *server, struct workspace *workspace,
		     enum lifecycle_state before);
void server_on_report(struct server *server, struct workspace *workspace);
void server_on_secrets(struct server *server, struct workspace *workspace, const char *changed,
		       size_t len);
void server_on_peers(struct server *server, struct workspace *workspace);
void server_on_delegation(struct server *server, struct workspace *workspace,
			  const struct delegation *delegation);
void server_on_plugin(struct server *server, struct workspace *workspace,
		      const struct shelf_progress *progress);
void server_on_warning(struct server *server, const struct agent_warning *warning, bool raised);

/* Everything that the daemon counts, as OpenMetrics. */
void server_write_metrics(const struct server *server, struct buffer *out);
uint32_t server_connections(const struct server *server);
