/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the platform calls a workspace: asked as the workspace itself, or, when
 * its token is refused, as anybody.
 */

#include <stdbool.h>

#include "platform/platform.h"

void state_get(struct platform_call *call, struct platform *platform, const char *id,
	       const char *token);

struct state_answer {
	char status[41]; /* whatever string it is, cut */
	bool paused;
};

/* From a reply whose verdict is OK: 0, or an error that makes it PLATFORM_DOWN. */
int state_parse(const struct platform_reply *reply, const char *id, struct state_answer *ret,
		struct error *err);

/* GET /workspaces/ID without a token. */
void state_inquire(struct platform_call *call, struct platform *platform, const char *id);

enum state_finding {
	STATE_ALIVE,
	STATE_GONE,    /* removed, or purged */
	STATE_UNCLEAR, /* the platform is down or somebody else answers: nothing is known */
};

enum state_finding state_judge(const struct platform_reply *reply, const char *id);
