/* SPDX-License-Identifier: MIT */
/*
 * The state of a workspace, and the inquiry after a 401: the workspace's own
 * token is refused both when it was revoked and when the workspace is gone
 * (and when the platform has lost its database), so only the public object,
 * which needs no token, can tell these apart.
 */

#include "platform/state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

int state_get(struct platform_call *call, struct platform *platform, const char *id,
	      const char *name, const char *token, struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/state", id);
	(void)snprintf(what, sizeof(what), "read the state of %s", name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = PLATFORM_STATE,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = id,
					   .token = token,
				   },
				   err);
}

int state_parse(const struct platform_reply *reply, const char *id, struct state_answer *ret,
		struct error *err)
{
	const char *status = json_get_string(reply->json, "status");
	const char *named = json_get_string(reply->json, "workspace_id");
	bool paused = false;

	if (named && strcasecmp(named, id) != 0)
		return error_set(err, ERROR_PLATFORM, 0,
				 "the platform answers with the state of another workspace");
	if (!status || !status[0])
		return error_set(err, ERROR_PLATFORM, 0,
				 "the platform's answer has no status in it");

	*ret = (struct state_answer){ 0 };
	(void)error_quote(ret->status, sizeof(ret->status), status, strlen(status));
	(void)json_get_bool(reply->json, "paused", &paused);
	ret->paused = paused || strcmp(status, "paused") == 0;
	return 0;
}

int state_inquire(struct platform_call *call, struct platform *platform, const char *id,
		  const char *name, struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s", id);
	(void)snprintf(what, sizeof(what), "ask whether %s still exists", name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = PLATFORM_STATE,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = id,
				   },
				   err);
}

static enum state_finding judge_object(const struct platform_reply *reply, const char *id)
{
	const char *named = json_get_string(reply->json, "id");
	const char *status = json_get_string(reply->json, "status");

	if (!named || strcasecmp(named, id) != 0 || !status)
		return STATE_UNCLEAR;

	return strcmp(status, "removed") == 0 ? STATE_REMOVED : STATE_ALIVE;
}

enum state_finding state_judge(const struct platform_reply *reply, const char *id)
{
	switch (reply->verdict) {
	case PLATFORM_OK:
		return judge_object(reply, id);
	case PLATFORM_DELETED:
		return STATE_REMOVED;
	case PLATFORM_MISSING:
		return STATE_ABSENT;
	case PLATFORM_DOWN:
	case PLATFORM_UNAUTHORIZED:
	case PLATFORM_STRAY:
	case PLATFORM_LIMITED:
	case PLATFORM_REJECTED:
		break;
	}
	return STATE_UNCLEAR;
}
