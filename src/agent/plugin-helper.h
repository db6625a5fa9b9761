/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A run of molecule-unpack, the program that does with plugins what would hold
 * up the loop or should not be done in a process that knows secrets. It works
 * in one directory, which it has as descriptor 3, and says in lines of JSON
 * what it does: {"WORD": {...}}, the last of them "done" or "failed".
 *
 * Stopping a run kills it, and its callbacks then never come.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "io/process.h"

#define PLUGIN_HELPER_ARGS_MAX 16
#define PLUGIN_HELPER_LINE_MAX ((size_t)256 << 10) /* two records, with room */

struct plugin_helper;

struct plugin_helper_events {
	/* What is neither its last word nor its failure; may be NULL. Must not free the run. */
	void (*on_word)(struct plugin_helper *helper, const char *word, struct json_object *value);
	/* Once; err is NULL when all went well, and done is what it said then. */
	void (*on_end)(struct plugin_helper *helper, struct json_object *done,
		       const struct error *err);
	/* What plugin_helper_write() put off has gone; NULL when nothing is written. */
	void (*on_room)(struct plugin_helper *helper);
};

struct plugin_helper {
	struct process process;
	const struct plugin_helper_events *events; /* borrowed */
	struct buffer out;                         /* a line that has not ended */
	struct json_object *done;                  /* owned */
	struct error failed;
	char what[96];
};

struct plugin_helper_ask {
	const char *what;        /* for sentences: "unpack pdf-tools" */
	const char *const *args; /* behind the program's name, ended by NULL */
	int dirfd;               /* borrowed until the start returns */
	bool input;              /* somebody is going to write */
	int64_t timeout_ms;      /* 0: none */
};

void plugin_helper_init(struct plugin_helper *helper, const struct plugin_helper_events *events);
int plugin_helper_start(struct plugin_helper *helper, struct reaper *reaper,
			const struct plugin_helper_ask *ask, struct error *err);
void plugin_helper_stop(struct plugin_helper *helper); /* takes one that does not run */
bool plugin_helper_is_running(const struct plugin_helper *helper);

/* As process_write() and process_end_input(). */
int plugin_helper_write(struct plugin_helper *helper, const char *bytes, size_t len);
void plugin_helper_end_input(struct plugin_helper *helper);
