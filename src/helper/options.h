/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the daemon asks for. It is a program that asks, not a person: a mistake is
 * an error like any other, in the words that the daemon understands.
 */

#include "helper/unpack.h"

enum task {
	TASK_UNPACK,
	TASK_VERIFY,
	TASK_REMOVE,
	TASK_LIST,
	TASK_ACTIVATE,
	TASK_RETIRE,
	TASK_TIDY,
	TASK_VERSION,
};

struct options {
	enum task task;
	struct unpack_request request; /* texts are argv's, as are those below */
	const char *to;                /* of TASK_ACTIVATE, with the request's name */
	bool sync;                     /* likewise */
	const char *as;                /* of TASK_RETIRE, with the request's name */
};

int options_parse(int argc, char *argv[], struct options *options, struct error *err);
