/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connection's share of what a workspace reports about itself. It goes when
 * the connection does, or the workspace.
 */

#include "agent/reporter.h"
#include "agent/workspace.h"
#include "rpc/caller.h"

#define SHARES_MAX 64 /* a connection: one that speaks for more workspaces opens another */

struct share {
	struct list node;            /* in the caller's */
	struct caller *caller;       /* borrowed */
	struct workspace *workspace; /* borrowed */
	struct report_share report;
};

/* This caller's share of this workspace; made when there is none. */
int share_get(struct caller *caller, struct workspace *workspace, struct share **ret,
	      struct error *err);

/* Takes them all back; the workspaces are told. */
void shares_end_all(struct caller *caller);
/* The workspace goes: nobody has a share of it any more. */
void shares_forget(struct hub *hub, const struct workspace *workspace);
