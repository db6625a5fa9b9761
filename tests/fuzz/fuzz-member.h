/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a workspace lends to its parts, for fuzzers that give a part its answer
 * by hand. Nothing is ever sent: there is no platform.
 */

#include "agent/membership.h"
#include "fuzz.h"

static inline void member_ignore_warning(void *data, const struct agent_warning *warning,
					 bool raised)
{
}

static inline const struct membership *fuzz_member(void)
{
	static const struct agent_events events = { .on_warning = member_ignore_warning };
	static const enum lifecycle_state state = LIFECYCLE_ONLINE;
	static struct loop loop;
	static struct agent_context context = { .loop = &loop, .events = &events };
	static struct workspace_settings settings = { .name = "laptop", .url_cache_ttl_ms = 1000 };
	static const struct token token;
	static struct agenda agenda;
	static const struct membership member = { .context = &context,
						  .agenda = &agenda,
						  .settings = &settings,
						  .token = &token,
						  .state = &state };

	if (!loop.ev) {
		REQUIRE(loop_init(&loop) == 0);
		list_init(&context.warnings);
		agenda_init(&agenda, &loop, NULL);
	}
	return &member;
}
