/* SPDX-License-Identifier: MIT */
/*
 * Help, from the command table.
 */

#include "ctl/help.h"

#include <string.h>

#define COLUMN 28 /* where explanations begin */

static void put_line(struct buffer *out, size_t from, const char *explanation)
{
	size_t len = buffer_len(out) - from;

	/* What is too long has its explanation on the next line. */
	if (len + 2 > COLUMN) {
		(void)buffer_append_char(out, '\n');
		len = 0;
	}
	(void)buffer_printf(out, "%*s%s\n", (int)(COLUMN - len), "", explanation);
}

static void put_option(struct buffer *out, const struct option_spec *option)
{
	size_t from = buffer_len(out);

	if (option->letter)
		(void)buffer_printf(out, "  -%c, --%s", option->letter, option->name);
	else
		(void)buffer_printf(out, "      --%s", option->name);
	if (option->value)
		(void)buffer_printf(out, " %s", option->value);
	put_line(out, from, option->help);
}

static void put_options(struct buffer *out, const char *title, const struct option_spec *options)
{
	(void)buffer_printf(out, "\n%s:\n", title);
	for (; options->name; options++)
		put_option(out, options);
}

static void put_name(struct buffer *out, const struct command *command)
{
	(void)buffer_append_text(out, command->name);
	if (command->verb)
		(void)buffer_printf(out, " %s", command->verb);
	if (command->words)
		(void)buffer_printf(out, " %s", command->words);
}

void help_all(struct buffer *out)
{
	size_t from;

	(void)buffer_append_text(out, "Usage: molecule-agentctl [OPTIONS] COMMAND ...\n\n"
				      "Ask molecule-agentd, the agent host daemon, and tell it.\n\n"
				      "Commands:\n");
	for (const struct command *c = commands; c->name; c++) {
		if (c->hidden)
			continue;
		from = buffer_len(out);
		(void)buffer_append_text(out, "  ");
		put_name(out, c);
		put_line(out, from, c->help);
	}
	put_options(out, "Options", global_options);
	(void)buffer_append_text(out,
				 "\nSee 'molecule-agentctl help COMMAND', molecule-agentctl(1).\n");
}

void help_command(struct buffer *out, const struct command *command)
{
	(void)buffer_append_text(out, "Usage: molecule-agentctl [OPTIONS] ");
	put_name(out, command);
	(void)buffer_printf(out, "\n\n%c%s.\n", command->help[0] & ~0x20, command->help + 1);
	if (command->more)
		(void)buffer_printf(out, "%s\n", command->more);
	if (command->options)
		put_options(out, "Options of this command", command->options);
	put_options(out, "Options of all commands", global_options);
}
