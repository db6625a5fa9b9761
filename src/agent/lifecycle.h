/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The life of a workspace as a table: (state, event) -> (state, actions). It is
 * pure; whoever reads the evidence makes events of it, and one driver
 * (agent/workspace.c) assigns the state and performs the actions.
 */

#include "base/error.h"

enum lifecycle_state {
	LIFECYCLE_JOINING, /* nothing known yet */
	LIFECYCLE_ONLINE,
	LIFECYCLE_DEGRADED, /* the platform says so */
	LIFECYCLE_PAUSED,
	LIFECYCLE_UNREACHABLE, /* three failures in a row; serving from memory */
	LIFECYCLE_MISROUTED,   /* answers come from something that is not our workspace */
	LIFECYCLE_AUTH_LOST,   /* no token that works */
	LIFECYCLE_REMOVED,     /* deleted on the platform */
	LIFECYCLE_LEAVING,     /* we go */
	LIFECYCLE_STATE_LAST = LIFECYCLE_LEAVING,
};

enum lifecycle_event {
	LIFECYCLE_ALIVE,  /* the platform knows us and means well */
	LIFECYCLE_AIL,    /* it calls us degraded, or failed */
	LIFECYCLE_PAUSE,  /* it calls us paused */
	LIFECYCLE_FAIL,   /* a try came to nothing */
	LIFECYCLE_LOSE,   /* the third one in a row */
	LIFECYCLE_STRAY,  /* somebody else answers */
	LIFECYCLE_REFUSE, /* it lives, and does not take our token; or we hold none */
	LIFECYCLE_DELETE, /* deletion is certain */
	LIFECYCLE_TOKEN,  /* another token is at hand */
	LIFECYCLE_LEAVE,
	LIFECYCLE_EVENT_LAST = LIFECYCLE_LEAVE,
};

/*
 * Starting what runs does nothing. The joining sequence begins by asking the
 * platform for our state, so while it runs, or waits to run, the poll rests.
 */
enum lifecycle_action {
	LIFECYCLE_BEAT = 1 << 0,    /* heartbeats, and secrets kept fresh */
	LIFECYCLE_HUSH = 1 << 1,    /* neither */
	LIFECYCLE_WATCH = 1 << 2,   /* state polls */
	LIFECYCLE_REJOIN = 1 << 3,  /* the joining sequence, now */
	LIFECYCLE_RETRY = 1 << 4,   /* the joining sequence, after a back-off */
	LIFECYCLE_PATIENT = 1 << 5, /* the joining sequence, in minutes: a person has to act */
	LIFECYCLE_SILENCE = 1 << 6, /* all traffic off */
	LIFECYCLE_WIPE = 1 << 7,    /* secrets out of memory */
};

struct lifecycle_step {
	enum lifecycle_state next;
	unsigned actions;
};

struct lifecycle_step lifecycle_next(enum lifecycle_state state, enum lifecycle_event event);

const char *
lifecycle_state_name(enum lifecycle_state state); /* "auth_lost", as the local API has it */
/* As what kind of error those are told of it who wait for what this state does not allow. */
enum error_kind lifecycle_refusal(enum lifecycle_state state);
const char *lifecycle_event_name(enum lifecycle_event event);
