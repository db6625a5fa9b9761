/* SPDX-License-Identifier: MIT */
/*
 * The shapes, in the order in which they are told apart: the surest sign comes
 * first, and what two of them share is read alike.
 */

#include "agent/a2a-shape.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "agent/a2a-request.h"
#include "base/jsonscan.h"
#include "base/util.h"

/* The members by which an object is known, and those that are then read. */
enum member {
	MEMBER_ARTIFACT,
	MEMBER_ARTIFACTS,
	MEMBER_ARTIFACT_UPDATE,
	MEMBER_ERROR,
	MEMBER_ID,
	MEMBER_KIND,
	MEMBER_MESSAGE,
	MEMBER_PARTS,
	MEMBER_QUEUED,
	MEMBER_QUEUE_ID,
	MEMBER_RESULT,
	MEMBER_STATUS,
	MEMBER_STATUS_UPDATE,
	MEMBER_TASK,
	MEMBER_TASK_ID,
	MEMBER_TEXT,
	MEMBER_LAST = MEMBER_TEXT,
};

static const char *const member_names[] = {
	[MEMBER_ARTIFACT] = "artifact",
	[MEMBER_ARTIFACTS] = "artifacts",
	[MEMBER_ARTIFACT_UPDATE] = "artifactUpdate",
	[MEMBER_ERROR] = "error",
	[MEMBER_ID] = "id",
	[MEMBER_KIND] = "kind",
	[MEMBER_MESSAGE] = "message",
	[MEMBER_PARTS] = "parts",
	[MEMBER_QUEUED] = "queued",
	[MEMBER_QUEUE_ID] = "queue_id",
	[MEMBER_RESULT] = "result",
	[MEMBER_STATUS] = "status",
	[MEMBER_STATUS_UPDATE] = "statusUpdate",
	[MEMBER_TASK] = "task",
	[MEMBER_TASK_ID] = "taskId",
	[MEMBER_TEXT] = "text",
};

/* Any of the objects, gone through once: there may be ten megabytes of it. */
struct object {
	struct json_text members[MEMBER_LAST + 1];
};

static struct object read_members(struct json_text json)
{
	struct object object;

	json_text_members(json, member_names, ARRAY_LEN(member_names), object.members);
	return object;
}

static struct json_text of_kind(struct json_text value, enum json_kind kind)
{
	return json_text_kind(value) == kind ? value : (struct json_text){ 0 };
}

static struct json_text member_of_kind(const struct object *object, enum member member,
				       enum json_kind kind)
{
	return of_kind(object->members[member], kind);
}

static struct json_text string_in(const struct object *object, enum member member)
{
	return member_of_kind(object, member, JSON_STRING);
}

static bool says(const struct object *object, enum member member, const char *value)
{
	return json_text_equals(object->members[member], value);
}

/* A part is tagged with kind, with type, or not at all; some wrap it as root. */
static struct json_text text_of_part(struct json_text part)
{
	enum {
		ROOT,
		KIND,
		TYPE,
		TEXT
	};
	static const char *const names[] = { "root", "kind", "type", "text" };
	struct json_text members[ARRAY_LEN(names)], tag;

	json_text_members(part, names, ARRAY_LEN(names), members);
	if (json_text_kind(members[ROOT]) == JSON_OBJECT)
		json_text_members(members[ROOT], names, ARRAY_LEN(names), members);
	tag = of_kind(members[KIND], JSON_STRING);
	if (!tag.len)
		tag = of_kind(members[TYPE], JSON_STRING);
	if (tag.len && !json_text_equals(tag, "text"))
		return (struct json_text){ 0 };

	return of_kind(members[TEXT], JSON_STRING);
}

/* The first text in the parts of a message or an artifact. */
static struct json_text text_of_parts(struct json_text parts)
{
	struct json_iter iter = json_iter(of_kind(parts, JSON_ARRAY));
	struct json_text part, text = { 0 };

	while (!text.len && json_next_element(&iter, &part))
		text = text_of_part(part);

	return text;
}

static struct json_text text_of_artifacts(const struct object *owner)
{
	struct json_iter iter = json_iter(member_of_kind(owner, MEMBER_ARTIFACTS, JSON_ARRAY));
	struct json_text artifact, text = { 0 };

	while (!text.len && json_next_element(&iter, &artifact))
		text = text_of_parts(json_text_member(artifact, "parts"));

	return text;
}

static struct json_text text_of_status(const struct object *owner)
{
	struct json_text message = json_text_member(owner->members[MEMBER_STATUS], "message");

	return text_of_parts(json_text_member(message, "parts"));
}

