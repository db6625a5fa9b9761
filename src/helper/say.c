/* SPDX-License-Identifier: MIT */
#include "helper/say.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/jsontext.h"

void say_init(struct say *say, int fd)
{
	*say = (struct say){ .fd = fd, .line = BUFFER_INIT(SAY_LINE_MAX) };
}

void say_fini(struct say *say)
{
	buffer_fini(&say->line);
}

void say_text(struct say *say, const char *name, const char *text)
{
	(void)buffer_printf(&say->line, "\"%s\":", name);
	if (text)
		(void)json_write_string(&say->line, text, strlen(text));
	else
		(void)buffer_append_text(&say->line, "null");
}

int say_line(struct say *say)
{
	int r = buffer_append_char(&say->line, '\n');

	if (r == 0)
		r = fd_write_all(say->fd, buffer_at(&say->line), buffer_len(&say->line));
	buffer_reset(&say->line);
	return r;
}

void say_progress(struct say *say, uint64_t files, uint64_t bytes)
{
	struct timespec now;
	int64_t now_ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
	if (now_ms < say->next_progress_ms)
		return;

	say->next_progress_ms = now_ms + SAY_PROGRESS_MS;
	(void)buffer_printf(&say->line,
			    "{\"progress\":{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}}", files,
			    bytes);
	(void)say_line(say);
}

void say_warning(struct say *say, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	if (++say->n_warnings > SAY_WARNINGS_MAX)
		return;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)buffer_append_char(&say->line, '{');
	say_text(say, "warning", text);
	(void)buffer_append_char(&say->line, '}');
	(void)say_line(say);
}

void say_more_warnings(struct say *say)
{
	uint64_t more = say->n_warnings > SAY_WARNINGS_MAX ? say->n_warnings - SAY_WARNINGS_MAX : 0;

	if (!more)
		return;

	(void)buffer_printf(&say->line, "{\"warning\":\"and %" PRIu64 " more such warnings\"}",
			    more);
	(void)say_line(say);
}

/* The daemon acts on three kinds; whatever else it is, is ours. */
static enum error_kind spoken_kind(enum error_kind kind)
{
	switch (kind) {
	case ERROR_INTEGRITY:
	case ERROR_TOO_LARGE:
	case ERROR_UNAVAILABLE:
		return kind;
	default:
		return ERROR_INTERNAL;
	}
}

void say_failed(struct say *say, const struct refusal *refusal)
{
	(void)buffer_append_text(&say->line, "{\"failed\":{");
	say_text(say, "kind", error_name(spoken_kind(refusal->err.kind)));
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "entry", refusal->entry);
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "message", refusal->err.text);
	(void)buffer_append_text(&say->line, "}}");
	(void)say_line(say);
}
