/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which generation of the platform answers. Probes have no side effects.
 */

#include <stdbool.h>

#include "platform/platform.h"

/*
 * Asks the activity log with a cursor that cannot be valid: a platform that
 * knows cursors answers 410, one that ignores them 200.
 */
int probe_cursors(struct platform_call *call, struct platform *platform, const char *id,
		  const char *token, struct error *err);

/* Whether the reply tells, and what. */
bool probe_read(const struct platform_reply *reply, bool *ret_cursors);
