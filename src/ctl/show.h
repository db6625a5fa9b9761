/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Values from the daemon as people read them. Each function appends to a
 * buffer, whose failure is looked at once, when it is written out. Text is made
 * safe for a terminal on the way: what cannot be shown becomes U+FFFD, white
 * space one blank.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/jsontext.h"

enum colour {
	COLOUR_NONE,
	COLOUR_BOLD,
	COLOUR_GREEN,
	COLOUR_YELLOW,
	COLOUR_RED,
};

int64_t show_now_ms(void); /* the wall clock */

void show_text(struct buffer *out, const char *text, size_t len);

/* A string without its quotes, a number or boolean as it is; nothing for null and none. */
void show_value(struct buffer *out, struct json_text value);

/* The member of that name; nothing when it is not there. */
void show_member(struct buffer *out, struct json_text object, const char *name);

/* "12s ago", "in 3min"; nothing for what is no RFC 3339 time. */
void show_ago(struct buffer *out, struct json_text time);

/* "30s", from a number of milliseconds. */
void show_duration(struct buffer *out, struct json_text ms);

/* "512 B", "34.5 KiB" */
void show_size(struct buffer *out, int64_t bytes);

/* A string's decoded bytes as they are: for what is not meant for a terminal. */
void show_raw(struct buffer *out, struct json_text string);

/*
 * The same of what somebody else has said: as it is into a file or a pipe, but on
 * a terminal only its lines, and nothing that would act on the terminal.
 */
void show_words(struct buffer *out, struct json_text string, bool on_terminal);

void show_begin_colour(struct buffer *out, bool coloured, enum colour colour);
void show_end_colour(struct buffer *out, bool coloured, enum colour colour);
enum colour show_state_colour(struct json_text state);

/* RFC 3339 in UTC, with or without a fraction; false for anything else. */
bool show_parse_time(const char *text, size_t len, int64_t *ret_ms);
