/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl _complete -- WORD...: for the completion scripts of shells.
 * The words are what was typed behind the program's name, the last one (which
 * may be empty) is being typed. Prints what may stand in its place, a line each:
 * the word, a tab, what it is. ":file" asks the shell for file names.
 */

#include <string.h>

#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"

#define PATIENCE_MS 500 /* somebody waits at a key */

struct line {
	struct ctl *ctl;                   /* for the output */
	struct ctl asking;                 /* as the line would have it: its command and options */
	const struct option_spec *pending; /* the option whose value comes next */
	const char *name;                  /* first word of a command whose second has not come */
	const char *current;
	size_t n_words;
	bool no_options;
	bool wrong; /* there is no such command */
};

static void offer(struct line *line, const char *word, const char *help)
{
	if (strncmp(word, line->current, strlen(line->current)) == 0)
		(void)buffer_printf(&line->ctl->out, "%s\t%s\n", word, help);
}

static void note_option(struct line *line, const struct option_spec *option, const char *value)
{
	struct args *args = &line->asking.args;

	if (option->value && !value) {
		line->pending = option;
		return;
	}
	args->given[args->n_given++] = (struct given){ option, value ? value : "" };
}

static void note_word(struct line *line, const char *word)
{
	struct args *args = &line->asking.args;

	if (args->command) {
		line->n_words++;
	} else if (!line->name && command_has_verbs(word)) {
		line->name = word;
	} else {
		args->command =
			command_find(line->name ? line->name : word, line->name ? word : NULL);
		line->wrong = !args->command;
	}
}

static void note(struct line *line, const char *word)
{
	const struct command *command = line->asking.args.command;
	const struct option_spec *option = NULL;
	const char *value = NULL;

	if (line->pending) {
		note_option(line, TAKE(line->pending), word);
		return;
	}
	if (line->no_options || word[0] != '-' || !word[1]) {
		note_word(line, word);
		return;
	}
	if (strcmp(word, "--") == 0) {
		line->no_options = true;
		return;
	}

	if (word[1] == '-') {
		value = strchr(word, '=');
		option = option_find(command, word + 2, strcspn(word + 2, "="));
		if (value)
			value++;
	} else {
		option = option_find_letter(command, word[1]);
		if (word[2])
			value = word + 2;
	}
	if (option)
		note_option(line, option, value);
}

/* Asks the daemon; true when it answered. Nothing is ever said: the line is being edited. */
static bool ask(struct line *line, const char *method, struct answer *ret)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	struct ctl *asking = &line->asking;
	bool about = strcmp(method, "secrets.list") == 0 || strcmp(method, "peers.list") == 0 ||
		     strcmp(method, "plugins.list") == 0;
	struct mol_agent_error err;

	asking->timeout_ms = PATIENCE_MS;
	if (ctl_try_open(asking, &err) < 0)
		return false;

	if (about)
		ctl_begin_params(asking, &params);
	return ctl_try_call(asking, method, about ? &params : NULL, ret, &err) == 0;
}

/* The elements of the result's list, or the named member of each. */
static void offer_list(struct line *line, const char *method, const char *list, const char *name)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(buffer_fini) struct buffer word = BUFFER_INIT(4096);
	struct json_text element;
	struct json_iter iter;

	if (!ask(line, method, &answer))
		return;

	iter = json_iter(json_text_member(answer.result, list));
	while (json_next_element(&iter, &element)) {
		buffer_reset(&word);
		show_value(&word, name ? json_text_member(element, name) : element);
		if (buffer_append_char(&word, '\0') == 0 && buffer_len(&word) > 1)
			offer(line, buffer_at(&word), "");
	}
}

static void offer_texts(struct line *line, const char *const *texts)
{
	for (; *texts; texts++)
		offer(line, *texts, "");
}

static void offer_commands(struct line *line)
{
	const char *last = "";

	for (const struct command *c = commands; c->name; c++) {
		if (c->hidden)
			continue;
		if (line->name && strcmp(c->name, line->name) == 0)
			offer(line, c->verb, c->help);
		else if (!line->name && strcmp(c->name, last) != 0)
			offer(line, c->name, c->verb ? "" : c->help);
		last = c->name;
	}
}

static void offer_what(struct line *line, enum completes completes)
{
	static const char *const formats[] = { "env", "json", "raw", NULL };
	static const char *const types[] = {
		"workspace.state", "workspace.report", "secrets.changed",
		"peers.changed",   "inbox.message",    "delegation.updated",
		"plugin.progress", "daemon.warning",   NULL,
	};

	static const char *const statuses[] = {
		"pending",   "delegated", "dispatched", "queued",
		"completed", "failed",    "unknown",    NULL,
	};

	static const char *const routes[] = { "auto", "direct", "proxy", NULL };

	switch (completes) {
	case COMPLETES_NOTHING:
		return;
	case COMPLETES_COMMAND:
		if (line->n_words == 0)
			offer_commands(line);
		return;
	case COMPLETES_FILE:
		(void)buffer_append_text(&line->ctl->out, ":file\n");
		return;
	case COMPLETES_FORMAT:
		offer_texts(line, formats);
		return;
	case COMPLETES_EVENT_TYPE:
		offer_texts(line, types);
		return;
	case COMPLETES_DELEGATION_STATUS:
		offer_texts(line, statuses);
		return;
	case COMPLETES_ROUTE:
		offer_texts(line, routes);
		return;
	case COMPLETES_WORKSPACE:
		offer_list(line, "workspace.list", "workspaces", "name");
		return;
	case COMPLETES_SECRET:
		offer_list(line, "secrets.list", "keys", NULL);
		return;
	case COMPLETES_PEER:
		if (line->n_words == 0)
			offer_list(line, "peers.list", "peers", "name");
		return;
	case COMPLETES_PLUGIN:
		if (line->n_words == 0)
			offer_list(line, "plugins.list", "plugins", "name");
		return;
	case COMPLETES_METHOD:
		if (line->n_words == 0)
			offer_list(line, "rpc.discover", "methods", "name");
		return;
	}
}

static void offer_options(struct line *line, const struct option_spec *options)
{
	AUTO(buffer_fini) struct buffer word = BUFFER_INIT(256);

	for (; options && options->name; options++) {
		buffer_reset(&word);
		(void)buffer_printf(&word, "--%s", options->name);
		if (buffer_append_char(&word, '\0') == 0)
			offer(line, buffer_at(&word), options->help);
	}
}

static void complete(struct line *line)
{
	const struct command *command = line->asking.args.command;

	if (line->pending) {
		offer_what(line, line->pending->completes);
	} else if (line->current[0] == '-' && !line->no_options) {
		offer_options(line, command ? command->options : NULL);
		offer_options(line, global_options);
	} else if (!command && !line->wrong) {
		offer_commands(line);
	} else if (command && line->n_words < command->max_words) {
		offer_what(line, command->completes);
	}
}

int cmd_complete(struct ctl *ctl)
{
	struct line line = { .ctl = ctl, .current = "" };
	const struct args *args = &ctl->args;

	if (!args->n_words)
		return 0;

	/* Each word gives one option at most, and the last one none. */
	line.asking.args.given = calloc(args->n_words, sizeof(*line.asking.args.given));
	if (!line.asking.args.given)
		return say_no_memory();

	for (size_t i = 0; i + 1 < args->n_words; i++)
		note(&line, args->words[i]);
	line.current = args->words[args->n_words - 1];
	complete(&line);
	ctl_fini(&line.asking);
	return 0;
}
