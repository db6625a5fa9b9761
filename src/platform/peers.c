/* SPDX-License-Identifier: MIT */
/*
 * The peer list and discovery. The list's ?q= filter is never used: the
 * platform fails on it as soon as a peer has no role.
 */

#include "platform/peers.h"

#include <stdio.h>
#include <string.h>

int peers_fetch(struct platform_call *call, struct platform *platform, const char *id,
		const char *name, const char *token, size_t max_body, struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/registry/%s/peers", id);
	(void)snprintf(what, sizeof(what), "list the peers of %s", name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = PLATFORM_FOREGROUND,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = id,
					   .caller = id,
					   .token = token,
					   .max_body = max_body,
				   },
				   err);
}

int peers_count(const struct platform_reply *reply)
{
	if (!json_object_is_type(reply->json, json_type_array))
		return -1;

	return (int)json_object_array_length(reply->json);
}

bool peers_row(const struct platform_reply *reply, int index, struct peers_row *ret)
{
	struct json_object *row = json_object_array_get_idx(reply->json, (size_t)index);
	const char *id = json_get_string(row, "id");
	const char *parent = json_get_string(row, "parent_id");

	*ret = (struct peers_row){
		.name = json_get_string(row, "name"),
		.role = json_get_string(row, "role"),
		.status = json_get_string(row, "status"),
		.url = json_get_string(row, "url"),
		.card = json_get_object(row, "agent_card"),
	};
	(void)json_get_int64(row, "tier", &ret->tier);
	(void)json_get_int64(row, "active_tasks", &ret->active_tasks);
	if (parent && parse_uuid(parent, ret->parent_id) < 0)
		ret->parent_id[0] = '\0';

	return id && parse_uuid(id, ret->id) == 0;
}

int peers_discover(struct platform_call *call, struct platform *platform, const char *caller,
		   const char *token, const char *peer, struct error *err)
{
	char path[96], what[128];

	(void)snprintf(path, sizeof(path), "/registry/discover/%s", peer);
	(void)snprintf(what, sizeof(what), "discover the peer %s", peer);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = PLATFORM_FOREGROUND,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = peer,
					   .caller = caller,
					   .token = token,
				   },
				   err);
}

const char *peers_discovered_url(const struct platform_reply *reply)
{
	const char *url = json_get_string(reply->json, "url");

	return url && url[0] ? url : NULL;
}
