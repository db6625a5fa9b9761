/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What we tell the service manager. All of it is a no-op when nobody asked (no
 * NOTIFY_SOCKET), and none of it blocks: sd_notify() would, while the manager
 * does not read.
 *
 * Each returns 0 when it was sent or nobody asked, and -errno when it was lost:
 * -EAGAIN means that the manager is busy, and that trying again later helps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

/* A status is one line, made so if it is not; it may be NULL. */
int notify_ready(const char *status);
int notify_status(const char *status);
int notify_reloading(void); /* to be followed by notify_ready() */
int notify_stopping(const char *status);

/*
 * The watchdog is fed at half its interval, from the loop: a loop that does not
 * turn is not fed. is_well() may withhold it too (NULL: never). After a meal
 * that was withheld or lost the next one is tried soon.
 */
struct watchdog {
	struct timer timer;
	int64_t interval_ms; /* 0: nobody asked */
	bool (*is_well)(void *data);
	void *data;
};

void watchdog_start(struct watchdog *watchdog, struct loop *loop, bool (*is_well)(void *data),
		    void *data);
void watchdog_stop(struct watchdog *watchdog);
