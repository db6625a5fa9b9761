/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a caller's whole message: it is refused with a sentence, or what
 * is written of it is a request with a message that would itself be taken, and
 * that comes out of a second writing as it went in.
 */

#include <errno.h>
#include <string.h>

#include "agent/a2a-request.h"
#include "base/jsonscan.h"
#include "fuzz.h"

static bool write_request(enum a2a_version version, struct json_text message, struct buffer *out)
{
	struct a2a_request request = { .version = version, .id = "r", .message = message };
	struct error err = { 0 };
	char id[A2A_ID_MAX + 1];

	if (a2a_message_id(message, (struct json_text){ 0 }, id, &err) < 0) {
		REQUIRE(err.kind == ERROR_INVALID_PARAMS && err.text[0]);
		return false;
	}
	request.message_id = id[0] ? id : "m";
	if (a2a_request_write(&request, out, &err) == 0)
		return true;

	REQUIRE(err.kind == ERROR_TOO_LARGE && buffer_len(out) > A2A_MESSAGE_MAX);
	return false;
}

/* Both versions' writings, and what they have in common. */
static void take_message(enum a2a_version version, struct json_text message)
{
	AUTO(buffer_fini) struct buffer first = BUFFER_INIT(SIZE_MAX / 4);
	AUTO(buffer_fini) struct buffer second = BUFFER_INIT(SIZE_MAX / 4);
	struct json_text written;
	struct error err = { 0 };

	if (!write_request(version, message, &first))
		return;

	REQUIRE(json_check(buffer_at(&first), buffer_len(&first), JSON_DEPTH_MAX, UINT32_MAX,
			   NULL) == 0);
	written = json_text_from(buffer_at(&first), buffer_len(&first));
	written = json_text_member(json_text_member(written, "params"), "message");
	REQUIRE(a2a_message_check(written, &err) == 0);
	REQUIRE(json_text_kind(json_text_member(written, "messageId")) == JSON_STRING);
	REQUIRE(json_text_kind(json_text_member(written, "kind")) ==
		(version == A2A_0_3 ? JSON_STRING : JSON_NONE));

	REQUIRE(write_request(version, written, &second));
	REQUIRE(buffer_len(&first) == buffer_len(&second));
	REQUIRE(memcmp(buffer_at(&first), buffer_at(&second), buffer_len(&first)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct error err = { 0 };
	struct json_text text;

	/* Inside a request there are two levels above it. */
	if (json_check((const char *)bytes, len, JSON_DEPTH_MAX - 2, JSON_VALUES_MAX, NULL) < 0)
		return 0;

	text = json_text_from((const char *)bytes, len);
	if (a2a_message_check(text, &err) < 0) {
		REQUIRE(err.kind == ERROR_INVALID_PARAMS);
		require_shown(err.text);
		return 0;
	}

	take_message(A2A_0_3, text);
	take_message(A2A_1_0, text);
	return 0;
}
