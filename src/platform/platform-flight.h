/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A call that is under way: in a platform's queue, or on the wire. Private to
 * platform.c.
 */

#include "platform/platform.h"

struct platform_flight {
	struct http_request http;
	struct platform *platform;  /* borrowed */
	struct platform_call *call; /* borrowed: whose it is */
	struct list node;           /* in a queue of the platform */
	enum platform_class class;
	bool queued, keep_raw, unread;
	platform_body_fn on_body; /* or NULL */
	struct http_party *party; /* borrowed; or NULL */
	uint64_t number;          /* in the order of sending */
	char *method, *url, *what;
	char id[40], caller[40];
	char *token; /* secret memory */
	struct buffer body;
	size_t max_body;
	int64_t timeout_ms, queued_at_ms;
};
