/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bytes that grow at the end and are consumed from the front.
 *
 * A buffer has a limit that appending never passes; it is given by whoever
 * makes the buffer, who knows why. Once an append has failed the buffer says so
 * until it is reset, so a writer may append many pieces and check once.
 * Everything that leaves a buffer is wiped: they carry tokens and secrets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

struct buffer {
	char *bytes; /* owned */
	size_t head; /* first byte not consumed */
	size_t tail; /* one past the last byte */
	size_t capacity;
	size_t limit;
	int failed; /* 0, -ENOMEM or -EMSGSIZE */
};

#define BUFFER_INIT(max) ((struct buffer){ .limit = (max) })

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_fini(struct buffer *buffer);

static inline const char *buffer_at(const struct buffer *buffer)
{
	return buffer->bytes + buffer->head;
}

static inline size_t buffer_len(const struct buffer *buffer)
{
	return buffer->tail - buffer->head;
}

/* What buffer_append() does when there is not simply room. */
int buffer_append_and_grow(struct buffer *buffer, const void *bytes, size_t len);

/*
 * Each returns 0, -ENOMEM or -EMSGSIZE; nothing is appended by halves. An answer
 * is a dozen short pieces that mostly fit: that is worth doing in line.
 */
static inline int buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	if (buffer->failed || !len || len > buffer->capacity - buffer->tail ||
	    len > buffer->limit - buffer_len(buffer))
		return buffer_append_and_grow(buffer, bytes, len);

	memcpy(buffer->bytes + buffer->tail, bytes, len);
	buffer->tail += len;
	return 0;
}

/* In line even where nothing else is: most texts are constants, whose length is one, too. */
__attribute__((always_inline)) static inline int buffer_append_text(struct buffer *buffer,
								    const char *text)
{
	return buffer_append(buffer, text, strlen(text));
}

static inline int buffer_append_char(struct buffer *buffer, char c)
{
	return buffer_append(buffer, &c, 1);
}

int buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF(2, 3);

/*
 * Makes room for at least len bytes after the tail and tells how much room
 * there is; buffer_commit() then says how much of it was filled.
 */
int buffer_reserve(struct buffer *buffer, size_t len, char **ret_room, size_t *ret_room_len);
void buffer_commit(struct buffer *buffer, size_t len);

/* Wipes and drops len bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t len);

/* Empties it; keeps a small allocation, gives a large one back. */
void buffer_reset(struct buffer *buffer);

/* Drops what was appended after the length was len; clears failed. */
void buffer_truncate(struct buffer *buffer, size_t len);

/* The bytes as a NUL-terminated string that the caller frees; NULL without memory. */
char *buffer_take_text(struct buffer *buffer);

static inline void buffer_fini_auto(struct buffer *buffer)
{
	buffer_fini(buffer);
}
