/* SPDX-License-Identifier: MIT */
/*
 * What the parts of all workspaces have in common.
 */

#include "agent/membership.h"

const struct backoff_policy polling_backoff = {
	.first_ms = BACKOFF_FIRST_MS,
	.cap_ms = 300000,
	.steady_ms = 60000,
};
