/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An answer of a platform out of a fuzzer's bytes: the first byte says which
 * status and what type, the rest is the body. A verdict keeps its promises
 * whatever it is.
 */

#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "platform/verdict.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

struct answer {
	struct http_result result;
	struct platform_reply reply;
	char *body; /* owned */
};

/* By the low bits; the corpus spells the first as '0', the second as '1', and so on. */
static const int answer_statuses[16] = { 200, 201, 204, 302, 400, 401, 403, 404,
					 410, 429, 500, 503, 206, 418, 304, 599 };

static void answer_check(const struct answer *answer, bool keep_raw)
{
	const struct platform_reply *reply = &answer->reply;
	int status = answer->result.status;

	REQUIRE((reply->verdict == PLATFORM_OK) == (reply->err.kind == ERROR_NONE));
	REQUIRE((reply->verdict == PLATFORM_OK) == !reply->err.text[0]);
	REQUIRE(reply->verdict != PLATFORM_OK || (status >= 200 && status < 300));
	REQUIRE(reply->verdict != PLATFORM_DELETED || status == 404 || status == 410);
	REQUIRE(reply->verdict != PLATFORM_UNAUTHORIZED || (status == 401 && reply->json));
	REQUIRE(!keep_raw || status >= 300 || !reply->json);
	for (const char *at = reply->err.text; *at; at++)
		REQUIRE(*at >= 0x20 && *at < 0x7f);
}

/* false when there is none in the bytes. */
static inline bool answer_init(struct answer *answer, const uint8_t *bytes, size_t len,
			       bool keep_raw)
{
	struct verdict_question question = {
		.what = "try this",
		.label = "platform.test",
		.id = ID,
		.keep_raw = keep_raw,
		.max_body = 1 << 20,
		.timeout_ms = 10000,
	};

	if (!len)
		return false;

	answer->body = malloc(len);
	REQUIRE(answer->body);
	memcpy(answer->body, bytes + 1, len - 1);
	answer->body[len - 1] = '\0';
	answer->result = (struct http_result){
		.outcome = HTTP_ANSWERED,
		.sent = true,
		.status = answer_statuses[bytes[0] % 16],
		.body = answer->body,
		.body_len = len - 1,
		.content_type = bytes[0] & 0x80 ? "text/html" : "application/json",
		.retry_after = len > 1 && len < 40 ? answer->body : NULL,
	};
	verdict_read(&question, &answer->result, 1795176000, 60000, &answer->reply);
	answer_check(answer, keep_raw);
	return true;
}

static inline void answer_fini(struct answer *answer)
{
	json_object_put(answer->reply.json);
	free(answer->body);
}
