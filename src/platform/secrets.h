/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GET /workspaces/ID/secrets/values. The reply's body is the bundle, checked
 * and not parsed: a flat object of strings.
 */

#include "platform/platform.h"

int secrets_fetch(struct platform_call *call, struct platform *platform, const char *id,
		  const char *name, const char *token, size_t max_body, enum platform_class class,
		  struct error *err);
