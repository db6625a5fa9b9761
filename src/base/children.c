/* SPDX-License-Identifier: MIT */
/*
 * The kernel lists them in a file, as decimal numbers with a space behind each.
 */

#include "base/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define LIST_SIZE 4096 /* that is read at once; a handful of children is usual */

/* What is more comes with the next call. */
#define FAMILY_MAX 4096
#define FAMILY_TABLE (2 * FAMILY_MAX)

typedef void (*child_fn)(pid_t child, void *data);

/* Those in a list of len bytes; how many bytes they took. One that is cut off has no space behind
 * it. */
static size_t read_list(const char *list, child_fn fn, void *data)
{
	const char *at = list;
	char *end;
	long pid;

	for (pid = strtol(at, &end, 10); end > at && *end == ' '; pid = strtol(at, &end, 10)) {
		fn((pid_t)pid, data);
		at = end + 1;
	}
	return (size_t)(at - list);
}

/* Of its first thread; 0 or -errno. */
static int each_child(pid_t parent, child_fn fn, void *data)
{
	char path[64], list[LIST_SIZE + 1];
	AUTO(fd_close) int fd = -1;
	size_t kept = 0;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	while ((len = read(fd, list + kept, LIST_SIZE - kept)) > 0) {
		size_t taken;

		list[kept + (size_t)len] = '\0';
		taken = read_list(list, fn, data);
		kept += (size_t)len - taken;
		memmove(list, list + taken, kept);
	}
	return len < 0 ? -errno : 0;
}

/* --- listing --- */

struct listing {
	pid_t *pids; /* borrowed */
	size_t n, max;
};

static void add_to_listing(pid_t child, void *data)
{
	struct listing *listing = data;

	if (listing->n < listing->max)
		listing->pids[listing->n++] = child;
}

int children_list(pid_t *pids, size_t max)
{
	struct listing listing = { .pids = pids, .max = max };
	int r = each_child(getpid(), add_to_listing, &listing);

	return r < 0 ? r : (int)listing.n;
}

/* --- killing --- */

/* All that have been killed; each is looked for again and again, so they are found by their pids.
 */
struct family {
	pid_t members[FAMILY_MAX];
	pid_t table[FAMILY_TABLE]; /* the same, by pid; 0: free */
	size_t n;
	pid_t own_group;
};

static bool family_adds(struct family *family, pid_t pid)
{
	size_t at = (size_t)pid % FAMILY_TABLE;

	while (family->table[at] && family->table[at] != pid)
		at = (at + 1) % FAMILY_TABLE;
	if (family->table[at] || family->n == FAMILY_MAX)
		return false;

	family->table[at] = family->members[family->n++] = pid;
	return true;
}

/* With its group, whose members then make no further ones. Ours is never meant. */
static void kill_member(pid_t pid, void *data)
{
	struct family *family = data;
	pid_t group;

	if (!family_adds(family, pid))
		return;

	group = getpgid(pid);
	if (group > 1 && group != family->own_group)
		(void)kill(-group, SIGKILL);
	(void)kill(pid, SIGKILL);
}

void children_kill(pid_t child)
{
	struct family family = { .own_group = getpgrp() };
	size_t n;

	do {
		n = family.n;
		if (child)
			kill_member(child, &family);
		else
			(void)each_child(getpid(), kill_member, &family);
		for (size_t i = 0; i < family.n; i++)
			(void)each_child(family.members[i], kill_member, &family);
	} while (family.n > n);
}
