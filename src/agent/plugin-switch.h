/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Switching a plugin to one of its versions, be it a new one or the one before.
 * The helper writes the record down, makes all of it last, and renames: from its
 * first moment on it may have happened, and what is on disk counts.
 */

#include <stdbool.h>

#include "agent/plugin-helper.h"
#include "agent/plugin.h"

struct plugin_switch {
	const char *what; /* for sentences: "roll pdf-tools back" */
	const char *name;
	const struct plugin_record *record; /* of what it is switched to */
	int dirfd;                          /* of the workspace's plugins */
	bool sync;                          /* the files, too: they are others than were unpacked */
};

/* Nothing of the switch is kept. helper is initialised, and does not run. */
int plugin_switch_start(const struct plugin_switch *to, struct plugin_helper *helper,
			struct reaper *reaper, struct error *err);
