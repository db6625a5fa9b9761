/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What we tell the service manager, and the journal. All of it is a no-op when
 * nobody asked (no NOTIFY_SOCKET), and none of it blocks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "io/loop.h"

void notify_ready(const char *status);
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(const char *status);

/*
 * The watchdog is fed at half its interval, from the loop: a loop that does not
 * turn is not fed. is_well() may withhold it too (NULL: never).
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

/*
 * The journal's native protocol as a log sink: a datagram that is sent or lost,
 * where sd_journal_send() would wait for a journal that hangs. True when
 * standard error is the journal's, so that the sink should be used.
 */
bool journal_is_ours(void);
int journal_sink(const struct log_record *record);
