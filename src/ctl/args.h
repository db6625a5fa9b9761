/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The command line, read by the command table: global options anywhere, a
 * command (of one or two words), its own options behind it, and its words.
 * "--" ends the options.
 *
 * There is no option that takes a token, and --token is refused with the
 * reason: every process of the machine can read our arguments.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/command.h"

struct given {
	const struct option_spec *option;
	const char *value; /* borrowed from argv; "" for a flag */
};

struct args {
	const struct command *command; /* NULL: none was named */
	struct given *given;           /* owned; ends with one that has no option */
	size_t n_given;
	const char **words; /* owned, NULL-terminated; each borrowed from argv */
	size_t n_words;
};

/* Returns 0, or the exit status of a mistake that was said. */
int args_parse(struct args *args, int argc, char *argv[]);
void args_fini(struct args *args);

/* The value that was given last, NULL when the option was not given. */
const char *args_get(const struct args *args, const char *name);
bool args_has(const struct args *args, const char *name);
