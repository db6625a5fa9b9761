/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What we are, as the local API shows it. Each appends one JSON value; name is
 * that of the member it becomes, or NULL.
 */

#include "agent/agent.h"
#include "base/buffer.h"

void status_write_workspace(struct buffer *out, const char *name,
			    const struct workspace *workspace);
void status_write_report(struct buffer *out, const char *name, const struct workspace *workspace);
/* workspace: NULL where it is plain whose it is. */
void status_write_delegation(struct buffer *out, const char *name, const char *workspace,
			     const struct delegation *delegation);
void status_write_warning(struct buffer *out, const char *name,
			  const struct agent_warning *warning);

/* Arrays of all there are. */
void status_write_workspaces(struct buffer *out, const char *name, const struct agent *agent);
void status_write_warnings(struct buffer *out, const char *name, const struct agent *agent);

/* The names of the secrets, as an array. */
void status_write_keys(struct buffer *out, const char *name, const struct vault *vault);
/* Members of an object that says how the list of peers is, without listing them. */
void status_write_peers(struct buffer *out, const struct workspace *workspace);

/* Members of an object that says how far an installation is. */
void status_write_plugin_progress(struct buffer *out, const struct shelf_progress *progress);

/* When it was fetched, or null. */
void status_write_fetched_at(struct buffer *out, bool fetched, int64_t wall_ms);
