/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How much the calls to peers may take, of all workspaces together. Past it a
 * call is refused at once: better so than to wait for ever, or for memory. One
 * peer may have half of it: a thousand calls, and as much is left for others.
 */

#include <stdint.h>

#include "base/setting.h"

struct call_settings {
	uint32_t max_calls;         /* 2,048 out at one time: each may be a connection */
	uint32_t max_waiting;       /* 1,024 that wait for one of these to end */
	uint64_t max_message_bytes; /* 64 MiB of messages that are out or wait */
	uint64_t max_reply_bytes;   /* 64 MiB of replies that are coming in */
};

extern const struct setting_table call_settings_table;

/* The defaults. */
void call_settings_init(struct call_settings *settings);
