/* SPDX-License-Identifier: MIT */
#include "helper/pluginfile.h"

#include <string.h>

#include <yaml.h>

#include "base/util.h"

/* Each event costs an allocation or two; a file of 64 KiB can hold as many as it has bytes. */
#define EVENTS_MAX 16384

enum key {
	KEY_OTHER,
	KEY_NAME,
	KEY_VERSION,
	KEY_DESCRIPTION,
	KEY_RUNTIMES,
	KEY_SHA256,
};

struct reading {
	struct pluginfile *file;
	struct refusal *refusal;
	int events, depth;
	unsigned seen; /* keys, as bits */
	bool has_key;  /* the next node of the mapping is the value of key */
	enum key key;
	bool done;
};

bool pluginfile_is_sha256(const char *text)
{
	return strspn(text, "0123456789abcdef") == SHA256_HEX_LEN && !text[SHA256_HEX_LEN];
}

static const char *key_name(enum key key)
{
	switch (key) {
	case KEY_NAME:
		return "name";
	case KEY_VERSION:
		return "version";
	case KEY_DESCRIPTION:
		return "description";
	case KEY_RUNTIMES:
		return "runtimes";
	case KEY_SHA256:
		return "sha256";
	case KEY_OTHER:
		break;
	}
	return "";
}

static enum key find_key(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	for (enum key key = KEY_NAME; key <= KEY_SHA256; key++)
		if (len == strlen(key_name(key)) && memcmp(text, key_name(key), len) == 0)
			return key;

	return KEY_OTHER;
}

static int take_key(struct reading *reading, const yaml_event_t *event)
{
	reading->key = find_key(event);
	reading->has_key = true;
	if (reading->key != KEY_OTHER && reading->seen & 1u << reading->key)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it has the key %s twice",
			      key_name(reading->key));

	reading->seen |= 1u << reading->key;
	return 0;
}

/* A plain null is what YAML makes of nothing. */
static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
		strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0);
}

static int take_text(struct reading *reading, const yaml_event_t *event, char *dst, size_t max)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (memchr(text, '\0', len))
		return refuse(reading->refusal, ERROR_INTEGRITY, "its %s has a NUL in it",
			      key_name(reading->key));
	if (len > max)
		return refuse(reading->refusal, ERROR_INTEGRITY, "its %s is longer than %zu bytes",
			      key_name(reading->key), max);

	memcpy(dst, text, len);
	dst[len] = '\0';
	return 0;
}

/* For people: the beginning will do, in whole characters. */
static int take_description(struct reading *reading, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = strnlen(text, event->data.scalar.length);

	if (len > PLUGINFILE_DESCRIPTION_MAX) {
		len = PLUGINFILE_DESCRIPTION_MAX;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(reading->file->description, text, len);
	reading->file->description[len] = '\0';
	return 0;
}

static int take_name(struct reading *reading, const yaml_event_t *event)
{
	struct pluginfile *file = reading->file;
	int r = take_text(reading, event, file->name, POLICY_NAME_MAX);

	if (r == 0 && !policy_plugin_name(file->name))
		return refuse(reading->refusal, ERROR_INTEGRITY,
			      "its name is not made of letters, digits, '.', '_' and '-'");

	return r;
}

static int take_sha256(struct reading *reading, const yaml_event_t *event)
{
	struct pluginfile *file = reading->file;
	int r = take_text(reading, event, file->sha256, SHA256_HEX_LEN);

	if (r == 0 && !pluginfile_is_sha256(file->sha256))
		return refuse(reading->refusal, ERROR_INTEGRITY,
			      "its sha256 is not 64 hexadecimal digits in lower case");

	return r;
}

static int take_runtime(struct reading *reading, const yaml_event_t *event)
{
	struct pluginfile *file = reading->file;
	int r;

	if (file->n_runtimes == PLUGINFILE_RUNTIMES_MAX)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it has more than %d runtimes",
			      PLUGINFILE_RUNTIMES_MAX);

	r = take_text(reading, event, file->runtimes[file->n_runtimes], PLUGINFILE_RUNTIME_MAX);
	if (r == 0)
		file->n_runtimes++;
	return r;
}

