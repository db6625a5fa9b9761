/* SPDX-License-Identifier: MIT */
/*
 * The public error, filled so that it always has a kind and a sentence,
 * whatever an answer left out.
 */

#include "client/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int failure_set(struct mol_agent_error *err, enum error_kind kind, int errnum, const char *format,
		...)
{
	va_list args;

	if (!err)
		return -errnum;

	*err = (struct mol_agent_error){
		.code = error_code(kind),
		.retryable = error_retry(kind) == ERROR_RETRY_YES,
	};
	(void)snprintf(err->kind, sizeof(err->kind), "%s", error_name(kind));

	va_start(args, format);
	errno = errnum;
	(void)vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return -errnum;
}

/* Copies a JSON string as far as it fits, never half a character; false when it is none. */
static bool copy_string(char *dst, size_t dst_size, struct json_text string)
{
	AUTO(free) char *text = NULL;
	size_t len;

	if (json_text_kind(string) != JSON_STRING || json_text_dup(string, &text) < 0 || !text[0])
		return false;

	len = strlen(text);
	if (len >= dst_size) {
		len = dst_size - 1;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}

	memcpy(dst, text, len);
	dst[len] = '\0';
	return true;
}

static int64_t number_of(struct json_text object, const char *name, int64_t max)
{
	struct json_text member = json_text_member(object, name);
	int64_t value;

	if (json_text_kind(member) != JSON_NUMBER || json_text_int64(member, &value) < 0)
		return 0;

	return value >= 0 && value <= max ? value : 0;
}

static int32_t code_of(struct json_text error)
{
	struct json_text code = json_text_member(error, "code");
	int64_t value;

	if (json_text_kind(code) != JSON_NUMBER || json_text_int64(code, &value) < 0 ||
	    value < INT32_MIN || value > INT32_MAX)
		return error_code(ERROR_INTERNAL);

	return (int32_t)value;
}

static void read_data(struct mol_agent_error *err, struct json_text data)
{
	struct json_text retryable = json_text_member(data, "retryable");

	(void)copy_string(err->kind, sizeof(err->kind), json_text_member(data, "kind"));
	if (json_text_kind(retryable) == JSON_BOOL)
		err->retryable = json_text_is_true(retryable);
	err->retry_after_ms = number_of(data, "retry_after_ms", INT64_MAX);
	err->http_status = (int32_t)number_of(data, "http_status", 999);
}

int failure_from_answer(struct mol_agent_error *err, struct json_text error)
{
	struct json_text data = json_text_member(error, "data");
	enum error_kind kind;

	if (!err)
		return -EREMOTEIO;

	*err = (struct mol_agent_error){ .code = code_of(error) };
	kind = error_from_code(err->code);
	err->retryable = error_retry(kind) == ERROR_RETRY_YES;
	(void)snprintf(err->kind, sizeof(err->kind), "%s", error_name(kind));

	if (!copy_string(err->message, sizeof(err->message), json_text_member(error, "message")))
		(void)snprintf(err->message, sizeof(err->message),
			       "the daemon refused without saying why (code %d)", err->code);
	if (json_text_kind(data) == JSON_OBJECT)
		read_data(err, data);
	return -EREMOTEIO;
}
