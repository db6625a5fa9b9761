/* SPDX-License-Identifier: MIT */
/*
 * Messages in, requests out. What is known of a message is read from it and
 * written anew, in the one form that the version has; the rest is copied.
 */

#include "agent/a2a-request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

enum part_kind {
	PART_TEXT,
	PART_FILE,
	PART_DATA,
};

/* What a part says, in whichever words. */
struct part {
	enum part_kind kind;
	struct json_text content; /* the text, the file's bytes or where it is, the data */
	struct json_text file;    /* as 0.3 has it, or JSON_NONE */
	struct json_text file_name, media_type;
	bool is_uri; /* the file's content is */
};

/* The members of a message and of a part that are written anew, not copied. */
static const char *const message_words[] = { "kind", "messageId", "parts", "role", NULL };
static const char *const part_words[] = { "data", "file", "kind", "text", "type", NULL };
static const char *const file_words[] = { "data", "file", "filename", "kind", "mediaType",
					  "raw",  "text", "type",     "url",  NULL };

static struct json_text string_member(struct json_text object, const char *name)
{
	struct json_text value = json_text_member(object, name);

	return json_text_kind(value) == JSON_STRING ? value : (struct json_text){ 0 };
}

/* null is as good as absent. */
static bool is_absent(struct json_text value)
{
	enum json_kind kind = json_text_kind(value);

	return kind == JSON_NONE || kind == JSON_NULL;
}

static int read_text(struct json_text json, struct part *ret, struct error *err)
{
	ret->kind = PART_TEXT;
	ret->content = string_member(json, "text");
	if (!ret->content.len)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "text must be a string");
	return 0;
}

static int read_data(struct json_text json, struct part *ret, struct error *err)
{
	ret->kind = PART_DATA;
	ret->content = json_text_member(json, "data");
	if (json_text_kind(ret->content) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "data must be an object");
	return 0;
}

/* 0.3 has a member file, with bytes or a uri; 1.0 has raw or url in the part itself. */
static int read_file(struct json_text json, struct part *ret, struct error *err)
{
	bool nested = json_text_kind(json_text_member(json, "file")) == JSON_OBJECT;
	struct json_text file = nested ? json_text_member(json, "file") : json;

	ret->kind = PART_FILE;
	ret->file = nested ? file : (struct json_text){ 0 };
	if (nested) {
		ret->file_name = string_member(file, "name");
		ret->media_type = string_member(file, "mimeType");
	}
	ret->content = string_member(file, nested ? "bytes" : "raw");
	ret->is_uri = !ret->content.len;
	if (ret->is_uri)
		ret->content = string_member(file, nested ? "uri" : "url");
	if (!ret->content.len)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "file must be an object with bytes (base64) or a uri");
	return 0;
}

static int read_tagged(struct json_text json, struct json_text tag, struct part *ret,
		       struct error *err)
{
	char quoted[64];

	if (json_text_equals(tag, "text"))
		return read_text(json, ret, err);
	if (json_text_equals(tag, "file"))
		return read_file(json, ret, err);
	if (json_text_equals(tag, "data"))
		return read_data(json, ret, err);

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "kind is %s; it must be \"text\", \"file\" or \"data\"",
			 error_quote(quoted, sizeof(quoted), tag.at, tag.len));
}

static int read_part(struct json_text json, struct part *ret, struct error *err)
{
	struct json_text tag = json_text_member(json, "kind");

	*ret = (struct part){
		.file_name = string_member(json, "filename"),
		.media_type = string_member(json, "mediaType"),
	};
	if (json_text_kind(json) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "it must be an object");

	if (is_absent(tag))
		tag = json_text_member(json, "type");
	if (!is_absent(tag))
		return read_tagged(json, tag, ret, err);

	if (string_member(json, "text").len)
		return read_text(json, ret, err);
	if (!is_absent(json_text_member(json, "data")))
		return read_data(json, ret, err);
	if (!is_absent(json_text_member(json, "file")) || string_member(json, "raw").len ||
	    string_member(json, "url").len)
		return read_file(json, ret, err);

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "it has neither text, file nor data");
}

static int check_parts(struct json_text parts, struct error *err)
{
	struct json_iter iter = json_iter(parts);
	struct json_text element;
	struct part part;
	size_t n = 0;
	int r;

	if (json_text_kind(parts) != JSON_ARRAY)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message must have an array of parts");

	for (; json_next_element(&iter, &element); n++) {
		r = read_part(element, &part, err);
		if (r < 0) {
			error_prefix(err, "message.parts[%zu]", n);
			return r;
		}
	}
	if (!n)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message must have at least one part");
	return 0;
}

