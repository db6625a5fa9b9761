/* SPDX-License-Identifier: MIT */
#include "helper/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "helper/beneath.h"

struct sweeper {
	int top;            /* borrowed */
	unsigned n_hoisted; /* for names that are not taken */
	struct error *err;
};

static void dir_close(DIR *dir)
{
	(void)closedir(dir);
}
DEFINE_AUTO(DIR *, dir_close);

static int failed(struct sweeper *sweeper, const char *name, int errnum)
{
	char quoted[80];

	(void)error_quote(quoted, sizeof(quoted), name, strlen(name));
	return error_set(sweeper->err, file_error_kind(errnum), errnum, "cannot remove %s: %m",
			 quoted);
}

/*
 * A directory that its owner has closed is still the owner's: against writing,
 * or against looking into it, when it cannot even be opened before.
 */
static int open_to_owner(int dirfd, const char *name)
{
	int fd = beneath_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	if (fd == -EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = beneath_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
		(void)fchmod(fd, 0700);
	return fd;
}

static int open_dir(int dirfd, const char *name, DIR **ret)
{
	int fd = open_to_owner(dirfd, name);

	if (fd < 0)
		return fd;

	*ret = fdopendir(fd);
	if (!*ret) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return 0;
}

static bool is_dir(int dirfd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* It could not be moved otherwise. */
static void unlock_dir(int dirfd, const char *name)
{
	int fd = open_to_owner(dirfd, name);

	fd_close_auto(&fd);
}

static int hoist(struct sweeper *sweeper, int dirfd, const char *name)
{
	char hoisted[32];

	/* An empty one needs no journey. */
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return 0;

	unlock_dir(dirfd, name);
	for (;;) {
		(void)snprintf(hoisted, sizeof(hoisted), ".swept-%u", sweeper->n_hoisted++);
		if (renameat2(dirfd, name, sweeper->top, hoisted, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return failed(sweeper, name, errno);
	}
}

/* Removes what is no directory, and moves directories to the top. */
static int clear_dir(struct sweeper *sweeper, DIR *dir)
{
	struct dirent *entry;
	int r;

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? failed(sweeper, "a directory", errno) : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;

		errno = 0;
		if (is_dir(dirfd(dir), entry)) {
			r = hoist(sweeper, dirfd(dir), entry->d_name);
			if (r < 0)
				return r;
		} else if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT) {
			return failed(sweeper, entry->d_name, errno);
		}
	}
}

static int remove_dir(struct sweeper *sweeper, const char *name)
{
	int r;

	/* What was moved or added while the directory was read may not have been seen. */
	while (unlinkat(sweeper->top, name, AT_REMOVEDIR) < 0) {
		AUTO(dir_close) DIR *dir = NULL;

		if (errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return failed(sweeper, name, errno);
		r = open_dir(sweeper->top, name, &dir);
		if (r < 0)
			return failed(sweeper, name, -r);
		r = clear_dir(sweeper, dir);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One reading of the top; *ret_found tells whether there was anything. */
static int clear_top(struct sweeper *sweeper, bool *ret_found)
{
	AUTO(dir_close) DIR *dir = NULL;
	struct dirent *entry;
	int r;

	r = open_dir(sweeper->top, ".", &dir);
	if (r < 0)
		return failed(sweeper, "the directory's content", -r);

	*ret_found = false;
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? failed(sweeper, "the directory's content", errno) : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;

		*ret_found = true;
		if (is_dir(sweeper->top, entry))
			r = remove_dir(sweeper, entry->d_name);
		else if (unlinkat(sweeper->top, entry->d_name, 0) < 0 && errno != ENOENT)
			r = failed(sweeper, entry->d_name, errno);
		if (r < 0)
			return r;
	}
}

int sweep(int dirfd, struct error *err)
{
	struct sweeper sweeper = { .top = dirfd, .err = err };
	bool found;
	int r;

	do
		r = clear_top(&sweeper, &found);
	while (r == 0 && found);
	return r;
}
