/* SPDX-License-Identifier: MIT */
/*
 * Errors by value, and the one table of what each kind means to others.
 */

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"

#define QUOTED_MAX 16 /* four bytes, each as \xff */

struct error_meaning {
	int code;
	int exit_status;
	enum error_retry retry;
	const char *name;
};

/*
 * Codes: JSON-RPC 2.0 for -32700..-32600, ours below. Exit statuses: from
 * sysexits.h where it has a word for it, so that scripts can tell a typing
 * mistake (64) from a daemon that is not there (69) or a thing to try later (75).
 */
static const struct error_meaning meanings[] = {
	[ERROR_NONE] = { 0, 0, ERROR_RETRY_NO, "none" },
	[ERROR_PARSE] = { -32700, 65, ERROR_RETRY_NO, "parse_error" },
	[ERROR_INVALID_REQUEST] = { -32600, 65, ERROR_RETRY_NO, "invalid_request" },
	[ERROR_METHOD_NOT_FOUND] = { -32601, 64, ERROR_RETRY_NO, "method_not_found" },
	[ERROR_INVALID_PARAMS] = { -32602, 64, ERROR_RETRY_NO, "invalid_params" },
	[ERROR_INTERNAL] = { -32603, 70, ERROR_RETRY_MAYBE, "internal" },
	[ERROR_PLATFORM] = { -32000, 76, ERROR_RETRY_MAYBE, "platform_error" },
	[ERROR_UNAUTHORIZED] = { -32001, 77, ERROR_RETRY_NO, "unauthorized" },
	[ERROR_FORBIDDEN] = { -32002, 77, ERROR_RETRY_NO, "forbidden" },
	[ERROR_NOT_FOUND] = { -32003, 66, ERROR_RETRY_NO, "not_found" },
	[ERROR_UNAVAILABLE] = { -32004, 69, ERROR_RETRY_YES, "unavailable" },
	[ERROR_PAUSED] = { -32005, 10, ERROR_RETRY_MAYBE, "paused" },
	[ERROR_REMOVED] = { -32006, 11, ERROR_RETRY_NO, "removed" },
	[ERROR_TIMEOUT] = { -32007, 75, ERROR_RETRY_YES, "timeout" },
	[ERROR_RATE_LIMITED] = { -32008, 75, ERROR_RETRY_YES, "rate_limited" },
	[ERROR_CONFLICT] = { -32009, 73, ERROR_RETRY_NO, "conflict" },
	[ERROR_TOO_LARGE] = { -32010, 65, ERROR_RETRY_NO, "too_large" },
	[ERROR_UNKNOWN_OUTCOME] = { -32011, 12, ERROR_RETRY_MAYBE, "unknown_outcome" },
	[ERROR_PEER] = { -32012, 76, ERROR_RETRY_MAYBE, "peer_error" },
	[ERROR_NOT_PERMITTED] = { -32013, 77, ERROR_RETRY_NO, "not_permitted" },
	[ERROR_BUDGET] = { -32014, 75, ERROR_RETRY_MAYBE, "budget_exceeded" },
	[ERROR_INTEGRITY] = { -32015, 65, ERROR_RETRY_NO, "integrity" },
	[ERROR_CANCELLED] = { -32016, 75, ERROR_RETRY_NO, "cancelled" },
	[ERROR_OVERLOADED] = { -32017, 75, ERROR_RETRY_YES, "overloaded" },
	[ERROR_CONFIG] = { -32603, 78, ERROR_RETRY_NO, "config" },
};

#undef error_set
int error_set(struct error *err, enum error_kind kind, int errnum, const char *format, ...)
{
	va_list args;

	if (err) {
		*err = (struct error){ .kind = kind, .errnum = errnum };
		va_start(args, format);
		errno = errnum;
		(void)vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}

	return errnum ? -errnum : -EIO;
}

#undef error_copy
int error_copy(struct error *err, const struct error *from)
{
	if (err)
		*err = *from;
	return from->errnum ? -from->errnum : -EIO;
}

