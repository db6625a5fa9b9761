/* SPDX-License-Identifier: MIT */
/*
 * What the limits of calls to peers are called, may be, and are by default.
 */

#include "agent/call-settings.h"

#include "base/util.h"

#define MIB (1024LL * 1024)

#define AT(member) offsetof(struct call_settings, member)

static const struct setting call_settings[] = {
	{ .name = "max_calls",
	  .offset = AT(max_calls),
	  .type = SETTING_COUNT,
	  .min = 1,
	  .max = 65536,
	  .initial = "2048",
	  .help = "calls to peers that are out at one time; each may be a file descriptor" },
	{ .name = "max_waiting",
	  .offset = AT(max_waiting),
	  .type = SETTING_COUNT,
	  .min = 0,
	  .max = 65536,
	  .initial = "1024",
	  .help = "calls that wait for one of these to end; further ones are refused" },
	{ .name = "max_message_bytes",
	  .offset = AT(max_message_bytes),
	  .type = SETTING_SIZE,
	  .min = 2 * MIB,
	  .max = 1024 * MIB,
	  .initial = "64M",
	  .help = "messages that are out or wait, all together" },
	{ .name = "max_reply_bytes",
	  .offset = AT(max_reply_bytes),
	  .type = SETTING_SIZE,
	  .min = 2 * MIB,
	  .max = 1024 * MIB,
	  .initial = "64M",
	  .help = "replies that are coming in, all together" },
};

const struct setting_table call_settings_table = { call_settings, ARRAY_LEN(call_settings) };

void call_settings_init(struct call_settings *settings)
{
	*settings = (struct call_settings){ 0 };
	/* Numbers only: nothing that could fail, and a test reads each default. */
	(void)settings_reset(&call_settings_table, settings, NULL);
}
