/* SPDX-License-Identifier: MIT */
/*
 * The state directory, and the lock that makes it one daemon's.
 */

#include "statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* mkdir -p for what is above path. */
static void make_parents(const char *path)
{
	char *copy = strdup(path);

	for (char *p = copy ? copy + 1 : NULL; p && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(copy, 0755);
		*p = '/';
	}
	free(copy);
}

static void clean_leftovers(int state_dirfd)
{
	static const char *const dirs[] = { "tokens", "workspaces.d", "leaving" };

	file_clean_leftovers(state_dirfd);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO(fd_close)
		int fd = openat(state_dirfd, dirs[i],
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd >= 0)
			file_clean_leftovers(fd);
	}
}

int state_dir_open(struct state_dir *dir, const char *path, struct error *err)
{
	int r;

	*dir = STATE_DIR_CLOSED;

	make_parents(path);
	r = dir_open_private(AT_FDCWD, path, 0700, &dir->fd, err);
	if (r < 0)
		return r;

	dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (dir->lock_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot open the lock in %s: %m",
				 path);

	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_set(err, ERROR_CONFLICT, errno,
					   "another molecule-agentd uses %s; stop it, or set "
					   "another state_dir",
					   path)
			       : error_set(err, ERROR_INTERNAL, errno, "cannot lock %s: %m", path);

	clean_leftovers(dir->fd);
	return 0;
}

void state_dir_close(struct state_dir *dir)
{
	if (dir->lock_fd >= 0)
		(void)close(dir->lock_fd);
	if (dir->fd >= 0)
		(void)close(dir->fd);
	*dir = STATE_DIR_CLOSED;
}
