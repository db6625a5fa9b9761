/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentd: the command line.
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config-build.h"
#include "config.h"
#include "daemon.h"
#include "exit.h"

struct options {
	const char *config;
	bool user, check, once;
};

static void print_help(void)
{
	(void)puts("usage: molecule-agentd [--config FILE] [--user] [--once | --check-config]\n"
		   "\n"
		   "Keeps the agents of this host on a Molecule AI platform.\n"
		   "\n"
		   "  --config FILE   read FILE instead of the usual agentd.conf\n"
		   "  --user          be one user's daemon: that user's directories\n"
		   "  --check-config  say what is wrong with the configuration, and exit\n"
		   "  --once          join, send one heartbeat, look at the state, and exit\n"
		   "  --version       print the version\n"
		   "  --help          print this\n"
		   "\n"
		   "See molecule-agentd(8) and agentd.conf(5).");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[], struct options *options)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "user", no_argument, NULL, 'u' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "once", no_argument, NULL, '1' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};

	for (;;) {
		switch (getopt_long(argc, argv, "", known, NULL)) {
		case 'c':
			options->config = optarg;
			continue;
		case 'u':
			options->user = true;
			continue;
		case 'k':
			options->check = true;
			continue;
		case '1':
			options->once = true;
			continue;
		case 'v':
			(void)puts("molecule-agentd " MOLECULE_VERSION);
			return DAEMON_STOPPED;
		case 'h':
			print_help();
			return DAEMON_STOPPED;
		case -1:
			if (optind == argc)
				return -1;
			(void)fprintf(stderr, "molecule-agentd: takes options only: see --help\n");
			return DAEMON_USAGE;
		default:
			return DAEMON_USAGE;
		}
	}
}

/* What may pass by itself is no fault of the configuration: the unit is to try again. */
static int refuse(const struct error *err)
{
	log_error("%s", err->text);
	return err->kind == ERROR_CONFIG ? DAEMON_CONFIG : DAEMON_FAILED;
}

int main(int argc, char *argv[])
{
	struct config_paths paths;
	struct options options = { 0 };
	struct config *config = NULL;
	struct error err = { 0 };
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;

	daemon_harden();

	if (config_paths_init(&paths, options.config, options.user, &err) < 0)
		return refuse(&err);

	if (config_load(&paths, &config, &err) < 0) {
		status = refuse(&err);
	} else if (options.check) {
		config_free(config);
		status = DAEMON_STOPPED;
	} else {
		status = daemon_run(&paths, config, options.once);
	}
	config_paths_fini(&paths);
	return status;
}