/* The role in 0.3's spelling; NULL for one that nobody knows. */
static const char *role_of(struct json_text message)
{
	struct json_text role = json_text_member(message, "role");

	if (is_absent(role) || json_text_equals(role, "user") ||
	    json_text_equals(role, "ROLE_USER"))
		return "user";
	if (json_text_equals(role, "agent") || json_text_equals(role, "ROLE_AGENT"))
		return "agent";
	return NULL;
}

int a2a_message_check(struct json_text message, struct error *err)
{
	static const char *const ids[] = { "contextId", "taskId" };
	struct json_text kind = json_text_member(message, "kind");

	if (json_text_kind(message) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message must be an object with parts, not %s",
				 json_kind_name(json_text_kind(message)));
	if (!is_absent(kind) && !json_text_equals(kind, "message"))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message.kind must be \"message\"");
	if (!role_of(message))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message.role must be \"user\" or \"agent\"");

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct json_text id = json_text_member(message, ids[i]);

		if (!is_absent(id) && json_text_kind(id) != JSON_STRING)
			return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
					 "message.%s must be a string, not %s", ids[i],
					 json_kind_name(json_text_kind(id)));
	}

	return check_parts(json_text_member(message, "parts"), err);
}

/* dst gets "" for one that is absent. */
static int read_id(struct json_text id, const char *where, char dst[static A2A_ID_MAX + 1],
		   struct error *err)
{
	dst[0] = '\0';
	if (is_absent(id))
		return 0;
	if (json_text_cstring(id, dst, A2A_ID_MAX + 1) == 0 && dst[0])
		return 0;

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "%s must be a string of 1 to %d bytes, none of them NUL", where,
			 A2A_ID_MAX);
}

int a2a_message_id(struct json_text message, struct json_text given,
		   char dst[static A2A_ID_MAX + 1], struct error *err)
{
	char its_own[A2A_ID_MAX + 1], beside[A2A_ID_MAX + 1];
	int r;

	r = read_id(json_text_member(message, "messageId"), "message.messageId", its_own, err);
	if (r < 0)
		return r;
	r = read_id(given, "message_id", beside, err);
	if (r < 0)
		return r;

	if (its_own[0] && beside[0] && strcmp(its_own, beside) != 0)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "message_id and message.messageId differ; leave one of them out");

	memcpy(dst, its_own[0] ? its_own : beside, A2A_ID_MAX + 1);
	return 0;
}

static void write_value(struct buffer *out, struct json_text value)
{
	(void)buffer_append(out, value.at, value.len);
}

static void write_text(struct buffer *out, const char *text)
{
	(void)json_write_string(out, text, strlen(text));
}

/* ,"name":value - unless there is none. */
static void write_member(struct buffer *out, const char *name, struct json_text value)
{
	if (is_absent(value))
		return;

	(void)buffer_append_text(out, ",\"");
	(void)buffer_append_text(out, name);
	(void)buffer_append_text(out, "\":");
	write_value(out, value);
}

static bool is_among(struct json_text name, const char *const *words)
{
	for (; *words; words++)
		if (json_text_equals(name, *words))
			return true;

	return false;
}

/* What was not written anew. */
static void write_others(struct buffer *out, struct json_text object, const char *const *but)
{
	struct json_iter iter = json_iter(object);
	struct json_text name, value;

	while (json_next_member(&iter, &name, &value)) {
		if (is_absent(value) || is_among(name, but))
			continue;
		(void)buffer_append_char(out, ',');
		write_value(out, name);
		(void)buffer_append_char(out, ':');
		write_value(out, value);
	}
}

static void write_file_0_3(struct buffer *out, struct json_text json, const struct part *part)
{
	(void)buffer_append_text(out, "{\"kind\":\"file\",\"file\":");
	if (part->file.len) {
		write_value(out, part->file);
		write_others(out, json, part_words);
	} else {
		(void)buffer_append_text(out, part->is_uri ? "{\"uri\":" : "{\"bytes\":");
		write_value(out, part->content);
		write_member(out, "name", part->file_name);
		write_member(out, "mimeType", part->media_type);
		(void)buffer_append_char(out, '}');
		write_others(out, json, file_words);
	}
	(void)buffer_append_char(out, '}');
}

static void write_part_0_3(struct buffer *out, struct json_text json, const struct part *part)
{
	if (part->kind == PART_FILE) {
		write_file_0_3(out, json, part);
		return;
	}
	(void)buffer_append_text(out, part->kind == PART_TEXT ? "{\"kind\":\"text\",\"text\":"
							      : "{\"kind\":\"data\",\"data\":");
	write_value(out, part->content);
	write_others(out, json, part_words);
	(void)buffer_append_char(out, '}');
}