static int take_value(struct reading *reading, const yaml_event_t *event)
{
	if (reading->key == KEY_OTHER || is_null(event))
		return 0;

	switch (reading->key) {
	case KEY_NAME:
		return take_name(reading, event);
	case KEY_VERSION:
		return take_text(reading, event, reading->file->version, PLUGINFILE_VERSION_MAX);
	case KEY_DESCRIPTION:
		return take_description(reading, event);
	case KEY_RUNTIMES:
		return take_runtime(reading, event);
	case KEY_SHA256:
		return take_sha256(reading, event);
	case KEY_OTHER:
		break;
	}
	return 0;
}

static int on_scalar(struct reading *reading, const yaml_event_t *event)
{
	int r;

	if (reading->depth == 0)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it is not a mapping");
	if (reading->depth == 1 && !reading->has_key)
		return take_key(reading, event);

	/* Of what is deeper only the items of runtimes are read. */
	if (reading->depth > 2 || (reading->depth == 2 && reading->key != KEY_RUNTIMES))
		return 0;
	r = take_value(reading, event);
	if (reading->depth == 1)
		reading->has_key = false;
	return r;
}

static int on_start(struct reading *reading, bool mapping)
{
	if (reading->depth == 0 && !mapping)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it is not a mapping");
	if (reading->depth == 1 && !reading->has_key)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it has a key that is no text");
	if (reading->depth >= 1 && reading->key != KEY_OTHER &&
	    (reading->key != KEY_RUNTIMES || mapping || reading->depth > 1))
		return refuse(reading->refusal, ERROR_INTEGRITY, "its %s is not %s",
			      key_name(reading->key),
			      reading->key == KEY_RUNTIMES ? "a list of texts" : "a text");
	if (++reading->depth > PLUGINFILE_DEPTH_MAX)
		return refuse(reading->refusal, ERROR_INTEGRITY, "it is nested more than %d deep",
			      PLUGINFILE_DEPTH_MAX);

	return 0;
}

static int on_event(struct reading *reading, const yaml_event_t *event)
{
	if (++reading->events > EVENTS_MAX)
		return refuse(reading->refusal, ERROR_TOO_LARGE, "it has more than %d parts",
			      EVENTS_MAX);

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(reading, event);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return on_start(reading, event->type == YAML_MAPPING_START_EVENT);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		if (--reading->depth == 1)
			reading->has_key = false;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(reading->refusal, ERROR_INTEGRITY, "it has aliases (\"*name\")");
	case YAML_DOCUMENT_START_EVENT:
		if (reading->seen)
			return refuse(reading->refusal, ERROR_INTEGRITY,
				      "it has more than one document");
		reading->seen = 1u << KEY_OTHER;
		return 0;
	case YAML_STREAM_END_EVENT:
		reading->done = true;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

static int refuse_yaml(const yaml_parser_t *parser, struct refusal *refusal)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return refuse(refusal, ERROR_INTERNAL, "no memory to read it");

	return refuse(refusal, ERROR_INTEGRITY, "it is not YAML: %s in line %zu",
		      parser->problem ? parser->problem : "a mistake",
		      parser->problem_mark.line + 1);
}

static int read_events(yaml_parser_t *parser, struct reading *reading)
{
	while (!reading->done) {
		yaml_event_t event;
		int r;

		if (!yaml_parser_parse(parser, &event))
			return refuse_yaml(parser, reading->refusal);
		r = on_event(reading, &event);
		yaml_event_delete(&event);
		if (r < 0)
			return r;
	}

	if (!reading->file->name[0])
		return refuse(reading->refusal, ERROR_INTEGRITY, "it has no name");
	return 0;
}

/* Some editors begin each file with it. libyaml, told the encoding, would count it as a column. */
static size_t mark_len(const char *bytes, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = strlen(mark);

	return len >= n && memcmp(bytes, mark, n) == 0 ? n : 0;
}

int pluginfile_parse(const char *bytes, size_t len, struct pluginfile *file,
		     struct refusal *refusal)
{
	struct reading reading = { .file = file, .refusal = refusal };
	size_t skip = mark_len(bytes, len);
	yaml_parser_t parser;
	int r;

	*file = (struct pluginfile){ 0 };
	if (!yaml_parser_initialize(&parser)) {
		r = refuse(refusal, ERROR_INTERNAL, "no memory to read it");
	} else {
		yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&parser, (const unsigned char *)bytes + skip,
					     len - skip);
		r = read_events(&parser, &reading);
		yaml_parser_delete(&parser);
	}
	if (r < 0)
		return refusal_name(refusal, PLUGINFILE_PATH, strlen(PLUGINFILE_PATH));

	return 0;
}
