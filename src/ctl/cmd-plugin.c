/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl plugin install, list, verify, rollback, remove
 */

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/progress.h"
#include "ctl/say.h"
#include "ctl/show.h"
#include "ctl/table.h"

/*
 * A download may take ten minutes, and others may be before it. Who has waited
 * long enough interrupts, and the installation ends.
 */
#define INSTALL_MS (60 * 60 * 1000)
#define CHANGE_MS (60 * 1000) /* a disk */
#define VERIFY_MS (10 * 60 * 1000)

/* --- install --- */

static void put_warnings(struct json_text result)
{
	struct json_iter iter = json_iter(json_text_member(result, "warnings"));
	struct json_text warning;

	while (json_next_element(&iter, &warning)) {
		AUTO(buffer_fini) struct buffer text = BUFFER_INIT(ERROR_TEXT_MAX);

		show_value(&text, warning);
		if (buffer_append_char(&text, '\0') == 0)
			say("warning: %s", buffer_at(&text));
	}
}

/* "pdf-tools 1.2" */
static void put_name(struct ctl *ctl, struct json_text plugin)
{
	show_member(&ctl->out, plugin, "name");
	if (json_text_kind(json_text_member(plugin, "version")) == JSON_STRING) {
		(void)buffer_append_char(&ctl->out, ' ');
		show_member(&ctl->out, plugin, "version");
	}
}

static void put_line(struct ctl *ctl, const char *label, struct json_text plugin,
		     const char *member)
{
	if (json_text_kind(json_text_member(plugin, member)) == JSON_NULL ||
	    json_text_kind(json_text_member(plugin, member)) == JSON_NONE)
		return;

	(void)buffer_printf(&ctl->out, "%9s: ", label);
	show_member(&ctl->out, plugin, member);
	(void)buffer_append_char(&ctl->out, '\n');
}

/* A plugin is installed even if its setup.sh has failed: that must not be overlooked. */
static void say_setup(struct json_text setup)
{
	AUTO(buffer_fini) struct buffer why = BUFFER_INIT(ERROR_TEXT_MAX);

	show_member(&why, setup, "why");
	if (buffer_len(&why) && buffer_append_char(&why, '\0') == 0)
		say("warning: %s", buffer_at(&why));
}

static void put_setup(struct ctl *ctl, struct json_text setup)
{
	if (!json_text_is_true(json_text_member(setup, "ran")))
		return;

	(void)buffer_printf(&ctl->out, "%9s: %s; what it said: ", "setup.sh",
			    json_text_is_true(json_text_member(setup, "ok")) ? "done" : "failed");
	show_member(&ctl->out, setup, "log");
	(void)buffer_append_char(&ctl->out, '\n');
}

static void put_installed(struct ctl *ctl, struct json_text plugin)
{
	int64_t bytes = 0, files = 0;

	(void)json_text_int64(json_text_member(plugin, "bytes"), &bytes);
	(void)json_text_int64(json_text_member(plugin, "files"), &files);
	put_name(ctl, plugin);
	(void)buffer_printf(&ctl->out, ": installed, %lld files, ", (long long)files);
	show_size(&ctl->out, bytes);
	(void)buffer_append_char(&ctl->out, '\n');
	put_line(ctl, "path", plugin, "path");
	put_line(ctl, "source", plugin, "source");
	put_line(ctl, "sha256", plugin, "digest");
	put_setup(ctl, json_text_member(plugin, "setup"));
}

static int install(struct ctl *ctl, struct answer *answer)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;

	ctl_begin_params(ctl, &params);
	params_string(&params, "name", ctl->args.words[0]);
	params_string(&params, "source", args_get(&ctl->args, "source"));
	params_string(&params, "sha256", args_get(&ctl->args, "sha256"));
	if (args_has(&ctl->args, "run-setup"))
		params_true(&params, "run_setup");
	if (args_has(&ctl->args, "require-setup"))
		params_true(&params, "require_setup");
	if (args_has(&ctl->args, "no-setup"))
		params_json(&params, "run_setup", "false");
	if (args_has(&ctl->args, "no-report"))
		params_json(&params, "report", "false");
	return ctl_call_long(ctl, "plugins.install", INSTALL_MS, &params, answer);
}

