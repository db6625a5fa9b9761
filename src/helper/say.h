/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the daemon hears on standard output: one JSON object a line. The last
 * line is {"done":…} or {"failed":…}; see molecule-unpack(8).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "helper/refusal.h"

#define SAY_LINE_MAX (64 * 1024)
#define SAY_WARNINGS_MAX 20 /* and one that says how many more there were */
#define SAY_PROGRESS_MS 250

struct say {
	int fd; /* borrowed */
	struct buffer line;
	uint64_t n_warnings;
	int64_t next_progress_ms;
};

void say_init(struct say *say, int fd);
void say_fini(struct say *say);

/* At most every SAY_PROGRESS_MS. */
void say_progress(struct say *say, uint64_t files, uint64_t bytes);
void say_warning(struct say *say, const char *format, ...) PRINTF(2, 3);
/* How many warnings were not printed, as one. */
void say_more_warnings(struct say *say);
void say_failed(struct say *say, const struct refusal *refusal);

/* For other lines: appends `"name":` and the text, quoted; NULL is null. */
void say_text(struct say *say, const char *name, const char *text);
/* Ends the line that was appended to say->line, and writes it. */
int say_line(struct say *say);
