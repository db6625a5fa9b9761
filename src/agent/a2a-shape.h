/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a reply's JSON says, in any of the shapes that agents and platforms
 * give it: A2A 0.3 and 1.0, JSON-RPC's errors, bare results, notices of a
 * queue, streams of events. Pure, and only about the JSON: the status it came
 * with is somebody else's concern.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/jsontext.h"

/* A reply becomes part of ours, two levels down, which others' parsers have to take. */
#define A2A_REPLY_DEPTH_MAX 62
#define A2A_REPLY_VALUES_MAX 65000

enum a2a_shape_kind {
	A2A_SHAPE_NONE,    /* JSON that is no reply */
	A2A_SHAPE_ERROR,   /* JSON-RPC's, or one like it: code, words */
	A2A_SHAPE_ANSWER,  /* text, if there is one */
	A2A_SHAPE_WORKING, /* a task that goes on: id, and what it said so far */
	A2A_SHAPE_QUEUED,  /* taken for later: id, if there is one */
};

struct a2a_shape {
	enum a2a_shape_kind kind;
	bool is_remark; /* its text is about the work, and not from it */
	int64_t code;   /* 0: none */
	/* JSON strings, or JSON_NONE; borrowed from the text. */
	struct json_text words, text, id;
};

/* The text has been checked. */
void a2a_shape_read(struct json_text text, struct a2a_shape *ret);

/* Whether a body is a stream of events, whatever its type says. No JSON begins like one. */
bool a2a_stream_is(const char *content_type, const char *body, size_t len);

/*
 * Reads a whole stream: *ret_text is its last event that is a reply, copied to
 * out (which has room for len bytes), and *ret_shape what it says. The text is
 * that event's, or the last that the work before it gave. -ENOENT when there is no
 * such event, -ENOMEM.
 */
int a2a_stream_read(const char *body, size_t len, struct buffer *out, struct json_text *ret_text,
		    struct a2a_shape *ret_shape);
