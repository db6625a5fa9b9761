/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is kept of workspaces in the store: its tables, and the end of all rows
 * of one. Whose a row is says the column workspace, a workspace_settings_key().
 */

#include "agent/settings.h"
#include "agent/waiter.h"
#include "io/store.h"

/*
 * The store's migrations, ended by NULL. One that was released is never changed:
 * what is to be different goes into a script of its own, behind it.
 */
extern const char *const journal_migrations[];

/* Wipes all that is kept of a workspace; the waiter is told when it is gone for good. */
int journal_forget(struct store *store, const struct workspace_key *workspace,
		   struct waiter *waiter, struct error *err);
