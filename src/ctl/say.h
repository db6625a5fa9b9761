/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the command has to say on standard error, each with the program's name
 * before it. The functions that return int return the exit status that goes
 * with what they said, so that a command can end with `return say_...`.
 */

#include "base/error.h"
#include "base/util.h"

#define EXIT_USAGE 64 /* EX_USAGE */

void say(const char *format, ...) PRINTF(1, 2);

/* A mistake in the arguments; names the help that would have prevented it. topic may be NULL. */
int say_usage(const char *topic, const char *format, ...) PRINTF(2, 3);

int say_failed(enum error_kind kind, const char *format, ...) PRINTF(2, 3);

/* The sentence of err, and its exit status. */
int say_error(const struct error *err);

int say_no_memory(void);

#ifdef __clang_analyzer__
/* It sees one file at a time, and would think that these might be 0. */
#define say_usage(...) ((say_usage)(__VA_ARGS__), EXIT_USAGE)
#define say_failed(...) ((say_failed)(__VA_ARGS__), 1)
#define say_error(err) ((say_error)(err), 1)
#define say_no_memory() ((say_no_memory)(), 1)
#endif
