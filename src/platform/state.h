/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the platform calls a workspace: asked as the workspace itself, or, when
 * its token is refused, as anybody.
 */

#include <stdbool.h>

#include "platform/platform.h"

/* name: the workspace's, for sentences. */
int state_get(struct platform_call *call, struct platform *platform, const char *id,
	      const char *name, const char *token, struct error *err);

struct state_answer {
	char status[41]; /* whatever string it is, cut */
	bool paused;
};

/* From a reply whose verdict is OK: 0, or an error that makes it PLATFORM_DOWN. */
int state_parse(const struct platform_reply *reply, const char *id, struct state_answer *ret,
		struct error *err);

/* GET /workspaces/ID without a token. */
int state_inquire(struct platform_call *call, struct platform *platform, const char *id,
		  const char *name, struct error *err);

enum state_finding {
	STATE_ALIVE,
	STATE_REMOVED, /* deleted, and kept as a memory */
	STATE_ABSENT,  /* no such workspace: purged, or never there */
	STATE_UNCLEAR, /* the platform is down or somebody else answers: nothing is known */
};

enum state_finding state_judge(const struct platform_reply *reply, const char *id);
