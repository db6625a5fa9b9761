/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The tokens of a workspace on the platform: mint, list, revoke. The platform
 * takes fifty live ones and refuses more with a 429 that has no Retry-After.
 */

#include <stdbool.h>

#include "base/parse.h"
#include "platform/platform.h"

int tokens_mint(struct platform_call *call, struct platform *platform, const char *id,
		const char *token, struct error *err);
/* From this reply or a register's, in secret memory; NULL when it has none that is one. */
char *tokens_minted(const struct platform_reply *reply);

int tokens_list(struct platform_call *call, struct platform *platform, const char *id,
		const char *token, struct error *err);
/*
 * The id of the only live token with this prefix. false when none or several
 * have it: revoking the wrong one would be worse than leaving it.
 */
bool tokens_find(const struct platform_reply *reply, const char *prefix,
		 char ret_id[static UUID_LEN + 1]);

int tokens_revoke(struct platform_call *call, struct platform *platform, const char *id,
		  const char *token, const char *token_id, struct error *err);
