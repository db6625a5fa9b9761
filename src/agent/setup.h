/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A run of a plugin's setup.sh, by molecule-setup: confined, in an environment of
 * its own, for a limited time, after which all of it is killed. What it says goes
 * to a file; how it ends is told here.
 *
 * Stopping it kills it, and its callback then never comes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/process.h"

#define SETUP_TIMEOUT_MS 120000 /* as other installers have it */
#define SETUP_LOG_MAX 1048576   /* bytes that are kept of what it says */
#define SETUP_LOG "setup.log"

struct setup;

struct setup_result {
	bool ok;
	bool timed_out;
	int exit;        /* its status, 128 + the signal that ended it, or -1: it never ran */
	const char *log; /* path of the file; "" when there is none */
	const char *why; /* a sentence, when it is not ok */
	int landlock;    /* version of what confined it; 0: nothing did */
	unsigned killed; /* processes that it had left */
};

/* result is borrowed. May free the setup. */
typedef void (*setup_fn)(struct setup *setup, const struct setup_result *result);

/* Everything is borrowed until setup_start() returns. */
struct setup_ask {
	const char *name; /* of the plugin */
	int tree;         /* its directory */
	int work;         /* where the log goes, and temporary files meanwhile; not in the tree */
	const char *configs; /* CONFIGS_DIR; NULL: the plugin's directory */
	int64_t timeout_ms;  /* 0: SETUP_TIMEOUT_MS */
};

struct setup {
	struct process process;
	setup_fn on_end;
	struct buffer said; /* by molecule-setup, not by the script */
	int64_t timeout_ms;
	char name[80];
	char *log; /* owned */
};

void setup_init(struct setup *setup, setup_fn on_end);
int setup_start(struct setup *setup, struct reaper *reaper, const struct setup_ask *ask,
		struct error *err);
void setup_stop(struct setup *setup); /* takes a zeroed one, or one that does not run */
bool setup_is_running(const struct setup *setup);
