/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What our helper programs have in common: where they are, and how little of our
 * environment they get.
 */

#define HELPER_OPTIONS_MAX 512

/*
 * LIBEXECDIR/NAME. Whoever starts the daemon may say otherwise in a variable, as
 * does who runs it from a checkout; that is nobody who could not start another
 * daemon. Lives as long as the environment.
 */
const char *helper_program(const char *variable, const char *usual);

struct helper_environment {
	const char *list[3]; /* for a struct process_spec; points into text */
	char text[HELPER_OPTIONS_MAX];
};

void helper_environment_fill(struct helper_environment *environment);
