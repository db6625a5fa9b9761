/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The registry of the platform: register, heartbeat, card.
 */

#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"

/* How a register is tried; what worked is remembered. */
enum registry_way {
	REGISTRY_UNKNOWN,
	REGISTRY_URL,        /* with an inbound URL */
	REGISTRY_NO_INBOUND, /* "remote://no-inbound", as the Python SDK does */
	REGISTRY_POLL,       /* delivery_mode "poll", without URL (2026-08) */
	REGISTRY_HEARTBEAT,  /* not at all: heartbeats alone, and update-card */
};

struct registry_join {
	const char *id, *token; /* token may be NULL: the platform mints one */
	const char *url;        /* for REGISTRY_URL */
	const char *card;       /* JSON text, or NULL: {"name": name} */
	const char *name;
	enum registry_way way;
};

int registry_register(struct platform_call *call, struct platform *platform,
		      const struct registry_join *join, struct error *err);
struct registry_beat {
	const char *id, *name, *token;
	int64_t uptime_s;
	int32_t active_tasks;
	double error_rate;
	const char *current_task, *sample_error, *runtime_state; /* never NULL */
	int64_t timeout_ms;
};

int registry_heartbeat(struct platform_call *call, struct platform *platform,
		       const struct registry_beat *beat, struct error *err);

int registry_update_card(struct platform_call *call, struct platform *platform, const char *id,
			 const char *token, const char *card, size_t card_len, struct error *err);

const char *registry_way_name(enum registry_way way);
