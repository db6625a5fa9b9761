/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a subscription begins with: all that its types describe, as it is now.
 */

#include "agent/agent.h"
#include "base/buffer.h"

/* types: a bit for each enum event_type; only: the name of a workspace, or "" for all. */
void snapshot_write(struct buffer *out, const char *name, const struct agent *agent, unsigned types,
		    const char *only);
