/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells the platform, every few seconds, that we are alive: on a phase that is
 * this host's and this workspace's own, so that a fleet does not beat in step,
 * and independent of everything else. A beat that is still out when the next
 * is due is cancelled, not doubled.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/membership.h"
#include "agent/reporter.h"
#include "base/backoff.h"
#include "base/error.h"
#include "platform/platform.h"

#define HEARTBEAT_TIMEOUT_MS 10000 /* well below the interval */

struct heartbeat;
typedef void (*heartbeat_fn)(struct heartbeat *heartbeat, const struct platform_reply *reply);

struct heartbeat {
	const struct membership *member; /* borrowed */
	const struct reporter *reporter; /* borrowed: what a beat says */
	int64_t born_ms;                 /* monotonic: uptime counts from here */
	struct platform_call call;
	bool running;
	uint32_t phase;                  /* of 2^32 to the interval */
	int64_t hold_until_ms;           /* monotonic: beats that fall before it are left out */
	int64_t last_ok_wall_ms;         /* 0: never */
	struct error *last_error;        /* owned; NULL: none */
	uint32_t sent, ok, failed, late; /* late: begun more than a second after it was due */
	struct backoff backoff;
	heartbeat_fn on_reply;
};

void heartbeat_init(struct heartbeat *heartbeat, const struct membership *member,
		    const struct reporter *reporter, heartbeat_fn on_reply);
void heartbeat_fini(struct heartbeat *heartbeat);

/* On the workspace's phase; the first beat is due within one interval. */
void heartbeat_start(struct heartbeat *heartbeat);
/* Nobody is to hear of the beat that is out any more. */
void heartbeat_recall(struct heartbeat *heartbeat);
/* The agenda says that one is due, and since when. */
void heartbeat_due(struct heartbeat *heartbeat, int64_t due_ms);
/* The interval has changed; a beat that is out stays out. */
void heartbeat_adjust(struct heartbeat *heartbeat);
void heartbeat_stop(struct heartbeat *heartbeat);
/* One beat now, out of order; on_reply follows. Takes the place of one that is out. */
void heartbeat_now(struct heartbeat *heartbeat);
