/* SPDX-License-Identifier: MIT */
/*
 * Of our environment a helper gets nothing but what says where a sanitizer writes.
 */

#include "agent/helper-program.h"

#include <stdio.h>
#include <stdlib.h>

const char *helper_program(const char *variable, const char *usual)
{
	const char *path = getenv(variable);

	return path && path[0] == '/' ? path : usual;
}

void helper_environment_fill(struct helper_environment *environment)
{
	const char *options = getenv("ASAN_OPTIONS");
	char *text = environment->text;
	size_t n = 0;

	environment->list[n++] = "LC_ALL=C";
	if (options && (size_t)snprintf(text, HELPER_OPTIONS_MAX, "ASAN_OPTIONS=%s", options) <
			       HELPER_OPTIONS_MAX)
		environment->list[n++] = text;
	environment->list[n] = NULL;
}
