/* SPDX-License-Identifier: MIT */
/*
 * The kernel lists them in a file, as decimal numbers with a space behind each.
 */

#include "base/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define LIST_MAX 4096 /* a handful is usual; what does not fit comes with the next look */

int children_list(pid_t *pids, size_t max)
{
	char path[64], list[LIST_MAX + 1], *at = list, *end;
	AUTO(fd_close) int fd = -1;
	size_t n = 0;
	ssize_t len;
	long pid;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	len = read(fd, list, LIST_MAX);
	if (len < 0)
		return -errno;

	list[len] = '\0';
	/* One that was cut off has no space behind it. */
	for (pid = strtol(at, &end, 10); n < max && end > at && *end == ' ';
	     pid = strtol(at, &end, 10)) {
		pids[n++] = (pid_t)pid;
		at = end + 1;
	}
	return (int)n;
}
