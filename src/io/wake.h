/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells when it is worth trying again at once: the network came up (a link, an
 * address or a default route appeared: rtnetlink), or the host woke from sleep
 * (the boot clock ran on while the monotonic one stood: seen through a timerfd
 * that the kernel cancels when the wall clock is set, as it does on resume). It
 * costs nothing while nothing happens. Bursts become one call.
 *
 * What refreshes what is there, goes away, or concerns this host alone (leases,
 * router advertisements, wireless scans, a container's end of a bridge) is no
 * news.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"

#define WAKE_SETTLE_MS 500 /* an address, its routes and the resolver come one after another */
#define WAKE_LINKS_MAX 64  /* links remembered as up; beyond that a repetition is news again */

enum wake_reason {
	WAKE_NETWORK,
	WAKE_RESUME,
};

/* Which links are up: the kernel tells of them again at every change of anything. */
struct wake_links {
	int up[WAKE_LINKS_MAX]; /* interface indices */
	size_t n_up;
};

struct wake;
/* May stop the wake, or free what it lives in. slept_ms is 0 for WAKE_NETWORK. */
typedef void (*wake_fn)(struct wake *wake, enum wake_reason reason, int64_t slept_ms);

struct wake {
	struct loop *loop; /* borrowed */
	int netlink_fd, timer_fd;
	struct ev_io netlink, timer;
	struct timer settle;     /* a burst of changes ends before it is told */
	int64_t slept_before_ms; /* boot clock minus monotonic clock */
	struct wake_links links;
	wake_fn on_wake;
};

/* What cannot be watched is left out (a sandbox without netlink): that is no error. */
void wake_start(struct wake *wake, struct loop *loop, wake_fn on_wake);
void wake_stop(struct wake *wake);

/* Whether a datagram of rtnetlink's says that something came up. */
bool wake_is_news(struct wake_links *links, const void *datagram, size_t len);