static struct json_text first_of(struct json_text a, struct json_text b)
{
	return a.len ? a : b;
}

static bool state_is(const struct object *owner, const char *name, const char *name_1_0)
{
	struct json_text state = json_text_member(owner->members[MEMBER_STATUS], "state");

	return json_text_equals(state, name) || json_text_equals(state, name_1_0);
}

static bool is_working(const struct object *owner)
{
	return state_is(owner, "working", "TASK_STATE_WORKING") ||
	       state_is(owner, "submitted", "TASK_STATE_SUBMITTED");
}

static bool is_completed(const struct object *owner)
{
	return state_is(owner, "completed", "TASK_STATE_COMPLETED");
}

/* Work that nobody could ask about is no work: what there is is the answer. */
static void set_working(struct json_text id, struct a2a_shape *shape)
{
	char text[A2A_ID_MAX + 1];

	if (json_text_cstring(id, text, sizeof(text)) < 0 || !text[0])
		return;

	shape->kind = A2A_SHAPE_WORKING;
	shape->id = id;
}

static void read_message(const struct object *message, struct a2a_shape *shape)
{
	shape->text = first_of(text_of_parts(message->members[MEMBER_PARTS]),
			       first_of(text_of_artifacts(message), text_of_status(message)));
}

/*
 * What was made is the answer of a task that is completed; of one that failed,
 * or asks for something, it is what it says about itself.
 */
static void read_task(const struct object *task, struct a2a_shape *shape)
{
	struct json_text made = text_of_artifacts(task), said = text_of_status(task);

	if (is_working(task))
		set_working(string_in(task, MEMBER_ID), shape);

	if (is_working(task) || is_completed(task)) {
		shape->is_remark = !made.len;
		shape->text = first_of(made, said);
	} else {
		shape->text = first_of(said, made);
	}
}

/* A stream's: one that works goes on even when the stream does not. */
static void read_status_update(const struct object *update, struct a2a_shape *shape)
{
	shape->text = text_of_status(update);
	shape->is_remark = is_working(update) || is_completed(update);
	if (is_working(update))
		set_working(string_in(update, MEMBER_TASK_ID), shape);
}

static void read_artifact_update(const struct object *update, struct a2a_shape *shape)
{
	struct json_text artifact = update->members[MEMBER_ARTIFACT];

	shape->text = text_of_parts(json_text_member(artifact, "parts"));
	set_working(string_in(update, MEMBER_TASK_ID), shape);
}

struct reader {
	const char *kind;         /* 0.3's */
	enum member wrapper;      /* 1.0's: the member that holds it */
	enum member sign;         /* the member without which it is not one */
	enum json_kind sign_kind; /* JSON_NONE: there is no such member */
	void (*read)(const struct object *object, struct a2a_shape *shape);
};

static const struct reader readers[] = {
	{ "status-update", MEMBER_STATUS_UPDATE, .read = read_status_update },
	{ "artifact-update", MEMBER_ARTIFACT_UPDATE, .read = read_artifact_update },
	{ "message", MEMBER_MESSAGE, MEMBER_PARTS, JSON_ARRAY, read_message },
	{ "task", MEMBER_TASK, MEMBER_STATUS, JSON_OBJECT, read_task },
};

/* Whether an object is a result of a known shape; *shape is then filled. */
static bool read_object(const struct object *object, struct a2a_shape *shape)
{
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		const struct reader *reader = &readers[i];

		if (says(object, MEMBER_KIND, reader->kind) ||
		    (reader->sign_kind &&
		     member_of_kind(object, reader->sign, reader->sign_kind).len)) {
			reader->read(object, shape);
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		struct json_text json = member_of_kind(object, readers[i].wrapper, JSON_OBJECT);
		struct object inner;

		if (json.len) {
			inner = read_members(json);
			readers[i].read(&inner, shape);
			return true;
		}
	}

	return false;
}

/* Whatever is said to be a result is an answer, though it may have no text. */
static void read_result(struct json_text result, struct a2a_shape *shape)
{
	struct object object = read_members(result);

	shape->kind = A2A_SHAPE_ANSWER;
	if (json_text_kind(result) == JSON_STRING)
		shape->text = result;
	else if (!read_object(&object, shape))
		shape->text = string_in(&object, MEMBER_TEXT);
}

/* {"code":..,"message":..}, or just words. */
static void read_error(struct json_text error, struct a2a_shape *shape)
{
	shape->kind = A2A_SHAPE_ERROR;
	(void)json_text_int64(json_text_member(error, "code"), &shape->code);
	shape->words = json_text_kind(error) == JSON_STRING
			       ? error
			       : of_kind(json_text_member(error, "message"), JSON_STRING);
}

