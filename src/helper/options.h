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
	TASK_VERSION,
};

struct options {
	enum task task;
	struct unpack_request request; /* texts are argv's */
};

int options_parse(int argc, char *argv[], struct options *options, struct error *err);
