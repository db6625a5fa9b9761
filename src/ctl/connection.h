/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What it takes to join a workspace, from what a platform gives to people: the
 * reply to a workspace's creation (JSON), the environment block that its page
 * shows, or a token alone.
 */

#include <stddef.h>

#include "base/error.h"

struct connection {
	/* All owned, NULL: not given. */
	char *platform_url, *workspace_id, *name, *org_id, *origin;
	char *token; /* wiped */
};

/*
 * Fills what is still NULL; blank text fills nothing. Text that is none of the
 * three is ERROR_PARSE, a token that cannot be one ERROR_INVALID_PARAMS.
 */
int connection_read(struct connection *connection, const char *text, size_t len, struct error *err);
void connection_fini(struct connection *connection);

/* Whether it can be a token: a sentence in err when not. */
int connection_check_token(const char *token, size_t len, struct error *err);

static inline void connection_fini_auto(struct connection *connection)
{
	connection_fini(connection);
}
