/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What calling a peer directly has taught: whether it works, and what it
 * speaks. Most peers have none of these; it is made by the first call that has
 * something to remember.
 */

#include <stdint.h>

#include "agent/a2a-request.h"
#include "agent/breaker.h"
#include "base/list.h"

struct contact {
	struct list node; /* in the switchboard's */
	struct breaker breaker;
	enum a2a_version version;
	/* It closes connections that it has not said it would: each call has one of its own. */
	int64_t alone_until_ms;
	int64_t avoid_until_ms; /* it failed: until then it is called through the platform */
};
