/* SPDX-License-Identifier: MIT */
#include "helper/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

static int open_at_once(int dirfd, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = {
		.flags = flags,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

static int open_part(int dirfd, const char *part, size_t len, uint64_t flags, uint64_t mode)
{
	char name[BENEATH_NAME_MAX + 1];
	int fd;

	if (len > BENEATH_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, part, len);
	name[len] = '\0';
	if (strcmp(name, "..") == 0)
		return -EXDEV;

	do
		fd = openat(dirfd, name, (int)flags, (mode_t)mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* No part is a link, and none leads up: so all is beneath. */
static int open_part_by_part(int dirfd, const char *path, uint64_t flags, uint64_t mode)
{
	AUTO(fd_close) int above = -1;
	int at = dirfd;

	if (path[0] == '/')
		return -EXDEV;

	for (;;) {
		size_t len = strcspn(path, "/");
		const char *next = path + len + strspn(path + len, "/");
		int fd;

		if (!*next)
			return open_part(at, path, len, flags | (path[len] ? O_DIRECTORY : 0u),
					 mode);
		fd = open_part(at, path, len, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
		fd_close_auto(&above);
		above = at = fd;
		if (fd < 0)
			return fd;
		path = next;
	}
}

int beneath_open(int dirfd, const char *path, uint64_t flags, uint64_t mode)
{
	int fd;

	flags |= O_CLOEXEC | O_NOFOLLOW;
	fd = open_at_once(dirfd, path, flags, mode);
	return fd == -ENOSYS ? open_part_by_part(dirfd, path, flags, mode) : fd;
}

bool beneath_needs_openat(int dirfd)
{
	AUTO(fd_close) int fd = open_at_once(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	return fd == -ENOSYS;
}
