/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon: builds the tree of objects, hears signals, tells the service
 * manager, and takes everything down in order.
 */

#include <stdbool.h>

#include "base/error.h"
#include "config.h"

enum daemon_exit {
	DAEMON_STOPPED = 0,
	DAEMON_FAILED = 1,
	DAEMON_PAUSED = 10,  /* a workspace with on_pause = exit was paused */
	DAEMON_DELETED = 11, /* one with on_delete = exit was deleted */
	DAEMON_USAGE = 64,
	DAEMON_CONFIG = 78,
};

/* What holds for the whole process, before anything secret is read. */
void daemon_harden(void);

/*
 * Runs until it is told to stop. once: joins, beats, looks, and returns.
 * Returns the exit status; why it could not start has been logged.
 */
int daemon_run(const struct config_paths *paths, struct config *config, bool once);
