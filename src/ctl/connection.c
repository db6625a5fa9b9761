/* SPDX-License-Identifier: MIT */
/*
 * Reading what a platform gave to a person. Nothing of the text is ever
 * repeated in an error: it holds a token.
 */

#include "ctl/connection.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "base/parse.h"
#include "ctl/envblock.h"

#define VALUE_MAX 65536

/* The first of a field's names that is there counts. */
static const struct {
	const char *name;
	size_t offset;
} variables[] = {
	{ "MOLECULE_PLATFORM_URL", offsetof(struct connection, platform_url) },
	{ "PLATFORM_URL", offsetof(struct connection, platform_url) },
	{ "MOLECULE_URL", offsetof(struct connection, platform_url) },
	{ "MOLECULE_API_URL", offsetof(struct connection, platform_url) },
	{ "MOLECULE_WORKSPACE_ID", offsetof(struct connection, workspace_id) },
	{ "WORKSPACE_ID", offsetof(struct connection, workspace_id) },
	{ "MOLECULE_ORG_ID", offsetof(struct connection, org_id) },
	{ "MOLECULE_WORKSPACE_TOKEN", offsetof(struct connection, token) },
};

static char **field_at(struct connection *connection, size_t offset)
{
	return (char **)(void *)((char *)connection + offset);
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void wipe_auto(char **text)
{
	wipe(*text);
}

void connection_fini(struct connection *connection)
{
	free(connection->platform_url);
	free(connection->workspace_id);
	free(connection->name);
	free(connection->org_id);
	free(connection->origin);
	wipe(connection->token);
	*connection = (struct connection){ NULL };
}

int connection_check_token(const char *token, size_t len, struct error *err)
{
	if (parse_token(token, len) == 0)
		return 0;

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "that is no token: it is empty or too short, has white space, or is the "
			 "text that a page shows in place of a token");
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "out of memory");
}

/* The value of the variable in the whole block (the last one, as in a shell); NULL: not there. */
static int find_variable(const char *text, size_t len, const char *name, char **ret,
			 struct error *err)
{
	AUTO(buffer_fini) struct buffer value = BUFFER_INIT(VALUE_MAX);
	AUTO(wipe) char *found = NULL;
	struct envblock block = envblock(text, len);
	struct assignment assignment;

	while (envblock_next(&block, &assignment, &value)) {
		if (strcmp(assignment.name, name) != 0)
			continue;
		if (assignment.why)
			return error_set(err, ERROR_PARSE, EINVAL,
					 "line %u: the value of %s cannot be read: %s",
					 assignment.line, name, assignment.why);
		wipe(TAKE(found));
		found = buffer_take_text(&value);
		if (!found)
			return no_memory(err);
	}

	*ret = TAKE(found);
	return 0;
}

static int read_env(struct connection *connection, const char *text, size_t len, bool *ret_any,
		    struct error *err)
{
	char *value = NULL;
	char **field;
	int r;

	*ret_any = false;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		r = find_variable(text, len, variables[i].name, &value, err);
		if (r < 0)
			return r;
		if (!value)
			continue;

		*ret_any = true;
		field = field_at(connection, variables[i].offset);
		if (*field)
			wipe(value);
		else
			*field = value;
	}
	return 0;
}

/* Sets the field from the object's member, unless it is set. */
static int take_member(char **field, struct json_text object, const char *name, bool *any,
		       struct error *err)
{
	struct json_text member = json_text_member(object, name);

	if (json_text_kind(member) == JSON_NONE || json_text_kind(member) == JSON_NULL)
		return 0;

	if (json_text_kind(member) != JSON_STRING)
		return error_set(err, ERROR_PARSE, EINVAL, "%s is not a string", name);

	*any = true;
	if (*field)
		return 0;

	if (json_text_dup(member, field) < 0)
		return error_set(err, ERROR_PARSE, EINVAL, "%s cannot be read", name);
	return 0;
}

/* The reply to a creation, its "connection" alone, or parameters as workspace.join has them. */
static int read_object(struct connection *connection, struct json_text reply, bool *any,
		       struct error *err)
{
	struct json_text inner = json_text_member(reply, "connection");
	const struct {
		char **field;
		struct json_text object;
		const char *name;
	} members[] = {
		{ &connection->workspace_id, inner, "workspace_id" },
		{ &connection->workspace_id, reply, "workspace_id" },
		{ &connection->workspace_id, reply, "id" },
		{ &connection->platform_url, inner, "platform_url" },
		{ &connection->platform_url, reply, "platform_url" },
		{ &connection->token, inner, "auth_token" },
		{ &connection->token, reply, "auth_token" },
		{ &connection->token, reply, "token" },
		{ &connection->org_id, inner, "org_id" },
		{ &connection->org_id, reply, "org_id" },
		{ &connection->origin, reply, "origin" },
		{ &connection->name, reply, "name" },
	};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		r = take_member(members[i].field, members[i].object, members[i].name, any, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_json(struct connection *connection, const char *text, size_t len, bool *ret_any,
		     struct error *err)
{
	int r;

	r = json_check(text, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, err);
	if (r < 0)
		return r;

	*ret_any = false;
	return read_object(connection, json_text_from(text, len), ret_any, err);
}

/* Without the white space around. */
static void trim(const char **text, size_t *len)
{
	while (*len && strchr(" \t\r\n", **text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && strchr(" \t\r\n", (*text)[*len - 1]))
		(*len)--;
}

/* One word of what a bearer token is made of (RFC 6750), padding at its end and nowhere else. */
static bool is_bare_token(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (isalnum((unsigned char)text[n]) || strchr("-._~+/", text[n])))
		n++;

	while (n < len && text[n] == '=')
		n++;

	return n == len && parse_token(text, len) == 0;
}

static int read_any(struct connection *connection, const char *text, size_t len, struct error *err)
{
	bool any = false;
	int r;

	r = text[0] == '{' ? read_json(connection, text, len, &any, err)
			   : read_env(connection, text, len, &any, err);
	if (r < 0 || any)
		return r;

	if (is_bare_token(text, len)) {
		connection->token = strndup(text, len);
		return connection->token ? 0 : no_memory(err);
	}

	return error_set(err, ERROR_PARSE, EINVAL,
			 "that is neither the reply to a workspace's creation, nor an environment "
			 "block with MOLECULE_WORKSPACE_ID, MOLECULE_PLATFORM_URL and "
			 "MOLECULE_WORKSPACE_TOKEN, nor a token");
}

int connection_read(struct connection *connection, const char *text, size_t len, struct error *err)
{
	int r;

	trim(&text, &len);
	if (!len)
		return 0;

	if (memchr(text, '\0', len))
		return error_set(err, ERROR_PARSE, EINVAL, "that is not text: it has a NUL");

	r = read_any(connection, text, len, err);
	if (r < 0)
		return r;

	if (connection->token)
		return connection_check_token(connection->token, strlen(connection->token), err);
	return 0;
}
