/* SPDX-License-Identifier: MIT */
#include "helper/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

int frame_flush(struct frame_writer *writer)
{
	size_t len = writer->len;

	writer->len = 0;
	return fd_write_all(writer->fd, writer->bytes, len);
}

static int write_one(struct frame_writer *writer, struct frame frame, const char *payload,
		     size_t len)
{
	int r;

	if (sizeof(frame) + len > sizeof(writer->bytes) - writer->len) {
		r = frame_flush(writer);
		if (r < 0)
			return r;
	}

	frame.len = (uint32_t)len;
	memcpy(writer->bytes + writer->len, &frame, sizeof(frame));
	writer->len += sizeof(frame);
	if (len)
		memcpy(writer->bytes + writer->len, payload, len);
	writer->len += len;
	return 0;
}

int frame_write(struct frame_writer *writer, const struct frame *frame, const void *payload,
		size_t len)
{
	const char *at = payload;
	int r;

	while (len > FRAME_PAYLOAD_MAX) {
		assert(frame->type == FRAME_DATA);
		r = write_one(writer, *frame, at, FRAME_PAYLOAD_MAX);
		if (r < 0)
			return r;
		at += FRAME_PAYLOAD_MAX;
		len -= FRAME_PAYLOAD_MAX;
	}
	return write_one(writer, *frame, at, len);
}

int frame_fill(struct frame_reader *reader)
{
	ssize_t n;

	if (reader->head) {
		memmove(reader->bytes, reader->bytes + reader->head, reader->tail - reader->head);
		reader->tail -= reader->head;
		reader->head = 0;
	}

	do
		n = read(reader->fd, reader->bytes + reader->tail,
			 sizeof(reader->bytes) - reader->tail);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;

	reader->tail += (size_t)n;
	return 1;
}

int frame_next(struct frame_reader *reader, struct frame *ret_frame, const char **ret_payload)
{
	size_t len = reader->tail - reader->head;
	struct frame frame;

	if (len < sizeof(frame))
		return 0;

	memcpy(&frame, reader->bytes + reader->head, sizeof(frame));
	if (frame.len > FRAME_PAYLOAD_MAX || frame.type > FRAME_TYPE_LAST)
		return -EPROTO;
	if (len < sizeof(frame) + frame.len)
		return 0;

	*ret_frame = frame;
	*ret_payload = reader->bytes + reader->head + sizeof(frame);
	reader->head += sizeof(frame) + frame.len;
	return 1;
}
