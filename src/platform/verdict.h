/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From what came over HTTP to what it is evidence of. Pure.
 */

#include <stdint.h>

#include "platform/flight.h"

/*
 * Fills reply; reply->json is a new reference when there is one. now_s is the
 * wall clock, for a Retry-After that is a date.
 */
void verdict_read(const struct platform_flight *flight, const struct http_result *result,
		  int64_t now_s, struct platform_reply *reply);

/* The reply to a flight that never got out. */
void verdict_unsent(const struct platform_flight *flight, enum error_kind kind, const char *why,
		    struct platform_reply *reply);
