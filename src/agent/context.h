/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What everything in this folder shares: the loop, the state directory, who
 * wants to hear, and the warnings that stand. One a process, lent by the agent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/lifecycle.h"
#include "agent/settings.h"
#include "base/error.h"
#include "base/list.h"
#include "io/host.h"
#include "io/http.h"
#include "io/loop.h"

struct delegation;
struct plugin_pool;
struct shelf_progress;
struct store;
struct switchboard;
struct workspace;

enum agent_warning_severity {
	AGENT_WARNING,
	AGENT_CRITICAL,
};

/* A standing condition that an operator should know of; gone when it is mended. */
struct agent_warning {
	struct list node;
	char code[32];                          /* "secrets_stale", "memory_not_locked" */
	char workspace[WORKSPACE_NAME_MAX + 1]; /* "" when it is about the daemon */
	enum agent_warning_severity severity;
	char text[ERROR_TEXT_MAX];
	int64_t since_wall_ms;
};

struct agent_events {
	void (*on_state)(void *data, struct workspace *workspace, enum lifecycle_state before);
	void (*on_report)(void *data, struct workspace *workspace);
	/* changed: a JSON array of names; borrowed */
	void (*on_secrets)(void *data, struct workspace *workspace, const char *changed,
			   size_t len);
	void (*on_peers)(void *data, struct workspace *workspace);
	/* Borrowed. */
	void (*on_delegation)(void *data, struct workspace *workspace,
			      const struct delegation *delegation);
	/* An installation has come further, or to its end. */
	void (*on_plugin)(void *data, struct workspace *workspace,
			  const struct shelf_progress *progress);
	/* raised, or gone */
	void (*on_warning)(void *data, const struct agent_warning *warning, bool raised);
	/* A workspace with the reaction `exit` was paused (10) or deleted (11). */
	void (*on_exit)(void *data, struct workspace *workspace, int status);
	/* What workspace.join and leave change is kept across restarts by the owner. */
	int (*save)(void *data, const struct workspace_settings *settings, struct error *err);
	int (*forget)(void *data, const char *name, struct error *err);
};

/* What all workspaces did so far, those included that have left. */
struct agent_counts {
	struct {
		uint64_t ok, failed;
	} polls, secrets, peers;
	uint64_t registers; /* tries */
};

struct agent_context {
	struct loop *loop;               /* borrowed */
	struct http *http;               /* borrowed */
	struct switchboard *switchboard; /* owned by the agent; what all calls to peers share */
	int state_dirfd;                 /* borrowed */
	struct store *store;             /* borrowed; NULL: there is no journal */
	struct plugin_pool *pool;        /* owned; NULL: nothing is done about plugins here */
	struct plugin_settings plugins;
	const struct agent_events *events; /* borrowed */
	void *events_data;
	struct list warnings;
	struct agent_counts counts;
	char machine[HOST_ID_SIZE]; /* for the phase: an id of this host, not the machine id itself
				     */
};

/* Raises a warning, or gives one that stands another text. */
void agent_warn(struct agent_context *context, const char *code, const char *workspace,
		enum agent_warning_severity severity, const char *format, ...) PRINTF(5, 6);
void agent_unwarn(struct agent_context *context, const char *code, const char *workspace);
/* All that are about a workspace which is gone. */
void agent_unwarn_all(struct agent_context *context, const char *workspace);
bool agent_has_warnings(const struct agent_context *context);
