/* SPDX-License-Identifier: MIT */
/*
 * Minting, listing and revoking tokens.
 */

#include "platform/tokens.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"

static int tokens_call(struct platform_call *call, struct platform *platform,
		       struct platform_spec spec, struct error *err)
{
	spec.class = PLATFORM_FOREGROUND;
	return platform_call_start(call, platform, &spec, err);
}

int tokens_mint(struct platform_call *call, struct platform *platform, const char *id,
		const char *token, struct error *err)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/tokens", id);
	return tokens_call(call, platform,
			   (struct platform_spec){
				   .method = "POST",
				   .path = path,
				   .what = "mint a new token",
				   .id = id,
				   .token = token,
			   },
			   err);
}

char *tokens_minted(const struct platform_reply *reply)
{
	const char *token = json_get_string(reply->json, "auth_token");

	if (!token || parse_token(token, strlen(token)) < 0)
		return NULL;

	return secret_dup(token, strlen(token));
}

int tokens_list(struct platform_call *call, struct platform *platform, const char *id,
		const char *token, struct error *err)
{
	char path[96];

	/* The platform keeps fifty at most. */
	(void)snprintf(path, sizeof(path), "/workspaces/%s/tokens?limit=200", id);
	return tokens_call(call, platform,
			   (struct platform_spec){
				   .method = "GET",
				   .path = path,
				   .what = "list the tokens",
				   .id = id,
				   .token = token,
			   },
			   err);
}

bool tokens_find(const struct platform_reply *reply, const char *prefix,
		 char ret_id[static UUID_LEN + 1])
{
	struct json_object *tokens = json_get_array(reply->json, "tokens");
	unsigned found = 0;

	for (size_t i = 0; tokens && i < json_object_array_length(tokens); i++) {
		struct json_object *row = json_object_array_get_idx(tokens, i);
		const char *row_prefix = json_get_string(row, "prefix");
		const char *id = json_get_string(row, "id");

		if (row_prefix && id && strcmp(row_prefix, prefix) == 0 &&
		    parse_uuid(id, ret_id) == 0)
			found++;
	}

	return found == 1;
}

int tokens_revoke(struct platform_call *call, struct platform *platform, const char *id,
		  const char *token, const char *token_id, struct error *err)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/tokens/%s", id, token_id);
	return tokens_call(call, platform,
			   (struct platform_spec){
				   .method = "DELETE",
				   .path = path,
				   .what = "revoke the old token",
				   .id = id,
				   .token = token,
			   },
			   err);
}
