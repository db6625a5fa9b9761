/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fills the public error, from what happened here and from what the daemon
 * answered.
 */

#include <molecule/agent.h>

#include "base/error.h"
#include "base/jsontext.h"

/* Like error_set(); retryable follows from the kind. err may be NULL. */
int failure_set(struct mol_agent_error *err, enum error_kind kind, int errnum, const char *format,
		...) PRINTF(4, 5);

/* From a JSON-RPC error object; what it lacks is made up from its code. Returns -EREMOTEIO. */
int failure_from_answer(struct mol_agent_error *err, struct json_text error);