void error_keep(struct error **slot, const struct error *err)
{
	if (!err || err->kind == ERROR_NONE) {
		free(*slot);
		*slot = NULL;
		return;
	}

	if (!*slot)
		*slot = malloc(sizeof(**slot));
	if (*slot)
		**slot = *err;
}

void error_prefix(struct error *err, const char *format, ...)
{
	char tail[ERROR_TEXT_MAX];
	va_list args;
	int len;

	if (!err)
		return;

	(void)snprintf(tail, sizeof(tail), "%s", err->text);
	va_start(args, format);
	len = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (len >= 0 && (size_t)len < sizeof(err->text))
		(void)snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", tail);
}

/* Takes no room, so that two names which differ in it look the same. */
static bool is_hidden(uint32_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200d) || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

static bool is_shown(uint32_t c, size_t len)
{
	/* One byte that is no ASCII is no character. */
	if (len == 1 && c >= 0x80)
		return false;

	return utf8_is_safe(c) && !is_hidden(c);
}

/* A character as it is, if it may be shown; its bytes written out if not. */
static size_t quote_one(char dst[static QUOTED_MAX], const char *text, size_t text_len,
			size_t *ret_used)
{
	static const char hex[] = "0123456789abcdef";
	size_t used, n = 0;
	uint32_t c;

	used = utf8_next(text, text_len, &c);
	*ret_used = used;
	if (is_shown(c, used) && c != '\\') {
		memcpy(dst, text, used);
		return used;
	}
	for (size_t i = 0; i < used; i++) {
		dst[n++] = '\\';
		dst[n++] = 'x';
		dst[n++] = hex[(unsigned char)text[i] >> 4];
		dst[n++] = hex[(unsigned char)text[i] & 15];
	}
	return n;
}

char *error_quote(char *dst, size_t dst_size, const char *text, size_t text_len)
{
	char quoted[QUOTED_MAX];
	size_t n = 0, used, len;

	for (; text_len; text += used, text_len -= used) {
		len = quote_one(quoted, text, text_len, &used);
		if (n + len + sizeof("...") > dst_size) {
			/* Room for the dots was kept. */
			memcpy(dst + n, "...", 3);
			n += 3;
			break;
		}
		memcpy(dst + n, quoted, len);
		n += len;
	}

	dst[n] = '\0';
	return dst;
}

char *error_show(char *dst, size_t dst_size, const char *text, size_t text_len)
{
	size_t n = 0, used, kept = 0;
	uint32_t c;

	for (; text_len; text += used, text_len -= used) {
		used = utf8_next(text, text_len, &c);
		if (n + used >= dst_size)
			break;
		if (is_shown(c, used))
			memcpy(dst + n, text, used);
		else
			memset(dst + n, '?', used);
		n += used;
		/* Up to where there is room for the dots. */
		if (n + 4 <= dst_size)
			kept = n;
	}

	if (text_len && dst_size >= 4) {
		memcpy(dst + kept, "...", 3);
		n = kept + 3;
	}
	dst[n] = '\0';
	return dst;
}

int error_code(enum error_kind kind)
{
	return meanings[kind].code;
}

const char *error_name(enum error_kind kind)
{
	return meanings[kind].name;
}

int error_exit_status(enum error_kind kind)
{
	return meanings[kind].exit_status;
}

enum error_retry error_retry(enum error_kind kind)
{
	return meanings[kind].retry;
}

bool error_is_retryable(const struct error *err)
{
	switch (error_retry(err->kind)) {
	case ERROR_RETRY_NO:
		return false;
	case ERROR_RETRY_YES:
		return true;
	case ERROR_RETRY_MAYBE:
		break;
	}

	if (err->kind == ERROR_UNKNOWN_OUTCOME)
		return false;

	return err->retry_after_ms > 0 || err->http_status >= 500;
}

enum error_kind error_from_code(int code)
{
	for (int kind = ERROR_PARSE; kind < ERROR_CONFIG; kind++)
		if (meanings[kind].code == code)
			return (enum error_kind)kind;

	return ERROR_INTERNAL;
}
