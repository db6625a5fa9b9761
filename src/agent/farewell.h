/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Workspaces that leave for good, until all that was kept of them is wiped. They
 * are noted on disk before anything else is done; killed in between, the next
 * start goes on, unless the workspace is still here, or here again.
 */

#include <stdbool.h>

#include "agent/context.h"
#include "agent/settings.h"
#include "agent/waiter.h"
#include "base/list.h"

struct farewells {
	struct agent_context *context; /* borrowed */
	struct list pending;           /* whose journal is being wiped */
};

void farewells_init(struct farewells *farewells, struct agent_context *context);
void farewells_fini(struct farewells *farewells); /* what is noted stays so */

/* It is about to go. What cannot be noted, as on a full disk, is not to be begun. */
int farewell_begin(struct farewells *farewells, const struct workspace_key *key, struct error *err);
/* All is wiped, or is to be kept after all. */
void farewell_end(struct farewells *farewells, const struct workspace_key *key);
/* Wipes what the journal has of it, and ends; the waiter (or NULL) is told. */
int farewell_wipe_journal(struct farewells *farewells, const struct workspace_key *key,
			  struct waiter *waiter, struct error *err);

/* Goes on with those that were cut short. */
void farewells_resume(struct farewells *farewells, bool has_journal,
		      bool (*is_here)(void *data, const struct workspace_key *key), void *data);
