/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bearer token of a workspace: where it comes from, and how it is kept.
 *
 * Sources, the first that has one wins: what workspace.join or token.set gave
 * and has worked (STATE/tokens/ID@HOST), a systemd credential, the configured file,
 * the Python SDK's ~/.molecule/ID/.auth_token, what a cut-short change left. On disk a token is
 * 0600 from birth and replaced atomically; in memory it is in locked, wiped pages. It is written
 * before it is used: a token that exists only in memory can be lost. The file's name holds the
 * platform, so that a token can go to no other one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent/settings.h"
#include "base/error.h"

#define TOKEN_MAX 512
#define TOKEN_PREFIX_LEN 8 /* what the platform shows of a token */

enum token_source {
	TOKEN_NONE,
	TOKEN_STATE,
	TOKEN_CREDENTIAL,
	TOKEN_FILE,
	TOKEN_SDK,
	TOKEN_UNPROVEN, /* a change of token was cut short */
};

struct token {
	char *text; /* secret memory, owned; NULL: none */
	enum token_source source;
};

/* One that a caller gave: ERROR_INVALID_PARAMS when it cannot be one. */
int token_check_given(const char *text, size_t len, struct error *err);

void token_fini(struct token *token);

/*
 * 0 with token->text NULL when there is none anywhere; an error when one is
 * there and bad. refused: one that the platform does not take, which is passed
 * over (NULL: none).
 */
int token_load(struct token *token, int state_dirfd, const struct workspace_settings *settings,
	       const char *refused, struct error *err);

/* On disk first, then in memory. On failure the old one stands in both places. */
int token_store(struct token *token, int state_dirfd, const struct workspace_settings *settings,
		const char *text, struct error *err);

/*
 * A token that is not proven yet waits beside the other one. When the change is
 * killed it stays there, and is tried when no other one works: it may be the
 * only one that does. It is dropped when another has proved good.
 */
int token_store_unproven(int state_dirfd, const struct workspace_settings *settings,
			 const char *text, struct error *err);
void token_drop_unproven(int state_dirfd, const struct workspace_settings *settings);

/* Removes what token_store() and its like wrote of a workspace. */
int token_wipe(int state_dirfd, const struct workspace_key *key, struct error *err);
/* The same, and wipes it from memory. */
int token_forget(struct token *token, int state_dirfd, const struct workspace_settings *settings,
		 struct error *err);

/* The first 8 characters, "" without a token; dst of TOKEN_PREFIX_LEN + 1. */
char *token_prefix(const struct token *token, char *dst);
const char *token_source_name(enum token_source source);
