/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a request, or a batch of them: whatever is read from one can be
 * answered, and the answer is a response that would itself not be answered.
 */

#include <errno.h>
#include <string.h>

#include "base/jsonrpc.h"
#include "base/jsonscan.h"
#include "fuzz.h"

static void check_answer(const struct buffer *out)
{
	struct jsonrpc_request request;
	struct error err = { 0 };

	REQUIRE(!out->failed);
	REQUIRE(!memchr(buffer_at(out), '\n', buffer_len(out)));
	REQUIRE(json_check(buffer_at(out), buffer_len(out), JSON_DEPTH_MAX, JSON_VALUES_MAX,
			   NULL) == 0);
	REQUIRE(jsonrpc_parse(json_text_from(buffer_at(out), buffer_len(out)), &request, &err) ==
		-EALREADY);
	REQUIRE(err.kind == ERROR_NONE);
}

static void check_id(const struct buffer *out, struct json_text id)
{
	struct json_text answer = json_text_from(buffer_at(out), buffer_len(out));
	struct json_text its_id = json_text_member(answer, "id");

	if (id.len)
		REQUIRE(its_id.len == id.len && memcmp(its_id.at, id.at, id.len) == 0);
	else
		REQUIRE(json_text_kind(its_id) == JSON_NULL);
}

static void take_request(struct json_text text)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(SIZE_MAX / 4);
	struct jsonrpc_request request;
	struct error err = { 0 };
	enum json_kind kind;
	int r;

	r = jsonrpc_parse(text, &request, &err);
	if (r == -EALREADY) {
		REQUIRE(err.kind == ERROR_NONE);
		return;
	}

	kind = json_text_kind(request.id);
	REQUIRE(kind == JSON_NONE || kind == JSON_NULL || kind == JSON_NUMBER ||
		kind == JSON_STRING);
	if (r < 0) {
		REQUIRE(err.kind == ERROR_INVALID_REQUEST || err.kind == ERROR_INVALID_PARAMS);
		REQUIRE(jsonrpc_write_error(&out, request.id, &err) == 0);
	} else {
		kind = json_text_kind(request.params);
		REQUIRE(json_text_kind(request.method) == JSON_STRING);
		REQUIRE(kind == JSON_NONE || kind == JSON_ARRAY || kind == JSON_OBJECT);
		REQUIRE(jsonrpc_write_result(&out, request.id, "{}", 2) == 0);
	}
	check_answer(&out);
	check_id(&out, request.id);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct json_text text, entry;
	struct json_iter iter;

	if (json_check((const char *)bytes, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) < 0)
		return 0;

	text = json_text_from((const char *)bytes, len);
	take_request(text);
	if (json_text_kind(text) != JSON_ARRAY)
		return 0;

	iter = json_iter(text);
	while (json_next_element(&iter, &entry))
		take_request(entry);
	return 0;
}
