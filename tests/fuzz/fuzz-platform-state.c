/* SPDX-License-Identifier: MIT */
/*
 * The bytes as an answer to each of the questions about one workspace: its
 * state, whether it exists, its tokens, what the platform knows.
 */

#include "base/parse.h"
#include "base/secret.h"
#include "fuzz-answer.h"
#include "platform/probe.h"
#include "platform/registry.h"
#include "platform/state.h"
#include "platform/tokens.h"

static void check_state(const struct platform_reply *reply)
{
	struct state_answer answer = { .status = "" };
	struct error err = { 0 };
	int r;

	r = state_parse(reply, ID, &answer, &err);
	REQUIRE((r == 0) == (answer.status[0] != '\0'));
	REQUIRE((r == 0) == (err.kind == ERROR_NONE));
	require_shown(answer.status);
	if (r == 0 && strcmp(answer.status, "paused") == 0)
		REQUIRE(answer.paused);
}

/* Who is gone is gone for good: that takes a word that nobody else can have said. */
static void check_finding(const struct platform_reply *reply)
{
	enum state_finding finding = state_judge(reply, ID);

	if (finding == STATE_ALIVE)
		REQUIRE(reply->verdict == PLATFORM_OK);
	if (finding == STATE_REMOVED)
		REQUIRE(reply->verdict == PLATFORM_DELETED || reply->verdict == PLATFORM_OK);
	if (finding == STATE_ABSENT)
		REQUIRE(reply->verdict == PLATFORM_MISSING && reply->json);
}

static void check_token(char *token)
{
	if (token)
		REQUIRE(parse_token(token, strlen(token)) == 0);
	secret_free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char id[UUID_LEN + 1], again[UUID_LEN + 1];
	struct answer answer;
	bool cursors;

	if (!answer_init(&answer, bytes, len, false))
		return 0;

	check_state(&answer.reply);
	check_finding(&answer.reply);
	check_token(tokens_minted(&answer.reply));
	if (tokens_find(&answer.reply, "01234567", id))
		REQUIRE(parse_uuid(id, again) == 0);
	if (probe_read(&answer.reply, &cursors))
		REQUIRE(cursors == (answer.reply.status == 410));
	answer_fini(&answer);
	return 0;
}
