/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is said to a peer: A2A over JSON-RPC, as 0.3 has it (which is what a
 * platform's own agents speak) or as 1.0 has it. Pure.
 *
 * A caller's whole message is taken as it comes, in either version's clothes
 * or in the loose ones that agents wear: parts tagged with kind, with type, or
 * with nothing. What is written is always what the version asks for. 0.3 keeps
 * members that nobody knows; 1.0 leaves them out, for its readers refuse them.
 */

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/jsontext.h"

/* What a platform reads of a request's body. The rest it cuts off, silently. */
#define A2A_MESSAGE_MAX ((size_t)1 << 20)
#define A2A_ID_MAX 256 /* bytes of a message's or a task's id; most are UUIDs, of 36 */

enum a2a_version {
	A2A_0_3, /* message/send */
	A2A_1_0, /* SendMessage; the courier adds the header A2A-Version: 1.0 */
};

/* Everything is borrowed. One of text and message is JSON_NONE. */
struct a2a_request {
	enum a2a_version version;
	const char *id;         /* of the JSON-RPC request */
	const char *message_id; /* from a2a_message_id(), or made up when that left it empty */
	struct json_text text;  /* a JSON string, as the caller wrote it */
	struct json_text message;
};

/*
 * Whether a caller's message is one that can be sent: an object with parts that
 * are text, file or data. ERROR_INVALID_PARAMS names the member.
 */
int a2a_message_check(struct json_text message, struct error *err);

/*
 * The id that a message is to have: the one that it brings, or the one that was
 * given beside it (a JSON string). Those that differ are ERROR_INVALID_PARAMS,
 * as is one that is empty, has a NUL in it or is longer than A2A_ID_MAX. dst
 * gets "" when there is neither. Both may be JSON_NONE or null.
 */
int a2a_message_id(struct json_text message, struct json_text given,
		   char dst[static A2A_ID_MAX + 1], struct error *err);

/*
 * Appends the body of a request; the message has passed a2a_message_check().
 * ERROR_TOO_LARGE past A2A_MESSAGE_MAX, whatever the route: whether the
 * platform will have to carry it is not known before.
 */
int a2a_request_write(const struct a2a_request *request, struct buffer *out, struct error *err);

/* Asks how a task goes on: tasks/get, GetTask. 0, -ENOMEM or -EMSGSIZE. */
int a2a_request_write_get(enum a2a_version version, const char *id, const char *task_id,
			  struct buffer *out);

const char *a2a_version_name(enum a2a_version version); /* "0.3", "1.0" */
