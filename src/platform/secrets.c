/* SPDX-License-Identifier: MIT */
/*
 * Asking for the bundle of secrets.
 */

#include "platform/secrets.h"

#include <stdio.h>

int secrets_fetch(struct platform_call *call, struct platform *platform,
		  const struct secrets_ask *ask, struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/secrets/values", ask->id);
	(void)snprintf(what, sizeof(what), "fetch the secrets of %s", ask->name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = ask->class,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = ask->id,
					   .token = ask->token,
					   .max_body = ask->max_body,
					   .keep_raw = true,
				   },
				   err);
}
