/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the outboxes of all workspaces have in common: the journal. At a start it
 * is read once for all of them, however many there are; most have nothing in it,
 * and get no outbox. Once a day it is rid of what is too old.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/context.h"
#include "agent/roster.h"

#define OUTBOXES_KEEP_MS ((int64_t)30 * 24 * 3600000) /* after the last change */

struct outboxes {
	struct agent_context *context; /* borrowed, as all three */
	struct roster *roster;
	const struct list *workspaces;
	struct list jobs;
	struct timer prune_timer, load_timer; /* the latter after a failure */
	bool loading, again;                  /* again: others have come meanwhile */
};

void outboxes_init(struct outboxes *outboxes, struct agent_context *context, struct roster *roster,
		   const struct list *workspaces);
void outboxes_fini(struct outboxes *outboxes);

/* Workspaces have come: what earlier lives have begun for them goes on. */
void outboxes_load(struct outboxes *outboxes);

/* Whether there is anything in it to ask for. (Asking one that is not there would make it.) */
bool outboxes_have_journal(const struct outboxes *outboxes);
