/* SPDX-License-Identifier: MIT */
/*
 * molecule-unpack: unpacks, verifies and removes plugins for molecule-agentd, in
 * a sandbox. Nobody else calls it; molecule-unpack(8) says how it is called and
 * what it answers.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "config-build.h"
#include "helper/options.h"
#include "helper/sandbox.h"
#include "helper/sha256.h"
#include "helper/sweep.h"
#include "helper/unpack.h"
#include "helper/verify.h"

#define STAGING_FD 3

static int check_descriptors(struct error *err)
{
	struct stat st;

	for (int fd = STDIN_FILENO; fd < STAGING_FD; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return error_set(err, ERROR_INTERNAL, EBADF,
					 "molecule-unpack lacks file descriptor %d", fd);

	if (fstat(STAGING_FD, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INTERNAL, ENOTDIR,
				 "molecule-unpack was given no directory as file descriptor %d",
				 STAGING_FD);
	return 0;
}

static int remove_content(struct say *say, struct refusal *refusal)
{
	if (sweep(STAGING_FD, &refusal->err) < 0)
		return -EBADMSG;

	(void)buffer_append_text(&say->line, "{\"done\":{}}");
	return say_line(say);
}

/* verify and remove read nothing but directories and files: they need no second process. */
static int run_alone(enum task task, struct say *say, struct refusal *refusal)
{
	struct sandbox_keeper sandbox = {
		.directory = STAGING_FD,
		.moves = task == TASK_REMOVE,
	};

	if (sandbox_keeper(&sandbox, &refusal->err) < 0)
		return -EBADMSG;
	return task == TASK_VERIFY ? verify(STAGING_FD, say, refusal)
				   : remove_content(say, refusal);
}

static int run(int argc, char *argv[], struct say *say, struct refusal *refusal)
{
	struct options options;

	if (options_parse(argc, argv, &options, &refusal->err) < 0)
		return -EBADMSG;
	if (options.task == TASK_VERSION) {
		(void)buffer_append_text(&say->line, "molecule-unpack " MOLECULE_VERSION);
		return say_line(say);
	}

	/* What another user's process has made in a plugin is removed all the same. */
	if (check_descriptors(&refusal->err) < 0 || sha256_prepare(&refusal->err) < 0 ||
	    sandbox_begin(STAGING_FD + 1, options.task == TASK_REMOVE, &refusal->err) < 0)
		return -EBADMSG;
	if (options.task != TASK_UNPACK)
		return run_alone(options.task, say, refusal);

	options.request.input = STDIN_FILENO;
	options.request.staging = STAGING_FD;
	return unpack(&options.request, say, refusal);
}

int main(int argc, char *argv[])
{
	struct refusal refusal = { 0 };
	struct say say;
	int r;

	say_init(&say, STDOUT_FILENO);
	r = run(argc, argv, &say, &refusal);
	if (r < 0)
		say_failed(&say, &refusal);
	say_fini(&say);

	/* Not exit(): what libraries would do at the end is not allowed any more. */
	_exit(r < 0);
}
