/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The headers and body of a request, in one allocation that is wiped when it is
 * freed: they hold tokens and secrets. curl borrows them.
 */

#include <stddef.h>

#include <curl/curl.h>

#include "base/error.h"

struct http_spec;

struct http_envelope {
	size_t size; /* of it all */
	const char *body;
	size_t body_len;
	struct curl_slist headers[]; /* a list that curl takes, at least one long */
};

int http_envelope_new(const struct http_spec *spec, struct http_envelope **ret, struct error *err);
void http_envelope_free(struct http_envelope *envelope); /* takes NULL */
