/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who stays with a setup.sh while it runs: takes what it says, and when it has
 * ended, or is to end, kills all that it has started, whatever group or session
 * that went to: orphans come to the keeper. It does not go before they are gone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "helper/setup-warden.h"

#define SETUP_TAIL_MAX 240 /* bytes of the last line, for a sentence */

struct setup_keeper {
	int log, said; /* borrowed: where to keep what it says, and where it comes from */
	int boss;      /* borrowed: broken when the daemon is gone, or has lost interest */
	int signals;   /* owned */
	struct setup_warden *warden; /* borrowed */
	pid_t script;                /* 0: it has ended */
	uint64_t log_max;
	/* What came of it. */
	uint64_t n_said, n_lost; /* bytes; lost: over the limit, or the disk is full */
	int status;              /* of its exit; -1: by a signal */
	int signal;
	unsigned n_killed; /* processes that it had left, or that were not to go on */
	bool interrupted;
	char tail[SETUP_TAIL_MAX]; /* the last line that it said */
	size_t tail_len;
	bool tail_ended;
};

/* Before there is a script: who it starts must never get away. */
int setup_keeper_init(struct setup_keeper *keeper, struct error *err);
void setup_keeper_fini(struct setup_keeper *keeper);
/* What init changed, for the child that is to become the script. */
void setup_keeper_release_child(void);

/* Returns when nobody is left. */
void setup_keeper_run(struct setup_keeper *keeper);
