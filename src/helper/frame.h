/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the reader tells the keeper, through a pipe: a header of fixed size, and
 * bytes. The keeper believes nothing of it: the reader may have been taken over
 * by what it reads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_PAYLOAD_MAX 32768u
#define FRAME_BUFFER (64 * 1024)

enum frame_type {
	FRAME_ENTRY,  /* what: enum entry_kind; payload: its name as it came */
	FRAME_DATA,   /* payload: the next bytes of the file */
	FRAME_PLUGIN, /* what: enum frame_field; payload: its text */
	FRAME_FAILED, /* what: enum error_kind; payload: the entry's name, NUL, the sentence */
	FRAME_END,    /* all is well, and nothing comes after this */
	FRAME_TYPE_LAST = FRAME_END,
};

enum frame_field {
	FRAME_NAME,
	FRAME_VERSION,
	FRAME_DESCRIPTION,
	FRAME_SHA256,
	FRAME_RUNTIME,
};

struct frame {
	uint32_t len; /* of the payload */
	uint16_t type;
	uint16_t what;
	uint32_t mode;
	uint32_t zero;
	uint64_t size;
	int64_t mtime;
};

struct frame_writer {
	int fd; /* borrowed */
	size_t len;
	char bytes[FRAME_BUFFER];
};

/* A payload above the limit is cut into several frames of that type. 0 or -errno. */
int frame_write(struct frame_writer *writer, const struct frame *frame, const void *payload,
		size_t len);
int frame_flush(struct frame_writer *writer);

struct frame_reader {
	int fd; /* borrowed */
	size_t head, tail;
	char bytes[FRAME_BUFFER];
};

/* Reads once, which may wait. 0 at the end of the pipe, 1, or -errno. */
int frame_fill(struct frame_reader *reader);

/* 1 and a frame, good until the next fill; 0: the next is not here yet; -EPROTO. */
int frame_next(struct frame_reader *reader, struct frame *ret_frame, const char **ret_payload);