static void write_part_1_0(struct buffer *out, struct json_text json, const struct part *part)
{
	switch (part->kind) {
	case PART_TEXT:
		(void)buffer_append_text(out, "{\"text\":");
		break;
	case PART_FILE:
		(void)buffer_append_text(out, part->is_uri ? "{\"url\":" : "{\"raw\":");
		break;
	case PART_DATA:
		(void)buffer_append_text(out, "{\"data\":");
		break;
	}
	write_value(out, part->content);
	write_member(out, "filename", part->file_name);
	write_member(out, "mediaType", part->media_type);
	write_member(out, "metadata", json_text_member(json, "metadata"));
	(void)buffer_append_char(out, '}');
}

static void write_parts(struct buffer *out, enum a2a_version version, struct json_text parts)
{
	struct json_iter iter = json_iter(parts);
	struct json_text element;
	const char *comma = "";
	struct part part;

	while (json_next_element(&iter, &element)) {
		if (read_part(element, &part, NULL) < 0)
			continue;
		(void)buffer_append_text(out, comma);
		if (version == A2A_0_3)
			write_part_0_3(out, element, &part);
		else
			write_part_1_0(out, element, &part);
		comma = ",";
	}
}

static void write_message(struct buffer *out, const struct a2a_request *request)
{
	static const char *const known[] = { "contextId", "taskId", "metadata", "extensions",
					     "referenceTaskIds" };
	bool is_user = strcmp(role_of(request->message) ?: "user", "user") == 0;

	if (request->version == A2A_0_3)
		(void)buffer_append_text(out, is_user ? "{\"kind\":\"message\",\"role\":\"user\""
						      : "{\"kind\":\"message\",\"role\":\"agent\"");
	else
		(void)buffer_append_text(out, is_user ? "{\"role\":\"ROLE_USER\""
						      : "{\"role\":\"ROLE_AGENT\"");
	(void)buffer_append_text(out, ",\"messageId\":");
	write_text(out, request->message_id);

	(void)buffer_append_text(out, ",\"parts\":[");
	if (request->text.len) {
		(void)buffer_append_text(out, request->version == A2A_0_3
						      ? "{\"kind\":\"text\",\"text\":"
						      : "{\"text\":");
		write_value(out, request->text);
		(void)buffer_append_char(out, '}');
	} else {
		write_parts(out, request->version, json_text_member(request->message, "parts"));
	}
	(void)buffer_append_char(out, ']');

	if (request->version == A2A_0_3)
		write_others(out, request->message, message_words);
	else
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			write_member(out, known[i], json_text_member(request->message, known[i]));
	(void)buffer_append_char(out, '}');
}

static void begin(struct buffer *out, const char *id, const char *method)
{
	(void)buffer_append_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	write_text(out, id);
	(void)buffer_append_text(out, ",\"method\":\"");
	(void)buffer_append_text(out, method);
	(void)buffer_append_text(out, "\",\"params\":{");
}

static int refuse_large(size_t len, struct error *err)
{
	return error_set(err, ERROR_TOO_LARGE, EMSGSIZE,
			 "the message is too large: with all that belongs to it, it takes %zu "
			 "bytes, and the platform takes %zu",
			 len, A2A_MESSAGE_MAX);
}

int a2a_request_write(const struct a2a_request *request, struct buffer *out, struct error *err)
{
	size_t start = buffer_len(out), len;

	begin(out, request->id, request->version == A2A_0_3 ? "message/send" : "SendMessage");
	(void)buffer_append_text(out, "\"message\":");
	write_message(out, request);
	(void)buffer_append_text(out, "}}");

	if (out->failed == -ENOMEM)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the message");
	len = buffer_len(out) - start;
	if (out->failed)
		return error_set(err, ERROR_TOO_LARGE, EMSGSIZE,
				 "the message is too large: the platform takes %zu bytes",
				 A2A_MESSAGE_MAX);
	return len > A2A_MESSAGE_MAX ? refuse_large(len, err) : 0;
}

int a2a_request_write_get(enum a2a_version version, const char *id, const char *task_id,
			  struct buffer *out)
{
	begin(out, id, version == A2A_0_3 ? "tasks/get" : "GetTask");
	(void)buffer_append_text(out, "\"id\":");
	write_text(out, task_id);
	(void)buffer_append_text(out, "}}");
	return out->failed;
}

const char *a2a_version_name(enum a2a_version version)
{
	switch (version) {
	case A2A_0_3:
		return "0.3";
	case A2A_1_0:
		return "1.0";
	}
	return "?";
}
