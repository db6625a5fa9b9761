/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn(): it does in the child what is said here beforehand, step by
 * step, so that no code of ours runs there.
 */

#include "io/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>

#include "base/util.h"

#define LAUNCH_FDS_MAX 16

struct launch {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int held[LAUNCH_FDS_MAX]; /* copies, above all numbers that the child uses; -1: none */
};

/* Puts one descriptor in its place. Positive errno, as posix_spawn has it. */
static int launch_set_fd(struct launch *launch, const struct launch_spec *spec, int number)
{
	int fd = spec->fds[number];

	if (fd < 0 && number <= 2)
		return posix_spawn_file_actions_addopen(&launch->actions, number, "/dev/null",
							O_RDWR, 0);
	if (fd < 0)
		return posix_spawn_file_actions_addclose(&launch->actions, number);

	/* Or it might be overwritten before its turn comes. */
	launch->held[number] = fcntl(fd, F_DUPFD_CLOEXEC, spec->n_fds);
	if (launch->held[number] < 0)
		return errno;

	return posix_spawn_file_actions_adddup2(&launch->actions, launch->held[number], number);
}

static int launch_set_files(struct launch *launch, const struct launch_spec *spec)
{
	int r;

	/* First of all: its descriptor may have a number that the child uses. */
	if (spec->dirfd < 0)
		r = posix_spawn_file_actions_addchdir_np(&launch->actions, "/");
	else
		r = posix_spawn_file_actions_addfchdir_np(&launch->actions, spec->dirfd);

	for (int i = 0; r == 0 && i < spec->n_fds; i++)
		r = launch_set_fd(launch, spec, i);

	/* Ours close by themselves; what we were left by whoever started us may not. */
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&launch->actions, spec->n_fds);
	return r;
}

static int launch_set_attributes(struct launch *launch)
{
	const short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = posix_spawnattr_setflags(&launch->attributes, flags);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&launch->attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&launch->attributes, &all);
	return r;
}

static int launch_run(struct launch *launch, const struct launch_spec *spec, pid_t *ret_pid)
{
	/* Neither is written to: the prototype is older than const. */
	char *const *argv = (char *const *)(uintptr_t)spec->argv;
	char *const *environment = (char *const *)(uintptr_t)spec->environment;
	int r;

	r = launch_set_attributes(launch);
	if (r == 0)
		r = launch_set_files(launch, spec);
	if (r == 0)
		r = posix_spawn(ret_pid, spec->argv[0], &launch->actions, &launch->attributes, argv,
				environment);

	for (int i = 0; i < spec->n_fds; i++)
		fd_close_auto(&launch->held[i]);
	return r;
}

int launch(const struct launch_spec *spec, pid_t *ret_pid)
{
	struct launch birth;
	int r;

	if (spec->n_fds > LAUNCH_FDS_MAX)
		return -EINVAL;

	for (int i = 0; i < LAUNCH_FDS_MAX; i++)
		birth.held[i] = -1;

	r = posix_spawn_file_actions_init(&birth.actions);
	if (r != 0)
		return -r;

	r = posix_spawnattr_init(&birth.attributes);
	if (r == 0) {
		r = launch_run(&birth, spec, ret_pid);
		(void)posix_spawnattr_destroy(&birth.attributes);
	}
	(void)posix_spawn_file_actions_destroy(&birth.actions);
	return -r;
}
