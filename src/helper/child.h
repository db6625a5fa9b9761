/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The process that reads the archive: inflates, parses, and says as frames what
 * it has found. It can do nothing else; see helper/sandbox.h.
 */

#include <sys/types.h>

#include "helper/policy.h"

struct child {
	pid_t pid;
	int feed;   /* the archive goes in here; does not block */
	int frames; /* and what is in it comes out */
};

/* The child does not return from this. */
int child_start(const struct policy_limits *limits, struct child *ret, struct error *err);
