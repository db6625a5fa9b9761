/* SPDX-License-Identifier: MIT */
/*
 * The directories of plugins. None is entered through a symbolic link.
 */

#include "agent/plugin-place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unique.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

struct workspace_key plugin_place_name(const struct workspace_key *workspace)
{
	struct workspace_key key = *workspace;

	for (char *p = key.text; *p; p++)
		if (*p == ':')
			*p = '_';
	return key;
}

static int fail(int errnum, const char *what, const char *path, struct error *err)
{
	return error_set(err, file_error_kind(errnum), errnum, "cannot %s directory %s: %m", what,
			 path);
}

/* What others put there is not entered; the umask takes no bits from ours. */
static int enter(int dirfd, const char *path, bool make, int *ret_fd, struct error *err)
{
	bool made = make && mkdirat(dirfd, path, 0755) == 0;
	AUTO(fd_close) int fd = -1;
	struct stat st;

	if (make && !made && errno != EEXIST)
		return fail(errno, "create", path, err);

	fd = openat(dirfd, path, DIRECTORY);
	if (fd < 0)
		return fail(errno, "open", path, err);

	if (made && fchmod(fd, 0755) < 0)
		return fail(errno, "set the mode of", path, err);

	if (fstat(fd, &st) < 0)
		return fail(errno, "look at", path, err);

	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, ERROR_CONFIG, EPERM,
				 "cannot trust directory %s: it must be ours, and nobody else may "
				 "write to it",
				 path);

	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int enter_all(int dirfd, const char *const *path, size_t n, bool make, int *ret_fd,
		     struct error *err)
{
	AUTO(fd_close) int fd = -1;

	for (size_t i = 0; i < n; i++) {
		int next = -1;
		int r = enter(fd < 0 ? dirfd : fd, path[i], make, &next, err);

		if (r < 0)
			return r;
		fd_close_auto(&fd);
		fd = next;
	}

	*ret_fd = fd;
	fd = -1;
	return 0;
}

int plugin_place_open(int state_dirfd, const struct workspace_key *workspace, bool make,
		      int *ret_fd, struct error *err)
{
	struct workspace_key key = plugin_place_name(workspace);
	const char *path[] = { PLUGIN_PLACES, key.text, "plugins" };
	int r;

	r = enter_all(state_dirfd, path, ARRAY_LEN(path), make, ret_fd, err);
	if (r == -ENOENT && err)
		*err = (struct error){ 0 };
	return r;
}

int plugin_place_make(int dirfd, const char *name, const char *version, int *ret_fd,
		      struct error *err)
{
	const char *path[] = { name, "versions" };
	char whole[PLUGIN_PATH_SIZE];
	AUTO(fd_close) int versions = -1;
	AUTO(fd_close) int fd = -1;
	int r;

	r = enter_all(dirfd, path, ARRAY_LEN(path), true, &versions, err);
	if (r == 0 && mkdirat(versions, version, 0755) < 0)
		r = fail(errno, "create", version, err);
	if (r == 0)
		r = enter(versions, version, false, &fd, err);
	if (r == 0 && fchmod(fd, 0755) < 0)
		r = fail(errno, "set the mode of", version, err);
	if (r < 0) {
		plugin_place_prune(dirfd, plugin_place_path(whole, name, version));
		return r;
	}

	*ret_fd = fd;
	fd = -1;
	return 0;
}

int plugin_place_version(int dirfd, const char *name, const char *version, int *ret_fd,
			 struct error *err)
{
	const char *path[] = { name, "versions", version };

	return enter_all(dirfd, path, ARRAY_LEN(path), false, ret_fd, err);
}

int plugin_place_tree(int version_fd, const char *name, int *ret_fd, struct error *err)
{
	const char *path[] = { "tree" };
	int r = enter_all(version_fd, path, 1, false, ret_fd, err);

	if (r < 0)
		error_prefix(err, "plugin %s", name);
	return r;
}

int plugin_place_current(int dirfd, const char *name, char dst[static PLUGIN_VERSION_SIZE])
{
	static const char versions[] = "versions/";
	char path[PLUGIN_NAME_MAX + 16], target[sizeof(versions) + PLUGIN_VERSION_SIZE];
	ssize_t len;

	dst[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/current", name);
	len = readlinkat(dirfd, path, target, sizeof(target) - 1);
	if (len < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : -errno;

	target[len] = '\0';
	if (strncmp(target, versions, strlen(versions)) == 0 &&
	    plugin_version_is_good(target + strlen(versions)))
		(void)snprintf(dst, PLUGIN_VERSION_SIZE, "%s", target + strlen(versions));
	return 0;
}

int plugin_place_exists(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;

	return errno == ENOENT ? 0 : -errno;
}

char *plugin_place_path(char dst[static PLUGIN_PATH_SIZE], const char *name, const char *version)
{
	(void)snprintf(dst, PLUGIN_PATH_SIZE, "%s/versions/%s", name, version);
	return dst;
}

bool plugin_place_prune(int dirfd, const char *path)
{
	char above[PLUGIN_PATH_SIZE];
	bool gone = false;
	char *slash;

	(void)snprintf(above, sizeof(above), "%s", path);
	do {
		if (unlinkat(dirfd, above, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return gone;

		gone = true;
		slash = strrchr(above, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return gone;
}

int plugin_place_trash_name(char dst[static PLUGIN_TRASH_SIZE])
{
	char random[UNIQUE_KEY_LEN + 1];
	int r = unique_key(random);

	if (r < 0)
		return r;

	(void)snprintf(dst, PLUGIN_TRASH_SIZE, PLUGIN_TRASH_PREFIX "%.16s", random);
	return 0;
}

int plugin_place_forget(int state_dirfd, const struct workspace_key *workspace,
			char ret_name[static PLUGIN_TRASH_SIZE], int *ret_fd, struct error *err)
{
	struct workspace_key key = plugin_place_name(workspace);
	const char *name = key.text;
	AUTO(fd_close) int fd = -1;
	int r;

	ret_name[0] = '\0';
	fd = openat(state_dirfd, PLUGIN_PLACES, DIRECTORY);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return fail(errno, "open", PLUGIN_PLACES, err);

	r = plugin_place_trash_name(ret_name);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot move %s aside: %m", name);

	if (renameat(fd, name, fd, ret_name) < 0) {
		ret_name[0] = '\0';
		return errno == ENOENT ? 0 : fail(errno, "move aside", name, err);
	}

	*ret_fd = fd;
	fd = -1;
	return 0;
}
