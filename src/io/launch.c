/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn(): it does in the child what is said here beforehand, step by
 * step, so that no code of ours runs there. All that needs memory or may fail
 * is done before there is a thread.
 */

#include "io/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"

#define LAUNCH_FDS_MAX 16
#define STACK_SIZE (64 * 1024) /* the child has another, which the C library brings */

struct launch {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char **argv, **environment; /* owned */
	int held[LAUNCH_FDS_MAX];   /* copies, above all numbers that the child uses; -1: none */
	int dirfd;                  /* likewise */
	int reports;                /* borrowed */
	void *context;              /* borrowed */
	pid_t outcome;
};

/* A list of texts, ended by NULL, in one piece of memory. */
static char **copy_texts(const char *const *texts)
{
	size_t n = 0, len = 0;
	char **copy, *at;

	for (; texts[n]; n++)
		len += strlen(texts[n]) + 1;
	copy = malloc((n + 1) * sizeof(*copy) + len);
	if (!copy)
		return NULL;

	at = (char *)(copy + n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = at;
		at = stpcpy(at, texts[i]) + 1;
	}
	copy[n] = NULL;
	return copy;
}

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

static int launch_set_directory(struct launch *launch, const struct launch_spec *spec)
{
	if (spec->dirfd < 0)
		return posix_spawn_file_actions_addchdir_np(&launch->actions, "/");

	launch->dirfd = fcntl(spec->dirfd, F_DUPFD_CLOEXEC, spec->n_fds);
	if (launch->dirfd < 0)
		return errno;

	return posix_spawn_file_actions_addfchdir_np(&launch->actions, launch->dirfd);
}

static int launch_set_files(struct launch *launch, const struct launch_spec *spec)
{
	int r;

	r = launch_set_directory(launch, spec);
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

static int launch_prepare(struct launch *launch, const struct launch_spec *spec)
{
	int r;

	launch->argv = copy_texts(spec->argv);
	launch->environment = copy_texts(spec->environment);
	if (!launch->argv || !launch->environment)
		return ENOMEM;

	r = launch_set_attributes(launch);
	if (r == 0)
		r = launch_set_files(launch, spec);
	return r;
}

static void launch_close_fds(struct launch *launch)
{
	for (int i = 0; i < LAUNCH_FDS_MAX; i++) {
		fd_close_auto(&launch->held[i]);
		launch->held[i] = -1;
	}
	fd_close_auto(&launch->dirfd);
	launch->dirfd = -1;
}

/* It allocates nothing: memory of its own, once allocated, would stay when it has ended. */
static void *launch_thread(void *data)
{
	struct launch *launch = data;
	int reports = launch->reports, r;
	pid_t pid;

	r = posix_spawn(&pid, launch->argv[0], &launch->actions, &launch->attributes, launch->argv,
			launch->environment);
	launch->outcome = r == 0 ? pid : -r;
	/* Who reads what the child writes is to see the end when it has ended. */
	launch_close_fds(launch);
	(void)fd_write_all(reports, (const char *)&launch, sizeof(launch));
	return NULL;
}

static int launch_begin(struct launch *launch)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return r;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, launch_thread, launch);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

static struct launch *launch_new(int reports, void *context)
{
	struct launch *launch = calloc(1, sizeof(*launch));

	if (!launch)
		return NULL;

	for (int i = 0; i < LAUNCH_FDS_MAX; i++)
		launch->held[i] = -1;
	launch->dirfd = -1;
	launch->reports = reports;
	launch->context = context;
	if (posix_spawn_file_actions_init(&launch->actions) != 0) {
		free(launch);
		return NULL;
	}
	if (posix_spawnattr_init(&launch->attributes) != 0) {
		(void)posix_spawn_file_actions_destroy(&launch->actions);
		free(launch);
		return NULL;
	}
	return launch;
}

int launch_start(const struct launch_spec *spec, int reports, void *context)
{
	struct launch *launch;
	int r;

	if (spec->n_fds > LAUNCH_FDS_MAX)
		return -EINVAL;

	launch = launch_new(reports, context);
	if (!launch)
		return -ENOMEM;

	r = launch_prepare(launch, spec);
	if (r == 0)
		r = launch_begin(launch);
	if (r != 0)
		launch_free(launch);
	return -r;
}

struct launch *launch_receive(int reports)
{
	struct launch *launch;

	/* Written whole, since it is short: it comes whole. */
	return read(reports, &launch, sizeof(launch)) == sizeof(launch) ? launch : NULL;
}

void launch_free(struct launch *launch)
{
	launch_close_fds(launch);
	(void)posix_spawnattr_destroy(&launch->attributes);
	(void)posix_spawn_file_actions_destroy(&launch->actions);
	free(launch->environment);
	free(launch->argv);
	free(launch);
}

void *launch_context(const struct launch *launch)
{
	return launch->context;
}

pid_t launch_outcome(const struct launch *launch)
{
	return launch->outcome;
}
