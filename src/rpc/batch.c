/* SPDX-License-Identifier: MIT */
/*
 * Batches. The answers are collected behind an opening bracket, each followed
 * by a comma, the last of which becomes the closing bracket.
 */

#include "rpc/batch.h"

#include <errno.h>
#include <string.h>

#include "base/jsonrpc.h"
#include "rpc/call.h"
#include "rpc/events.h"

static struct batch *batch_of(struct sink *sink)
{
	return container_of(sink, struct batch, sink);
}

void batch_free(struct batch *batch)
{
	if (!batch)
		return;

	list_remove(&batch->node);
	buffer_fini(&batch->answers);
	buffer_fini(&batch->late);
	explicit_bzero(batch->text, batch->text_len);
	free(batch);
}

/* All entries have been served: the answers go out, and what was to follow them. */
static void finish(struct batch *batch)
{
	struct outlet *outlet = &batch->caller->outlet;
	struct buffer *out = outlet->sink.out;
	size_t start = outlet_begin(outlet);

	if (buffer_len(&batch->answers) > 1) {
		batch->answers.bytes[batch->answers.tail - 1] = ']';
		(void)buffer_append(out, buffer_at(&batch->answers), buffer_len(&batch->answers));
	}
	if (out->failed || buffer_len(out) > outlet->sink.max) {
		buffer_truncate(out, start);
		outlet->sink.on_overflow(&outlet->sink);
	}
	outlet->sink.on_answer(&outlet->sink, start);
	events_release(batch->caller, &batch->late);
	batch_free(batch);
}

static void close_one(struct batch *batch)
{
	if (--batch->n_open == 0)
		finish(batch);
}

static void on_answer(struct sink *sink, size_t start)
{
	struct batch *batch = batch_of(sink);

	if (buffer_len(sink->out) > start && buffer_append_char(sink->out, ',') < 0)
		sink->on_overflow(sink);
	close_one(batch);
}

static void on_overflow(struct sink *sink)
{
	struct sink *outer = &batch_of(sink)->caller->outlet.sink;

	outer->on_overflow(outer);
}

static int check(struct json_text text, struct error *err)
{
	struct json_iter iter = json_iter(text);
	struct json_text entry;
	unsigned n = 0;

	while (n <= JSONRPC_BATCH_MAX && json_next_element(&iter, &entry))
		n++;

	if (!n)
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL, "the batch is empty");

	if (n > JSONRPC_BATCH_MAX)
		return error_set(err, ERROR_INVALID_REQUEST, E2BIG,
				 "a batch has at most %d entries", JSONRPC_BATCH_MAX);

	return 0;
}

static struct batch *no_memory(struct error *err)
{
	(void)error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a batch");
	return NULL;
}

static struct batch *create(struct caller *caller, struct json_text text, struct error *err)
{
	size_t whole = caller->outlet.sink.max;
	/* What may be waiting before it must not make an answer too long that fits here. */
	size_t max = whole - MIN(whole / 2, (size_t)OUTLET_HIGH);
	struct batch *batch;

	batch = calloc(1, sizeof(*batch) + text.len);
	if (!batch)
		return no_memory(err);

	(void)memcpy(batch->text, text.at, text.len);
	batch->text_len = text.len;
	batch->rest = json_iter((struct json_text){ .at = batch->text, .len = text.len });
	batch->caller = caller;
	batch->n_open = 1;
	buffer_init(&batch->answers, max + OUTLET_SLACK);
	buffer_init(&batch->late, max);
	batch->sink = (struct sink){
		.out = &batch->answers,
		.max = max,
		.high = max,
		.late = &batch->late,
		.on_answer = on_answer,
		.on_overflow = on_overflow,
	};
	list_init(&batch->node);
	list_append(&caller->batches, &batch->node);
	if (buffer_append_char(&batch->answers, '[') < 0) {
		batch_free(batch);
		return no_memory(err);
	}

	return batch;
}

struct batch *batch_new(struct caller *caller, struct json_text text)
{
	struct batch *batch = NULL;
	struct error err;
	int r;

	r = check(text, &err);
	if (r == 0)
		batch = create(caller, text, &err);
	if (!batch)
		call_complain(caller, &caller->outlet.sink, &err);

	return batch;
}

bool batch_serve(struct batch *batch)
{
	struct json_text entry;
	struct json_iter peek;

	if (json_next_element(&batch->rest, &entry)) {
		batch->n_open++;
		call_serve(batch->caller, &batch->sink, entry);
	}

	peek = batch->rest;
	if (json_next_element(&peek, &entry))
		return true;

	close_one(batch);
	return false;
}
