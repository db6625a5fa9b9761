/* SPDX-License-Identifier: MIT */
/*
 * Framing of what goes out.
 */

#include "rpc/outlet.h"

#include <stdio.h>
#include <string.h>

void outlet_init(struct outlet *outlet, struct stream *stream, size_t cap, uint64_t *n_bytes)
{
	*outlet = (struct outlet){
		.sink = { .out = &stream->out, .max = cap, .high = OUTLET_HIGH },
		.stream = stream,
		.n_bytes = n_bytes,
	};
}

size_t outlet_begin(struct outlet *outlet)
{
	return buffer_len(&outlet->stream->out);
}

/* The length is known only now: what was written makes room for the header. */
static void insert_header(struct buffer *out, size_t start)
{
	size_t len = buffer_len(out) - start;
	char header[48], *body;
	int n;

	n = snprintf(header, sizeof(header), "Content-Length: %zu\r\n\r\n", len);
	if (buffer_append(out, header, (size_t)n) < 0)
		return;

	body = out->bytes + out->head + start;
	(void)memmove(body + n, body, len);
	(void)memcpy(body, header, (size_t)n);
}

void outlet_frame(struct outlet *outlet, struct buffer *out, size_t start)
{
	if (buffer_len(out) == start)
		return;

	if (outlet->headers)
		insert_header(out, start);
	else
		(void)buffer_append_char(out, '\n');
	*outlet->n_bytes += buffer_len(out) - start;
	outlet->n_held++;
}

void outlet_end(struct outlet *outlet, size_t start)
{
	outlet_frame(outlet, &outlet->stream->out, start);
}