static void read_queued(const struct object *notice, struct a2a_shape *shape)
{
	shape->kind = A2A_SHAPE_QUEUED;
	shape->id = string_in(notice, MEMBER_QUEUE_ID);
}

void a2a_shape_read(struct json_text text, struct a2a_shape *ret)
{
	struct object object = read_members(text);
	struct json_text error = object.members[MEMBER_ERROR];
	struct json_text result = object.members[MEMBER_RESULT];

	*ret = (struct a2a_shape){ 0 };
	if (error.len && json_text_kind(error) != JSON_NULL)
		read_error(error, ret);
	else if (result.len)
		read_result(result, ret);
	else if (json_text_is_true(object.members[MEMBER_QUEUED]) ||
		 says(&object, MEMBER_STATUS, "queued"))
		read_queued(&object, ret);
	else if (says(&object, MEMBER_STATUS, "ok") || read_object(&object, ret))
		ret->kind = ret->kind ?: A2A_SHAPE_ANSWER;
}

static bool begins(const char *at, size_t len, const char *with)
{
	size_t with_len = strlen(with);

	return len >= with_len && memcmp(at, with, with_len) == 0;
}

bool a2a_stream_is(const char *content_type, const char *body, size_t len)
{
	static const char *const fields[] = { "data:", "event:", "id:", "retry:", ":" };

	if (strncasecmp(content_type, "text/event-stream", strlen("text/event-stream")) == 0)
		return true;

	while (len && (*body == '\r' || *body == '\n')) {
		body++;
		len--;
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (begins(body, len, fields[i]))
			return true;

	return false;
}

/* Where things are in out, which moves as it grows. */
struct stream {
	struct buffer *out;
	size_t event_at;          /* the event whose lines are being read */
	size_t last_at, last_len; /* the last one that was a reply; 0: none yet */
	size_t text_at, text_len; /* the last text that work gave; 0: none yet */
};

/* The event's lines are all there: is it a reply? */
static void end_event(struct stream *stream)
{
	size_t len = buffer_len(stream->out) - stream->event_at;
	struct a2a_shape shape = { 0 };
	struct json_text text;
	const char *at;

	if (stream->out->failed || !len)
		return;

	at = buffer_at(stream->out) + stream->event_at;
	text = json_text_from(at, len);
	if (json_check(at, len, A2A_REPLY_DEPTH_MAX, A2A_REPLY_VALUES_MAX, NULL) == 0)
		a2a_shape_read(text, &shape);
	if (shape.kind == A2A_SHAPE_NONE) {
		buffer_truncate(stream->out, stream->event_at);
		return;
	}

	stream->last_at = (size_t)(text.at - buffer_at(stream->out));
	stream->last_len = text.len;
	if (shape.text.len && !shape.is_remark) {
		stream->text_at = (size_t)(shape.text.at - buffer_at(stream->out));
		stream->text_len = shape.text.len;
	}
	stream->event_at = buffer_len(stream->out);
}

static void take_line(struct stream *stream, const char *line, size_t len)
{
	if (!len) {
		end_event(stream);
		return;
	}
	if (!begins(line, len, "data:"))
		return;

	line += strlen("data:");
	len -= strlen("data:");
	/* Lines of one event are joined by what would be a newline; to JSON, a space is as good. */
	if (buffer_len(stream->out) > stream->event_at)
		(void)buffer_append_char(stream->out, ' ');
	(void)buffer_append(stream->out, line, len);
}

int a2a_stream_read(const char *body, size_t len, struct buffer *out, struct json_text *ret_text,
		    struct a2a_shape *ret_shape)
{
	struct stream stream = { .out = out };
	const char *at = body, *end = body + len;

	while (at < end && !out->failed) {
		const char *line = at;

		while (at < end && *at != '\r' && *at != '\n')
			at++;
		take_line(&stream, line, (size_t)(at - line));
		if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
			at++;
		at++;
	}
	/* The last event may lack its empty line. */
	end_event(&stream);

	if (out->failed)
		return out->failed;
	if (!stream.last_len)
		return -ENOENT;

	*ret_text = (struct json_text){ buffer_at(out) + stream.last_at, stream.last_len };
	a2a_shape_read(*ret_text, ret_shape);
	if (stream.text_len && ret_shape->kind == A2A_SHAPE_ANSWER &&
	    (!ret_shape->text.len || ret_shape->is_remark))
		ret_shape->text =
			(struct json_text){ buffer_at(out) + stream.text_at, stream.text_len };
	return 0;
}
