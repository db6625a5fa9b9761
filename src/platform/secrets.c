/* SPDX-License-Identifier: MIT */
/*
 * Asking for the bundle of secrets.
 */

#include "platform/secrets.h"

#include <stdio.h>

int secrets_fetch(struct platform_call *call, struct platform *platform, const char *id,
		  const char *name, const char *token, size_t max_body, enum platform_class class,
		  struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/secrets/values", id);
	(void)snprintf(what, sizeof(what), "fetch the secrets of %s", name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = class,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = id,
					   .token = token,
					   .max_body = max_body,
					   .keep_raw = true,
				   },
				   err);
}
