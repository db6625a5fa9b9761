/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon: builds the tree of objects, hears signals, tells the service
 * manager, and takes everything down in order.
 */

#include <stdbool.h>

#include "base/error.h"
#include "config.h"

/* What holds for the whole process, before anything secret is read. */
void daemon_harden(void);

/*
 * Runs until it is told to stop. once: joins, beats, looks, and returns.
 * Returns the exit status; why it could not start has been logged.
 */
int daemon_run(const struct config_paths *paths, struct config *config, bool once);
