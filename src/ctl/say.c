/* SPDX-License-Identifier: MIT */
/*
 * Standard error. Everything said is made safe to show first: sentences quote
 * names and errors that came from elsewhere, and a terminal obeys what it is
 * shown.
 */

#include "ctl/say.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "ctl/show.h"

#undef say_usage
#undef say_failed
#undef say_error
#undef say_no_memory

#define SAID_MAX 4096

static void say_args(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static void say_args(const char *format, va_list args)
{
	AUTO(buffer_fini) struct buffer line = BUFFER_INIT(SAID_MAX * 4);
	char text[SAID_MAX];

	(void)vsnprintf(text, sizeof(text), format, args);
	(void)buffer_append_text(&line, "molecule-agentctl: ");
	show_text(&line, text, strlen(text));
	(void)buffer_append_char(&line, '\n');
	if (!line.failed)
		(void)fd_write_all(STDERR_FILENO, buffer_at(&line), buffer_len(&line));
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
}

int say_usage(const char *topic, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
	say("try 'molecule-agentctl help%s%s'", topic ? " " : "", topic ? topic : "");
	return EXIT_USAGE;
}

int say_failed(enum error_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
	return error_exit_status(kind);
}

int say_error(const struct error *err)
{
	say("%s", err->text);
	return error_exit_status(err->kind);
}

int say_no_memory(void)
{
	return say_failed(ERROR_INTERNAL, "out of memory");
}