int cmd_plugin_install(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	struct progress progress = { .fd = -1 };
	int status;

	if (args_has(&ctl->args, "no-setup") &&
	    (args_has(&ctl->args, "run-setup") || args_has(&ctl->args, "require-setup")))
		return say_usage("plugin install", "--no-setup goes with no other of its kind");

	if (!args_has(&ctl->args, "quiet"))
		progress_start(&progress, ctl, ctl->args.words[0]);
	status = install(ctl, &answer);
	progress_stop(&progress);
	if (status)
		return status;

	put_warnings(answer.result);
	say_setup(json_text_member(answer.result, "setup"));
	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		put_installed(ctl, answer.result);
	return 0;
}

/* --- the others --- */

/* Calls a method about the plugin that is named, if one is; *answer is what it said. */
static int ask(struct ctl *ctl, const char *method, int64_t ms, struct answer *answer)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;

	ctl_begin_params(ctl, &params);
	params_string(&params, "name", ctl->args.words[0]);
	return ctl_call_long(ctl, method, ms, &params, answer);
}

static void put_size(struct table *table, struct json_text bytes)
{
	struct buffer *cell = table_cell(table);
	int64_t n;

	if (json_text_int64(bytes, &n) == 0)
		show_size(cell, n);
}

static void put_row(struct table *table, struct json_text plugin)
{
	show_member(table_cell(table), plugin, "name");
	show_member(table_cell(table), plugin, "version");
	show_ago(table_cell(table), json_text_member(plugin, "installed_at"));
	show_member(table_cell(table), plugin, "files");
	put_size(table, json_text_member(plugin, "bytes"));
	show_member(table_cell(table), json_text_member(plugin, "previous"), "version");
	show_member(table_cell(table), plugin, "source");
	show_member(table_cell(table), plugin, "path");
}

int cmd_plugin_list(struct ctl *ctl)
{
	static const char *const names[] = { "NAME", "VERSION",  "INSTALLED", "FILES",
					     "SIZE", "PREVIOUS", "SOURCE",    "PATH" };
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(table_fini) struct table table;
	struct json_text plugin;
	struct json_iter iter;
	int status;

	table_init(&table, names, ARRAY_LEN(names));
	status = ask(ctl, "plugins.list", 0, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	iter = json_iter(json_text_member(answer.result, "plugins"));
	while (json_next_element(&iter, &plugin))
		put_row(&table, plugin);
	table_render(&table, &ctl->out, ctl->coloured);
	return 0;
}

static void put_drift(struct ctl *ctl, struct json_text result)
{
	static const char *const names[] = { "NAME", "WHAT", "PATH" };
	struct json_iter iter = json_iter(json_text_member(result, "drift"));
	AUTO(table_fini) struct table table;
	struct json_text drift;

	table_init(&table, names, ARRAY_LEN(names));
	while (json_next_element(&iter, &drift))
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			static const char *const members[] = { "name", "what", "path" };

			show_member(table_cell(&table), drift, members[i]);
		}
	table_render(&table, &ctl->out, ctl->coloured);
	if (json_text_is_true(json_text_member(result, "truncated")))
		(void)buffer_append_text(&ctl->out, "and more\n");
}

int cmd_plugin_verify(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	bool ok;
	int status;

	status = ask(ctl, "plugins.verify", VERIFY_MS, &answer);
	if (status)
		return status;

	ok = json_text_is_true(json_text_member(answer.result, "ok"));
	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else if (ok)
		(void)buffer_printf(&ctl->out, "%s: as installed\n",
				    ctl->args.words[0] ? ctl->args.words[0] : "all plugins");
	else
		put_drift(ctl, answer.result);
	return ok ? 0 : error_exit_status(ERROR_INTEGRITY);
}

int cmd_plugin_rollback(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	status = ask(ctl, "plugins.rollback", CHANGE_MS, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	put_name(ctl, answer.result);
	(void)buffer_append_text(&ctl->out, ": is back\n");
	put_line(ctl, "sha256", answer.result, "digest");
	return 0;
}

int cmd_plugin_remove(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	status = ask(ctl, "plugins.remove", CHANGE_MS, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		(void)buffer_printf(&ctl->out, "%s: removed\n", ctl->args.words[0]);
	return 0;
}
