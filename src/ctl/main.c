/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl: asks molecule-agentd, and tells it, from a terminal or a
 * script.
 */

#include "config-build.h"

#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/say.h"

static int run(struct ctl *ctl)
{
	const struct command *command = ctl->args.command;

	if (args_has(&ctl->args, "version")) {
		(void)buffer_append_text(&ctl->out, "molecule-agentctl " MOLECULE_VERSION "\n");
		return 0;
	}

	if (args_has(&ctl->args, "help")) {
		if (command)
			help_command(&ctl->out, command);
		else
			help_all(&ctl->out);
		return 0;
	}

	if (!command)
		return say_usage(NULL, "what is to be done?");

	return command->run(ctl);
}

int main(int argc, char *argv[])
{
	int status, flushed;
	struct ctl ctl;

	status = ctl_init(&ctl, argc, argv);
	if (status == 0)
		status = run(&ctl);

	/* A command that failed may have had something to print all the same. */
	flushed = ctl_flush(&ctl);
	ctl_fini(&ctl);
	return status ? status : flushed;
}
