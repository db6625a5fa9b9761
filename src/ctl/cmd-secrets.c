/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl secrets list, get, refresh. Values go from the answer to
 * the output and nowhere else; both are wiped.
 */

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/envblock.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"
#include "ctl/table.h"

#define VALUE_MAX ((size_t)16 << 20) /* no answer is longer */

static void put_lines(struct ctl *ctl, struct json_text names)
{
	struct json_iter iter = json_iter(names);
	struct json_text name;

	while (json_next_element(&iter, &name)) {
		show_value(&ctl->out, name);
		(void)buffer_append_char(&ctl->out, '\n');
	}
}

int cmd_secrets_list(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, "secrets.list", &params, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		put_lines(ctl, json_text_member(answer.result, "keys"));
	return 0;
}

int cmd_secrets_refresh(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	struct json_text changed;
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, "secrets.refresh", &params, &answer);
	if (status)
		return status;

	changed = json_text_member(answer.result, "changed");
	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else if (changed.len > 2)
		put_lines(ctl, changed);
	else
		(void)buffer_append_text(&ctl->out, "nothing changed\n");
	return 0;
}

enum format {
	FORMAT_TABLE,
	FORMAT_RESULT, /* --json */
	FORMAT_JSON,
	FORMAT_ENV,
	FORMAT_RAW,
};

static int pick_format(const struct ctl *ctl, enum format *ret)
{
	const char *name = args_get(&ctl->args, "format");

	if (name && ctl->json)
		return say_usage("secrets", "--json and --format exclude each other");

	if (!name)
		*ret = ctl->json                ? FORMAT_RESULT
		       : ctl->args.n_words == 1 ? FORMAT_RAW
						: FORMAT_TABLE;
	else if (strcmp(name, "env") == 0)
		*ret = FORMAT_ENV;
	else if (strcmp(name, "json") == 0)
		*ret = FORMAT_JSON;
	else if (strcmp(name, "raw") == 0)
		*ret = FORMAT_RAW;
	else
		return say_usage("secrets", "there is no format '%s': use env, json or raw", name);

	if (*ret == FORMAT_RAW && ctl->args.n_words != 1)
		return say_usage("secrets", "the raw format is for exactly one KEY");
	return 0;
}

static int put_raw(struct ctl *ctl, struct json_text values)
{
	const char *key = ctl->args.words[0];
	struct json_text value = json_text_member(values, key);

	if (json_text_kind(value) != JSON_STRING)
		return say_failed(ERROR_NOT_FOUND, "there is no secret %s", key);

	show_raw(&ctl->out, value);
	if (isatty(STDOUT_FILENO))
		(void)buffer_append_char(&ctl->out, '\n');
	return 0;
}

static void put_table(struct ctl *ctl, struct json_text values)
{
	static const char *const names[] = { "KEY", "VALUE" };
	struct json_iter iter = json_iter(values);
	AUTO(table_fini) struct table table;
	struct json_text key, value;

	table_init(&table, names, ARRAY_LEN(names));
	while (json_next_member(&iter, &key, &value)) {
		show_value(table_cell(&table), key);
		show_value(table_cell(&table), value);
	}
	table_render(&table, &ctl->out, ctl->coloured);
}

static int put_env_line(struct buffer *out, struct json_text key, struct json_text value)
{
	AUTO(buffer_fini) struct buffer decoded = BUFFER_INIT(VALUE_MAX);
	char name[ENV_NAME_MAX * 4];
	int r;

	if (json_text_cstring(key, name, sizeof(name)) < 0)
		return say_failed(ERROR_PARSE, "a secret's name is no shell variable's name");

	show_raw(&decoded, value);
	if (decoded.failed)
		return say_no_memory();

	r = env_write(out, name, strlen(name), buffer_len(&decoded) ? buffer_at(&decoded) : "",
		      buffer_len(&decoded));
	if (r == -EINVAL)
		return say_failed(ERROR_PARSE, "'%s' is no name that a shell variable can have",
				  name);
	if (r == -EILSEQ)
		return say_failed(ERROR_PARSE, "%s has a NUL in it, which a shell cannot hold",
				  name);
	return 0;
}

/* All or nothing: half of them sourced would be worse than none. */
static int put_env(struct ctl *ctl, struct json_text values)
{
	size_t before = buffer_len(&ctl->out);
	struct json_iter iter = json_iter(values);
	struct json_text key, value;
	int status = 0;

	while (!status && json_next_member(&iter, &key, &value))
		status = put_env_line(&ctl->out, key, value);
	if (status)
		buffer_truncate(&ctl->out, before);
	return status;
}

static int put_values(struct ctl *ctl, enum format format, const struct answer *answer)
{
	struct json_text values = json_text_member(answer->result, "values");

	switch (format) {
	case FORMAT_RESULT:
		ctl_put_json(ctl, answer);
		return 0;
	case FORMAT_JSON:
		(void)buffer_append(&ctl->out, values.at, values.len);
		(void)buffer_append_char(&ctl->out, '\n');
		return 0;
	case FORMAT_ENV:
		return put_env(ctl, values);
	case FORMAT_RAW:
		return put_raw(ctl, values);
	case FORMAT_TABLE:
		put_table(ctl, values);
		return 0;
	}
	return 0;
}

/* Says which are not there. */
static int check_missing(struct json_text missing)
{
	AUTO(buffer_fini) struct buffer names = BUFFER_INIT(VALUE_MAX);
	struct json_iter iter = json_iter(missing);
	struct json_text name;

	while (json_next_element(&iter, &name)) {
		(void)buffer_append_text(&names, buffer_len(&names) ? ", " : "");
		show_value(&names, name);
	}
	if (!buffer_len(&names))
		return 0;

	return say_failed(ERROR_NOT_FOUND, "there is no secret %.*s", (int)buffer_len(&names),
			  buffer_at(&names));
}

static void note_stale(struct json_text result)
{
	AUTO(buffer_fini) struct buffer ago = BUFFER_INIT(64);

	if (!json_text_is_true(json_text_member(result, "stale")))
		return;

	show_ago(&ago, json_text_member(result, "fetched_at"));
	say("the platform is out of reach: this was fetched %.*s", (int)buffer_len(&ago),
	    buffer_len(&ago) ? buffer_at(&ago) : "");
}

static int get_params(struct ctl *ctl, struct buffer *params)
{
	const char *max_age = args_get(&ctl->args, "max-age");
	int64_t ms;

	ctl_begin_params(ctl, params);
	if (ctl->args.n_words) {
		params_begin_list(params, "keys");
		for (size_t i = 0; i < ctl->args.n_words; i++)
			params_element(params, ctl->args.words[i]);
		params_end_list(params);
	}

	if (max_age) {
		if (parse_duration_ms(max_age, &ms) < 0 || ms < 0)
			return say_usage("secrets", "'%s' is no time for --max-age", max_age);
		params_int64(params, "max_age_ms", ms);
	}
	return 0;
}

int cmd_secrets_get(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status, put_status;
	enum format format;

	status = pick_format(ctl, &format);
	if (!status)
		status = get_params(ctl, &params);
	if (!status)
		status = ctl_call(ctl, "secrets.get", &params, &answer);
	if (status)
		return status;

	/* Only a program that reads the result can tell what is missing. */
	status = check_missing(json_text_member(answer.result, "missing"));
	if (status && format != FORMAT_RESULT)
		return status;

	note_stale(answer.result);
	put_status = put_values(ctl, format, &answer);
	return status ? status : put_status;
}
