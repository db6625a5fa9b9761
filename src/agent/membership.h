/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a workspace lends to its parts: whom they belong to on the platform, and
 * how it is. The parts know no workspace; their news goes up through callbacks.
 */

#include "agent/agenda.h"
#include "agent/context.h"
#include "agent/lifecycle.h"
#include "agent/settings.h"
#include "agent/token.h"
#include "base/backoff.h"
#include "platform/platform.h"

/* How all polling backs off: from 1 s to 5 min, forgotten after a minute that went well. */
#define BACKOFF_FIRST_MS 1000
extern const struct backoff_policy polling_backoff;

struct membership {
	struct agent_context *context;
	struct agenda *agenda;
	struct platform *platform;
	const struct workspace_settings *settings;
	const struct token *token;
	const enum lifecycle_state *state;
};
