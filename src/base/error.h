/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What went wrong, by value: a kind that programs act on, and a sentence for a
 * person. Setting one cannot fail and allocates nothing.
 *
 * The kinds are those of the local API. One table says for each its JSON-RPC
 * code, its name on the wire, the exit status of a command that ends with it,
 * and whether trying again can help.
 *
 * A sentence has no capital and no full stop, says what could not be done and
 * to what, and never holds a secret, a token or a body that we did not write.
 * Text from outside goes through error_quote().
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

enum error_kind {
	ERROR_NONE,
	ERROR_PARSE,
	ERROR_INVALID_REQUEST,
	ERROR_METHOD_NOT_FOUND,
	ERROR_INVALID_PARAMS,
	ERROR_INTERNAL,
	ERROR_PLATFORM,
	ERROR_UNAUTHORIZED,
	ERROR_FORBIDDEN,
	ERROR_NOT_FOUND,
	ERROR_UNAVAILABLE,
	ERROR_PAUSED,
	ERROR_REMOVED,
	ERROR_TIMEOUT,
	ERROR_RATE_LIMITED,
	ERROR_CONFLICT,
	ERROR_TOO_LARGE,
	ERROR_UNKNOWN_OUTCOME,
	ERROR_PEER,
	ERROR_NOT_PERMITTED,
	ERROR_BUDGET,
	ERROR_INTEGRITY,
	ERROR_CANCELLED,
	ERROR_OVERLOADED,
	ERROR_CONFIG, /* never on the wire: a file of ours is wrong */
	ERROR_KIND_LAST = ERROR_CONFIG,
};

enum error_retry {
	ERROR_RETRY_NO,
	ERROR_RETRY_MAYBE,
	ERROR_RETRY_YES,
};

#define ERROR_TEXT_MAX 320

struct error {
	enum error_kind kind;
	int errnum;             /* positive errno, or 0 */
	int http_status;        /* what the platform or peer answered, or 0 */
	int64_t retry_after_ms; /* how long to wait, or 0 */
	char text[ERROR_TEXT_MAX];
};

/*
 * Fills err (which may be NULL) and returns -errnum, or -EIO when errnum is 0,
 * so that a function can end with `return error_set(...)`. %m is errnum's text.
 */
int error_set(struct error *err, enum error_kind kind, int errnum, const char *format, ...)
	PRINTF(4, 5);

/* Fills err with another one, which is set, and returns as error_set() does. */
int error_copy(struct error *err, const struct error *from);

/*
 * Keeps a copy of err in *slot, on the heap: a struct with many errors that are
 * mostly none stays small. NULL or ERROR_NONE clears the slot. Without memory
 * the sentence is lost, and the slot cleared.
 */
void error_keep(struct error **slot, const struct error *err);

#ifdef __clang_analyzer__
/* It sees one file at a time, and would think that these might be 0. */
#define error_set(...) ((error_set)(__VA_ARGS__), -1)
#define error_copy(...) ((error_copy)(__VA_ARGS__), -1)
#endif

/* Puts "what: " before the sentence that is there; err may be NULL, as above. */
void error_prefix(struct error *err, const char *format, ...) PRINTF(2, 3);

/*
 * Copies text from outside into dst as something that is safe to show: cut to
 * fit between two characters; controls, what turns the direction of writing, what
 * cannot be seen, and what is no UTF-8 are escaped byte by byte. Returns dst.
 */
char *error_quote(char *dst, size_t dst_size, const char *text, size_t text_len);

/* The same for text that one of our programs has quoted: its escapes stay as they are. */
char *error_show(char *dst, size_t dst_size, const char *text, size_t text_len);

int error_code(enum error_kind kind);         /* JSON-RPC error code */
const char *error_name(enum error_kind kind); /* "not_found" */
int error_exit_status(enum error_kind kind);
enum error_retry error_retry(enum error_kind kind);

/*
 * The wire's "retryable": whether the same call, made again as it is, can be
 * expected to do better. Of the kinds that may go either way, one that says
 * when (retry_after_ms) or that was the other side's 5xx can; one whose
 * outcome is unknown never can, for the first call may have done its work.
 */
bool error_is_retryable(const struct error *err);

/* The kind with this JSON-RPC code; ERROR_INTERNAL for an unknown one. */
enum error_kind error_from_code(int code);
