/* SPDX-License-Identifier: MIT */
/*
 * Growing byte buffers. They grow by doubling, and are wiped wherever bytes
 * leave: on consume, on growth (by copying by hand, since realloc would leave a
 * copy behind) and at the end.
 */

#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_FIRST 512  /* most messages fit */
#define BUFFER_KEEP 16384 /* what an idle buffer may hold on to */

void buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = BUFFER_INIT(limit);
}

static void buffer_drop(struct buffer *buffer)
{
	if (buffer->bytes) {
		explicit_bzero(buffer->bytes, buffer->tail);
		free(buffer->bytes);
	}
	buffer->bytes = NULL;
	buffer->capacity = 0;
}

void buffer_fini(struct buffer *buffer)
{
	buffer_drop(buffer);
	*buffer = BUFFER_INIT(buffer->limit);
}

/* Moves what is there into an allocation that holds need bytes. */
static int buffer_grow(struct buffer *buffer, size_t need)
{
	size_t len = buffer_len(buffer);
	size_t capacity = MAX(buffer->capacity, (size_t)BUFFER_FIRST);
	char *bytes;

	while (capacity < need)
		capacity *= 2;

	bytes = malloc(capacity);
	if (!bytes)
		return buffer->failed = -ENOMEM;

	if (len)
		memcpy(bytes, buffer_at(buffer), len);
	buffer_drop(buffer);
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	buffer->head = 0;
	buffer->tail = len;
	return 0;
}

static void buffer_compact(struct buffer *buffer)
{
	size_t len = buffer_len(buffer);
	size_t old_tail = buffer->tail;

	memmove(buffer->bytes, buffer_at(buffer), len);
	explicit_bzero(buffer->bytes + len, old_tail - len);
	buffer->head = 0;
	buffer->tail = len;
}

static int buffer_make_room(struct buffer *buffer, size_t len)
{
	size_t have = buffer_len(buffer);

	if (buffer->failed)
		return buffer->failed;

	if (len > buffer->limit || have > buffer->limit - len)
		return buffer->failed = -EMSGSIZE;

	if (buffer->capacity - buffer->tail >= len && buffer->bytes)
		return 0;

	/* Moving pays only when at least half of the allocation is free. */
	if (buffer->bytes && have + len <= buffer->capacity / 2) {
		buffer_compact(buffer);
		return 0;
	}

	return buffer_grow(buffer, have + len);
}

int buffer_append_and_grow(struct buffer *buffer, const void *bytes, size_t len)
{
	int r;

	r = buffer_make_room(buffer, len);
	if (r < 0)
		return r;

	if (len)
		memcpy(buffer->bytes + buffer->tail, bytes, len);
	buffer->tail += len;
	return 0;
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	int len, r;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return buffer->failed = -EINVAL;

	/* vsnprintf() wants a byte for the NUL, which does not count against the limit. */
	buffer->limit++;
	r = buffer_make_room(buffer, (size_t)len + 1);
	buffer->limit--;
	if (r < 0)
		return r;

	va_start(args, format);
	(void)vsnprintf(buffer->bytes + buffer->tail, (size_t)len + 1, format, args);
	va_end(args);
	buffer->tail += (size_t)len;
	return 0;
}

int buffer_reserve(struct buffer *buffer, size_t len, char **ret_room, size_t *ret_room_len)
{
	int r;

	r = buffer_make_room(buffer, len);
	if (r < 0)
		return r;

	*ret_room = buffer->bytes + buffer->tail;
	*ret_room_len = MIN(buffer->capacity - buffer->tail, buffer->limit - buffer_len(buffer));
	return 0;
}

void buffer_commit(struct buffer *buffer, size_t len)
{
	buffer->tail += len;
}

void buffer_consume(struct buffer *buffer, size_t len)
{
	if (!len)
		return;

	explicit_bzero(buffer->bytes + buffer->head, len);
	buffer->head += len;
	if (buffer->head == buffer->tail)
		buffer->head = buffer->tail = 0;
}

void buffer_reset(struct buffer *buffer)
{
	if (buffer->capacity > BUFFER_KEEP)
		buffer_drop(buffer);
	else if (buffer->bytes)
		explicit_bzero(buffer->bytes, buffer->tail);
	buffer->head = buffer->tail = 0;
	buffer->failed = 0;
}

void buffer_truncate(struct buffer *buffer, size_t len)
{
	size_t tail = buffer->head + len;

	if (tail < buffer->tail) {
		explicit_bzero(buffer->bytes + tail, buffer->tail - tail);
		buffer->tail = tail;
	}
	buffer->failed = 0;
}

char *buffer_take_text(struct buffer *buffer)
{
	char *text;

	if (buffer->failed)
		return NULL;

	text = strndup(buffer->bytes ? buffer_at(buffer) : "", buffer_len(buffer));
	buffer_reset(buffer);
	return text;
}
