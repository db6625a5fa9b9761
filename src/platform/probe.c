/* SPDX-License-Identifier: MIT */
/*
 * Feature probes.
 */

#include "platform/probe.h"

#include <stdio.h>

/* A valid UUID that no row has. */
#define NO_ROW "00000000-0000-4000-8000-000000000000"

int probe_cursors(struct platform_call *call, struct platform *platform, const char *id,
		  const char *token, struct error *err)
{
	char path[192];

	(void)snprintf(path, sizeof(path),
		       "/workspaces/%s/activity?type=a2a_receive&limit=1&since_id=" NO_ROW, id);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = PLATFORM_BACKGROUND,
					   .method = "GET",
					   .path = path,
					   .what = "probe for cursors",
					   .id = id,
					   .token = token,
				   },
				   err);
}

bool probe_read(const struct platform_reply *reply, bool *ret_cursors)
{
	if (reply->status != 200 && reply->status != 410)
		return false;

	*ret_cursors = reply->status == 410;
	return true;
}
