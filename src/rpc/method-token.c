/* SPDX-License-Identifier: MIT */
/*
 * token.*: giving a workspace another token.
 */

#include <errno.h>
#include <string.h>

#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/writer.h"

enum {
	SET_WORKSPACE,
	SET_TOKEN
};

static int changed(struct call *call, const struct error *failed, struct error *err)
{
	char prefix[TOKEN_PREFIX_LEN + 1];
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_text(out, "prefix", token_prefix(&call->workspace->token, prefix));
	writer_close(out, '}');
	return 0;
}

static int token_set(struct call *call, struct error *err)
{
	struct workspace *workspace = call->workspace;
	char text[TOKEN_MAX + 1];
	struct waiter *waiter;
	int r;

	r = call_text(call, SET_TOKEN, text, sizeof(text), err);
	if (r < 0)
		goto out;

	r = -ENOMEM;
	waiter = call_park(&call, changed, err);
	if (!waiter)
		goto out;

	r = workspace_set_token(workspace, text, strlen(text), waiter, err);
	if (r == 0)
		r = CALL_PARKED;
out:
	explicit_bzero(text, sizeof(text));
	return r;
}

static int token_rotate(struct call *call, struct error *err)
{
	struct workspace *workspace = call->workspace;
	struct waiter *waiter;
	int r;

	waiter = call_park(&call, changed, err);
	if (!waiter)
		return -ENOMEM;

	r = workspace_rotate_token(workspace, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

const struct method methods_token[] = {
	{ "token.set", POLICY_ADMIN, token_set,
	  "try another token; the old one is kept until it has worked",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "token", FIELD_STRING, FIELD_REQUIRED, .help = "as the platform gave it out" }),
	  FIELDS({ "prefix", FIELD_STRING,
		   .help = "the first 8 characters, as the platform shows" }) },
	{ "token.rotate", POLICY_ADMIN, token_rotate,
	  "mint a token, store it, prove it, switch to it, revoke the old one",
	  FIELDS(FIELD_THE_WORKSPACE),
	  FIELDS({ "prefix", FIELD_STRING, .help = "the first 8 characters of the new one" }) },
	{ 0 },
};
