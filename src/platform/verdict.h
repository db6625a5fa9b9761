/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From what came over HTTP to what it is evidence of. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "io/http.h"

enum platform_verdict {
	PLATFORM_OK,           /* 2xx with the body that was asked for */
	PLATFORM_DOWN,         /* no reply, 5xx, or a body that is not what it should be */
	PLATFORM_UNAUTHORIZED, /* 401 with a JSON body */
	PLATFORM_DELETED,      /* 410, or 404 with deleted:true and our id */
	PLATFORM_MISSING,      /* 404 with another JSON body */
	PLATFORM_STRAY,    /* not our platform: empty or foreign 404, empty 403, redirect, HTML */
	PLATFORM_LIMITED,  /* 429 */
	PLATFORM_REJECTED, /* another 4xx: the request is at fault */
};

struct platform_reply {
	enum platform_verdict verdict;
	int status; /* 0: none */
	struct json_object
		*json;    /* borrowed; NULL unless the body is JSON and the call wanted it parsed */
	const char *body; /* borrowed, wiped afterwards */
	size_t body_len;
	bool sent;
	int64_t elapsed_ms;
	struct error err;                 /* for every verdict but OK: kind and sentence */
	const struct http_result *result; /* borrowed; NULL: it was never sent */
};

/* What was asked, as far as an answer has to be held against it. All is borrowed. */
struct verdict_question {
	const char *what;  /* for sentences: "fetch the secrets of laptop" */
	const char *label; /* the platform's host and port */
	const char *id;    /* the workspace it is about: a 404 must name it to count */
	const char *token; /* that went with it and is not to be repeated, or NULL */
	bool keep_raw;     /* a body with secrets: checked, not parsed */
	bool streamed;     /* a 200's body went elsewhere, and only there is known what it was */
	size_t max_body;
	int64_t timeout_ms;
};

/*
 * Fills reply; reply->json is a new reference when there is one. now_s is the
 * wall clock, for a Retry-After that is a date; rest_max_ms is the longest one
 * that is believed.
 */
void verdict_read(const struct verdict_question *question, const struct http_result *result,
		  int64_t now_s, int64_t rest_max_ms, struct platform_reply *reply);

/*
 * For a reply that is not about us and is read by whoever asked: the verdict is
 * OK whatever it says, unless it is the platform's own 429 (a peer's has no
 * Retry-After).
 */
void verdict_unread(const struct verdict_question *question, const struct http_result *result,
		    int64_t now_s, int64_t rest_max_ms, struct platform_reply *reply);

/* The reply to a question that never got out. */
void verdict_unsent(const struct verdict_question *question, enum error_kind kind, const char *why,
		    struct platform_reply *reply);

const char *platform_verdict_name(enum platform_verdict verdict);
