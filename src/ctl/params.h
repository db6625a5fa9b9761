/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Writing a call's parameters, an object in JSON, into a buffer (that wipes
 * what it held: one of them may be a token). A NULL value is left out. Failures
 * stay in the buffer until the call looks at them.
 *
 *	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
 *
 *	params_begin(&params);
 *	params_string(&params, "name", name);
 *	status = ctl_call(ctl, "method", &params, &answer);
 */

#include <stdint.h>

#include "base/buffer.h"

#define PARAMS_INIT BUFFER_INIT((size_t)16 << 20) /* as much as a call may have */

void params_begin(struct buffer *params);

void params_string(struct buffer *params, const char *name, const char *value);
void params_json(struct buffer *params, const char *name, const char *json); /* checked before */
void params_true(struct buffer *params, const char *name);
void params_int64(struct buffer *params, const char *name, int64_t value);

/* An array of strings. */
void params_begin_list(struct buffer *params, const char *name);
void params_element(struct buffer *params, const char *value);
void params_end_list(struct buffer *params);

/* The whole text, NULL when it could not be made. */
const char *params_end(struct buffer *params);
