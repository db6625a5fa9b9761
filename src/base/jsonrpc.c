/* SPDX-License-Identifier: MIT */
/*
 * Requests in, answers out. Every request comes through here, so it is one pass
 * over the envelope, without a copy.
 */

#include "base/jsonrpc.h"

#include <errno.h>
#include <string.h>

enum member {
	MEMBER_JSONRPC,
	MEMBER_ID,
	MEMBER_METHOD,
	MEMBER_PARAMS,
	MEMBER_RESULT,
	MEMBER_ERROR,
	MEMBER_OTHER,
};

static const char *const member_names[MEMBER_OTHER] = {
	[MEMBER_JSONRPC] = "jsonrpc", [MEMBER_ID] = "id",         [MEMBER_METHOD] = "method",
	[MEMBER_PARAMS] = "params",   [MEMBER_RESULT] = "result", [MEMBER_ERROR] = "error",
};

struct envelope {
	struct json_text values[MEMBER_OTHER];
	bool twice[MEMBER_OTHER];
};

static enum member member_of(struct json_text name)
{
	int member;

	for (member = 0; member < MEMBER_OTHER; member++) {
		/* "i\u0064" is an id too. */
		if (name.at[1] != member_names[member][0] && name.at[1] != '\\')
			continue;
		if (json_text_equals(name, member_names[member]))
			break;
	}

	return (enum member)member;
}

static void read_envelope(struct json_text object, struct envelope *envelope)
{
	struct json_iter iter = json_iter(object);
	struct json_text name, value;

	while (json_next_member(&iter, &name, &value)) {
		enum member member = member_of(name);

		if (member == MEMBER_OTHER)
			continue;
		if (envelope->values[member].len)
			envelope->twice[member] = true;
		envelope->values[member] = value;
	}
}

static bool is_valid_id(struct json_text id)
{
	switch (json_text_kind(id)) {
	case JSON_NULL:
	case JSON_NUMBER:
	case JSON_STRING:
		return true;
	case JSON_NONE:
	case JSON_BOOL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return false;
	}
	return false;
}

static int check_request(const struct envelope *envelope, struct error *err)
{
	struct json_text id = envelope->values[MEMBER_ID];
	struct json_text method = envelope->values[MEMBER_METHOD];

	for (int member = MEMBER_JSONRPC; member <= MEMBER_PARAMS; member++)
		if (envelope->twice[member])
			return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
					 "the request has %s twice", member_names[member]);

	if (!json_text_equals(envelope->values[MEMBER_JSONRPC], "2.0"))
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
				 "the request does not have \"jsonrpc\": \"2.0\"");

	if (json_text_kind(method) != JSON_STRING)
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
				 "method must be a string, not %s",
				 json_kind_name(json_text_kind(method)));

	if (id.len && !is_valid_id(id))
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
				 "id must be a string, a number or null, not %s",
				 json_kind_name(json_text_kind(id)));

	return 0;
}

static int check_params(struct json_text params, struct error *err)
{
	enum json_kind kind = json_text_kind(params);

	if (kind == JSON_NONE || kind == JSON_OBJECT || kind == JSON_ARRAY)
		return 0;

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "params must be an object or an array, not %s", json_kind_name(kind));
}

int jsonrpc_parse(struct json_text text, struct jsonrpc_request *ret, struct error *err)
{
	struct envelope envelope = { 0 };
	enum json_kind kind = json_text_kind(text);
	int r;

	*ret = (struct jsonrpc_request){ 0 };
	if (kind != JSON_OBJECT)
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
				 "a request must be an object, not %s", json_kind_name(kind));

	read_envelope(text, &envelope);
	if (!envelope.values[MEMBER_METHOD].len &&
	    (envelope.values[MEMBER_RESULT].len || envelope.values[MEMBER_ERROR].len))
		return -EALREADY;

	if (is_valid_id(envelope.values[MEMBER_ID]) && !envelope.twice[MEMBER_ID])
		ret->id = envelope.values[MEMBER_ID];

	r = check_request(&envelope, err);
	if (r < 0)
		return r;

	r = check_params(envelope.values[MEMBER_PARAMS], err);
	if (r < 0)
		return r;

	ret->method = envelope.values[MEMBER_METHOD];
	ret->params = envelope.values[MEMBER_PARAMS];
	return 0;
}

static void begin_answer(struct buffer *out, struct json_text id)
{
	(void)buffer_append_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (id.len)
		(void)buffer_append(out, id.at, id.len);
	else
		(void)buffer_append_text(out, "null");
}

int jsonrpc_begin_result(struct buffer *out, struct json_text id)
{
	begin_answer(out, id);
	return buffer_append_text(out, ",\"result\":");
}

int jsonrpc_end_result(struct buffer *out)
{
	return buffer_append_char(out, '}');
}

int jsonrpc_write_result(struct buffer *out, struct json_text id, const char *result, size_t len)
{
	(void)jsonrpc_begin_result(out, id);
	(void)buffer_append(out, result, len);
	return jsonrpc_end_result(out);
}

int jsonrpc_begin_error(struct buffer *out, struct json_text id, const struct error *err)
{
	/* A file of ours that is wrong is, for whoever called, our mistake. */
	enum error_kind kind = err->kind == ERROR_CONFIG ? ERROR_INTERNAL : err->kind;

	begin_answer(out, id);
	(void)buffer_printf(out, ",\"error\":{\"code\":%d,\"message\":", error_code(kind));
	(void)json_write_string(out, err->text, strlen(err->text));
	(void)buffer_printf(out, ",\"data\":{\"kind\":\"%s\",\"retryable\":%s", error_name(kind),
			    error_is_retryable(err) ? "true" : "false");
	if (err->retry_after_ms > 0)
		(void)buffer_printf(out, ",\"retry_after_ms\":%lld",
				    (long long)err->retry_after_ms);
	if (err->http_status > 0)
		(void)buffer_printf(out, ",\"http_status\":%d", err->http_status);
	return out->failed;
}

int jsonrpc_end_error(struct buffer *out)
{
	return buffer_append_text(out, "}}}");
}

int jsonrpc_write_error(struct buffer *out, struct json_text id, const struct error *err)
{
	(void)jsonrpc_begin_error(out, id, err);
	return jsonrpc_end_error(out);
}

int jsonrpc_begin_notification(struct buffer *out, const char *method)
{
	(void)buffer_append_text(out, "{\"jsonrpc\":\"2.0\",\"method\":");
	(void)json_write_string(out, method, strlen(method));
	return buffer_append_text(out, ",\"params\":");
}

int jsonrpc_end_notification(struct buffer *out)
{
	return buffer_append_char(out, '}');
}
