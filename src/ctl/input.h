/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person or a script hands over on standard input: whole texts, and
 * tokens that are typed without being shown. Buffers wipe what they held.
 */

#include "base/buffer.h"

#define INPUT_MAX ((size_t)1 << 20) /* the daemon takes no longer call */
#define INPUT_INIT BUFFER_INIT(INPUT_MAX + 16384)

/* Reads standard input to its end. */
int input_read_all(struct buffer *input);

/* Asks on the terminal that standard input is, for a line that is not shown. */
int input_ask(const char *question, struct buffer *input);

/*
 * A text that is a word of the command line, or with "-" standard input; not
 * empty, and with a NUL behind it. what names it in errors: "the task".
 */
int input_read_text(const char *topic, const char *what, const char *word, struct buffer *input);

/* A file, for "-" standard input. what names it in errors. */
int input_read_file(const char *path, struct buffer *input);
