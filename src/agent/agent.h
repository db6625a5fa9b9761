/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * All workspaces of this host, and the platforms they share.
 *
 * News goes up through the callbacks given at construction; who listens is not
 * known here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings.h"
#include "agent/waiter.h"
#include "agent/workspace.h"
#include "base/buffer.h"
#include "base/list.h"
#include "io/http.h"
#include "io/loop.h"

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
	/* raised, or gone */
	void (*on_warning)(void *data, const struct agent_warning *warning, bool raised);
	/* A workspace with the reaction `exit` was paused (10) or deleted (11). */
	void (*on_exit)(void *data, struct workspace *workspace, int status);
	/* What workspace.join and leave change is kept across restarts by the owner. */
	int (*save)(void *data, const struct workspace_settings *settings, struct error *err);
	int (*forget)(void *data, const char *name, struct error *err);
};

struct agent {
	struct loop *loop;                 /* borrowed */
	struct http *http;                 /* borrowed */
	int state_dirfd;                   /* borrowed */
	const struct agent_events *events; /* borrowed */
	void *events_data;
	struct list workspaces; /* sorted by name */
	size_t n_workspaces;
	struct list platforms;
	struct list warnings;
	char machine[33]; /* for the phase: an id of this host, not the machine id itself */
	bool stopping;
};

int agent_new(struct loop *loop, struct http *http, int state_dirfd,
	      const struct agent_events *events, void *events_data, struct agent **ret,
	      struct error *err);
void agent_free(struct agent *agent);

/*
 * Makes the workspaces be those of settings: starts new ones, stops those that
 * are gone, adjusts or restarts those that differ. All or nothing: on failure
 * nothing has changed. changed gets a JSON array of the names that were touched.
 */
int agent_apply(struct agent *agent, const struct agent_settings *settings, struct buffer *changed,
		struct error *err);

/* By name or id. NULL: none. */
struct workspace *agent_find(const struct agent *agent, const char *name_or_id);
/* The only one; NULL with ERROR_NOT_FOUND or ERROR_CONFLICT and what to write instead. */
struct workspace *agent_only(const struct agent *agent, struct error *err);

/*
 * A workspace from the local API: saved, started. token may be NULL. The token
 * is stored before it is used. ERROR_CONFLICT: a workspace of that name, or of
 * that id on that platform, is there.
 */
int agent_join(struct agent *agent, const struct workspace_settings *settings, const char *token,
	       struct workspace **ret, struct error *err);
/*
 * Stops a workspace and removes it. One from a file comes back with the next
 * start or reload, unless the file goes. With forget its token and data are wiped.
 */
int agent_leave(struct agent *agent, struct workspace *workspace, bool forget, struct error *err);

void agent_stop(struct agent *agent);
void agent_wake(struct agent *agent, bool slept);

void agent_warn(struct agent *agent, const char *code, const char *workspace,
		enum agent_warning_severity severity, const char *format, ...) PRINTF(5, 6);
void agent_unwarn(struct agent *agent, const char *code, const char *workspace);
bool agent_has_warnings(const struct agent *agent);

/* One phrase a workspace: "laptop online, ops paused". */
void agent_summary(const struct agent *agent, char *dst, size_t dst_size);
void agent_write_metrics(const struct agent *agent, struct buffer *out);
