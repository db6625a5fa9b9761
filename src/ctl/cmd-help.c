/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl help [COMMAND]
 */

#include <string.h>

#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/say.h"

int cmd_help(struct ctl *ctl)
{
	const char *name = ctl->args.words[0];
	const char *verb = name ? ctl->args.words[1] : NULL;
	bool first = true;

	if (!name) {
		help_all(&ctl->out);
		return 0;
	}

	/* "help secrets" is help on each of its verbs. */
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) != 0 || c->hidden)
			continue;
		if (verb && (!c->verb || strcmp(c->verb, verb) != 0))
			continue;
		if (!first)
			(void)buffer_append_char(&ctl->out, '\n');
		first = false;
		help_command(&ctl->out, c);
	}

	if (first)
		return say_usage(NULL, "there is no command '%s%s%s'", name, verb ? " " : "",
				 verb ? verb : "");
	return 0;
}
