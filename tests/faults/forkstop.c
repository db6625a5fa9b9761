/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a program: its n-th child stops before it does anything, so
 * that somebody can look on from its first call.
 *
 * The environment variable FORKSTOP has n, a blank, and the path of a file that
 * the child's pid is written to. The parent waits until the file is taken away:
 * it could end first, and its child with it. The variable is read at the start,
 * for the program may forget its environment.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef pid_t fork_fn(void);

static struct {
	fork_fn *fork;
	int wanted, seen;
	char path[PATH_MAX];
} all;

__attribute__((constructor)) static void begin(void)
{
	const char *order = getenv("FORKSTOP");
	char *end;

	*(void **)&all.fork = dlsym(RTLD_NEXT, "fork");
	if (!order)
		return;
	all.wanted = (int)strtol(order, &end, 10);
	(void)snprintf(all.path, sizeof(all.path), "%s", end + strspn(end, " "));
}

static void tell(pid_t pid)
{
	int fd = open(all.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		abort();
	(void)dprintf(fd, "%d\n", pid);
	(void)close(fd);
	while (access(all.path, F_OK) == 0)
		(void)usleep(1000);
}

__attribute__((visibility("default"))) pid_t fork(void)
{
	pid_t pid = all.fork();

	if (pid < 0 || ++all.seen != all.wanted)
		return pid;
	if (pid)
		tell(pid);
	else
		(void)raise(SIGSTOP);
	return pid;
}
