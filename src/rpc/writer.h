/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Writes JSON straight into a buffer. It keeps nothing: the last byte of the
 * buffer tells whether a comma is due. A failed append is remembered by the
 * buffer, so nothing here returns one.
 *
 * name is that of a member, or NULL for an element of an array.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

void writer_open(struct buffer *out, const char *name, char bracket);
void writer_close(struct buffer *out, char bracket);

void writer_text(struct buffer *out, const char *name, const char *text); /* NULL: null */
void writer_int(struct buffer *out, const char *name, int64_t value);
void writer_number(struct buffer *out, const char *name, double value); /* finite */
void writer_bool(struct buffer *out, const char *name, bool value);
void writer_time(struct buffer *out, const char *name, int64_t unix_ms); /* 0: null */
void writer_raw(struct buffer *out, const char *name, const char *json, size_t len);
