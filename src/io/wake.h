/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells when it is worth trying again at once: the network came up (an address
 * or a route appeared: rtnetlink), or the host woke from sleep (the boot clock
 * ran on while the monotonic one stood: seen through a timerfd that the kernel
 * cancels when the wall clock is set, as it does on resume). It costs nothing
 * while nothing happens. Bursts become one call.
 */

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

enum wake_reason {
	WAKE_NETWORK,
	WAKE_RESUME,
};

struct wake;
typedef void (*wake_fn)(struct wake *wake, enum wake_reason reason, int64_t slept_ms);

struct wake {
	struct loop *loop; /* borrowed */
	int netlink_fd, timer_fd;
	struct ev_io netlink, timer;
	struct timer settle;     /* a burst of changes ends before it is told */
	int64_t slept_before_ms; /* boot clock minus monotonic clock */
	wake_fn on_wake;
};

/* What cannot be watched is left out (a sandbox without netlink): that is no error. */
void wake_start(struct wake *wake, struct loop *loop, wake_fn on_wake);
void wake_stop(struct wake *wake);
