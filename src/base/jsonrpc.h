/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The JSON-RPC 2.0 envelope, to the letter. Requests are read in place, ids
 * are kept as the bytes that came, so that 1.0, 1e0 and numbers of thirty
 * digits go back as they were.
 */

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/jsontext.h"

#define JSONRPC_BATCH_MAX 64

struct jsonrpc_request {
	struct json_text id;     /* JSON_NONE: a notification */
	struct json_text method; /* a JSON string */
	struct json_text params; /* JSON_NONE, an object or an array */
};

/*
 * Reads one request object. On failure (-EINVAL) err says why and ret->id is the
 * id to answer with: the request's when it has a valid one, else JSON_NONE,
 * which is written as null.
 *
 * - ERROR_INVALID_REQUEST: always answered, for what is no request is no
 *   notification. No object; jsonrpc is not "2.0"; no method that is a string;
 *   an id that is neither string, number nor null; two of jsonrpc, method, id
 *   or params (the id is then null when it is the doubled one).
 * - ERROR_INVALID_PARAMS: params is there and is neither object nor array (null
 *   is neither). With ret->id JSON_NONE it is a notification: not answered.
 *
 * -EALREADY with no error set: it is a response (has result or error and no
 * method), which must never be answered.
 */
int jsonrpc_parse(struct json_text text, struct jsonrpc_request *ret, struct error *err);

/*
 * The writers write no newline and no header: framing is the connection's. An
 * error's data is {"kind","retryable","retry_after_ms"?,"http_status"?}. Each
 * returns 0, -ENOMEM or -EMSGSIZE; what is in out is then half a message.
 */

/* {"jsonrpc":"2.0","id":ID,"result": and, after the caller's result, } */
int jsonrpc_begin_result(struct buffer *out, struct json_text id);
int jsonrpc_end_result(struct buffer *out);

int jsonrpc_write_result(struct buffer *out, struct json_text id, const char *result, size_t len);
/* Up to the end of its data, to which further members may be added, each with a comma before it. */
int jsonrpc_begin_error(struct buffer *out, struct json_text id, const struct error *err);
int jsonrpc_end_error(struct buffer *out);
int jsonrpc_write_error(struct buffer *out, struct json_text id, const struct error *err);
int jsonrpc_begin_notification(struct buffer *out, const char *method); /* up to "params": */
int jsonrpc_end_notification(struct buffer *out);
