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

#include "agent/context.h"
#include "agent/farewell.h"
#include "agent/outboxes.h"
#include "agent/roster.h"
#include "agent/settings.h"
#include "agent/workspace.h"
#include "base/buffer.h"
#include "base/list.h"

struct reaper;

struct agent {
	struct agent_context context; /* lent to every workspace */
	struct list workspaces;       /* sorted by name */
	size_t n_workspaces;
	struct roster roster;
	struct outboxes outboxes;
	struct farewells farewells;
	size_t n_started; /* by this round of agent_apply() */
	struct list platforms;
	bool stopping;
	struct loop_work quiet;
	void (*on_quiet)(void *data);
	void *quiet_data;
};

int agent_new(struct loop *loop, struct http *http, int state_dirfd,
	      const struct agent_events *events, void *events_data, struct agent **ret,
	      struct error *err);
void agent_free(struct agent *agent);

/*
 * Plugins are kept, too. What a killed daemon has left of them is cleaned up,
 * beside everything else.
 */
int agent_keep_plugins(struct agent *agent, struct reaper *reaper, struct error *err);

/*
 * Makes the workspaces be those of settings: starts new ones, stops those that
 * are gone, adjusts or restarts those that differ. All or nothing: on failure
 * nothing has changed. changed gets a JSON array of the names that were touched.
 */
int agent_apply(struct agent *agent, const struct agent_settings *settings, struct buffer *changed,
		struct error *err);

/* How long the starts of the last agent_apply() are spread over. */
int64_t agent_starts_ms(const struct agent *agent);

/* By name or id. NULL: none. */
struct workspace *agent_find(struct agent *agent, const char *name_or_id);
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

/* Goes on with what a kill has cut short, of those that have left. Once, when all are here. */
void agent_resume(struct agent *agent);

/* Whether there is anything on disk to forget but what agent_leave() does. */
bool agent_has_journal(const struct agent *agent);
/* Wipes what the journal has of a workspace that has left. */
int agent_forget(struct agent *agent, const struct workspace_key *workspace, struct waiter *waiter,
		 struct error *err);

/* on_quiet comes once, from the loop, when nothing is left that has to come to its end. */
void agent_stop(struct agent *agent, void (*on_quiet)(void *data), void *data);
void agent_wake(struct agent *agent, bool slept);

/* One phrase a workspace: "laptop online, ops paused". */
void agent_summary(const struct agent *agent, char *dst, size_t dst_size);
void agent_write_metrics(const struct agent *agent, struct buffer *out);
