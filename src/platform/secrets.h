/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GET /workspaces/ID/secrets/values. The reply's body is the bundle, checked
 * and not parsed: a flat object of strings.
 */

#include "platform/platform.h"

struct secrets_ask {
	const char *id, *name, *token;
	size_t max_body;
	enum platform_class class;
};

int secrets_fetch(struct platform_call *call, struct platform *platform,
		  const struct secrets_ask *ask, struct error *err);
