/* SPDX-License-Identifier: MIT */
/*
 * Puts together what is sent. Headers come as pairs of texts until their size
 * is known, so that a token is copied once, to where it is wiped.
 */

#include "io/http-envelope.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config-build.h"
#include "io/http.h"

#define HTTP_SENT_HEADERS_MAX 32 /* callers have a handful */

struct header_line {
	const char *name; /* with what follows it up to the value */
	const char *value;
};

struct header_lines {
	struct header_line lines[HTTP_SENT_HEADERS_MAX];
	size_t n;
};

/* A line break in a value would begin a header of someone else's choice. */
static bool is_header(const char *line)
{
	const char *colon = strchr(line, ':');

	if (!colon || colon == line)
		return false;

	for (const char *p = line; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < ' ' && c != '\t') || c == 0x7f || (p < colon && c == ' '))
			return false;
	}
	return true;
}

static bool is_token(const char *token)
{
	for (const char *p = token; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return false;

	return *token;
}

static bool is_method(const char *method)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;

	return false;
}

static int check_spec(const struct http_spec *spec, struct error *err)
{
	if (!is_method(spec->method))
		return error_set(err, ERROR_INTERNAL, EINVAL, "no such HTTP method");

	for (size_t i = 0; spec->headers && spec->headers[i]; i++)
		if (!is_header(spec->headers[i]))
			return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
					 "header number %zu is not of the form \"Name: value\"",
					 i + 1);

	if (spec->bearer && !is_token(spec->bearer))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "the token holds a byte that a header cannot");

	return 0;
}

static bool has_own(const struct http_spec *spec, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; spec->headers && spec->headers[i]; i++)
		if (strncasecmp(spec->headers[i], name, len) == 0)
			return true;

	return false;
}

static void add(struct header_lines *lines, const char *name, const char *value)
{
	/* One too many is noticed when all are counted. */
	if (lines->n < HTTP_SENT_HEADERS_MAX)
		lines->lines[lines->n] = (struct header_line){ name, value };
	lines->n++;
}

/* A name without a value tells curl to leave out what it would add. */
static int collect(const struct http_spec *spec, struct header_lines *lines, struct error *err)
{
	lines->n = 0;
	if (!has_own(spec, "User-Agent:"))
		add(lines, "User-Agent: ", "molecule-agentd/" MOLECULE_VERSION);
	if (!has_own(spec, "Accept:"))
		add(lines, "Accept: ", "application/json");
	if (!has_own(spec, "Content-Type:"))
		add(lines, "Content-Type:", spec->body ? " application/json" : "");
	add(lines, "Expect:", "");
	if (spec->bearer)
		add(lines, "Authorization: Bearer ", spec->bearer);
	for (size_t i = 0; spec->headers && spec->headers[i]; i++)
		add(lines, spec->headers[i], "");

	if (lines->n > HTTP_SENT_HEADERS_MAX)
		return error_set(err, ERROR_INVALID_PARAMS, E2BIG, "more than %d headers to send",
				 HTTP_SENT_HEADERS_MAX);

	return 0;
}

static size_t line_size(const struct header_line *line)
{
	return strlen(line->name) + strlen(line->value) + 1;
}

/* Copies one line to room, and returns where the next one goes. */
static char *put(char *room, const struct header_line *line)
{
	return stpcpy(stpcpy(room, line->name), line->value) + 1;
}

int http_envelope_new(const struct http_spec *spec, struct http_envelope **ret, struct error *err)
{
	struct header_lines lines;
	struct http_envelope *envelope;
	size_t size;
	char *room;
	int r;

	r = check_spec(spec, err);
	if (r < 0)
		return r;

	r = collect(spec, &lines, err);
	if (r < 0)
		return r;

	size = sizeof(*envelope) + lines.n * sizeof(envelope->headers[0]);
	for (size_t i = 0; i < lines.n; i++)
		size += line_size(&lines.lines[i]);
	size += spec->body ? spec->body_len : 0;

	envelope = malloc(size);
	if (!envelope)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot set up a request: %m");

	envelope->size = size;
	room = (char *)&envelope->headers[lines.n];
	for (size_t i = 0; i < lines.n; i++) {
		envelope->headers[i].data = room;
		envelope->headers[i].next = i + 1 < lines.n ? &envelope->headers[i + 1] : NULL;
		room = put(room, &lines.lines[i]);
	}
	envelope->body = room;
	envelope->body_len = spec->body ? spec->body_len : 0;
	if (envelope->body_len)
		memcpy(room, spec->body, envelope->body_len);

	*ret = envelope;
	return 0;
}

void http_envelope_free(struct http_envelope *envelope)
{
	if (!envelope)
		return;

	explicit_bzero(envelope, envelope->size);
	free(envelope);
}
