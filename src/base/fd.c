/* SPDX-License-Identifier: MIT */
/*
 * Files, opened so that whoever may write to the directory around them cannot
 * make us wait, follow or tell: never through a symbolic link, never a FIFO.
 */

#include "base/fd.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/secret.h"

#define LEFTOVER_PREFIX ".tmp-"
#define LEFTOVER_NAME_SIZE (sizeof(LEFTOVER_PREFIX) + 16)

int fd_set_nonblocking(int fd)
{
	int flags;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;

	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;

	return 0;
}

static ssize_t read_some(int fd, char *bytes, size_t len)
{
	ssize_t n;

	do {
		n = read(fd, bytes, len);
	} while (n < 0 && errno == EINTR);

	return n < 0 ? -errno : n;
}

int fd_read_all(int fd, char *bytes, size_t max, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n;
	char more;

	while (len < max) {
		n = read_some(fd, bytes + len, max - len);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			*ret_len = len;
			return 0;
		}
		len += (size_t)n;
	}

	n = read_some(fd, &more, 1);
	if (n < 0)
		return (int)n;
	if (n > 0) {
		explicit_bzero(&more, sizeof(more));
		return -EFBIG;
	}

	*ret_len = len;
	return 0;
}

int fd_write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		bytes += n;
		len -= (size_t)n;
	}

	return 0;
}

enum error_kind file_error_kind(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return ERROR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case ELOOP:
	case ENXIO:
	case ENAMETOOLONG:
	case EROFS:
		return ERROR_CONFIG;
	default:
		return ERROR_INTERNAL;
	}
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
static int open_regular(int dirfd, const char *name, int *ret_fd, struct stat *ret_st,
			struct error *err)
{
	AUTO(fd_close) int fd = -1;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		return error_set(err, ERROR_CONFIG, ELOOP, "cannot open %s: it is a symbolic link",
				 name);
	if (fd < 0)
		return error_set(err, file_error_kind(errno), errno, "cannot open %s: %m", name);

	if (fstat(fd, ret_st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot stat %s: %m", name);

	if (S_ISDIR(ret_st->st_mode))
		return error_set(err, ERROR_CONFIG, EISDIR, "cannot read %s: it is a directory",
				 name);
	if (!S_ISREG(ret_st->st_mode))
		return error_set(err, ERROR_CONFIG, EINVAL,
				 "cannot read %s: it is not a regular file", name);

	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A file of /proc says that it is empty, and is not. */
static size_t room_for(const struct stat *st, size_t max)
{
	return st->st_size > 0 && (uint64_t)st->st_size < max ? (size_t)st->st_size : max;
}

static int too_big(const char *name, size_t max, struct error *err)
{
	return error_set(err, ERROR_TOO_LARGE, EFBIG, "cannot read %s: it has more than %zu bytes",
			 name, max);
}

static int read_text(int fd, const char *name, size_t room, char *text, size_t *ret_len,
		     struct error *err)
{
	size_t len = 0;
	int r;

	r = fd_read_all(fd, text, room, &len);
	if (r == -EFBIG)
		return too_big(name, room, err);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot read %s: %m", name);

	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return 0;
}

/* Where the text of a file goes, and the memory that it takes. */
struct taker {
	void *(*alloc)(size_t size);
	void (*release)(void *text);
	char **ret_text;
	size_t *ret_len;
};

static int read_whole(int fd, const struct stat *st, const char *name, size_t max,
		      const struct taker *taker, struct error *err)
{
	size_t room = room_for(st, max);
	char *text;
	int r;

	if (st->st_size > 0 && (uint64_t)st->st_size > max)
		return too_big(name, max, err);

	text = taker->alloc(room + 1);
	if (!text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to read %s", name);

	r = read_text(fd, name, room, text, taker->ret_len, err);
	if (r < 0) {
		taker->release(text);
		return r;
	}

	*taker->ret_text = text;
	return 0;
}

int file_read(int dirfd, const char *name, size_t max, char **ret_text, size_t *ret_len,
	      struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;
	int r;

	r = open_regular(dirfd, name, &fd, &st, err);
	if (r < 0)
		return r;

	return read_whole(fd, &st, name, max, &(struct taker){ malloc, free, ret_text, ret_len },
			  err);
}

/*
 * With an access control list the group bits of the mode show the list's mask.
 * systemd hands credentials to a service as root's files with a list that lets
 * one user in; when that user is us, nobody else was let in.
 */
static bool list_admits_only_us(int fd)
{
	enum {
		TAG_USER_OBJ = 0x01,
		TAG_USER = 0x02,
		TAG_MASK = 0x10
	};
	struct {
		uint16_t tag, allowed;
		uint32_t id;
	} entries[16];
	unsigned char list[4 + sizeof(entries)];
	ssize_t len;

	len = fgetxattr(fd, "system.posix_acl_access", list, sizeof(list));
	if (len < 4 || (size_t)(len - 4) % sizeof(entries[0]) != 0)
		return false;

	memcpy(entries, list + 4, (size_t)len - 4);
	for (size_t i = 0; i < (size_t)(len - 4) / sizeof(entries[0]); i++) {
		uint16_t tag = le16toh(entries[i].tag);

		if (tag == TAG_USER_OBJ || tag == TAG_MASK || !entries[i].allowed)
			continue;
		if (tag != TAG_USER || le32toh(entries[i].id) != geteuid())
			return false;
	}

	return true;
}

static int check_private(int fd, const struct stat *st, const char *name, struct error *err)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return error_set(err, ERROR_CONFIG, EPERM,
				 "cannot trust %s: it belongs to user %u, not to us or root", name,
				 st->st_uid);

	if ((st->st_mode & S_IRWXO) || ((st->st_mode & S_IRWXG) && !list_admits_only_us(fd)))
		return error_set(err, ERROR_CONFIG, EPERM,
				 "cannot trust %s: it is open to others (mode %03o, must be 600)",
				 name, st->st_mode & 0777u);

	if (st->st_nlink > 1)
		return error_set(err, ERROR_CONFIG, EMLINK,
				 "cannot trust %s: it has %llu names, so somebody else may hold it",
				 name, (unsigned long long)st->st_nlink);

	return 0;
}

static int open_private(int dirfd, const char *name, int *ret_fd, struct stat *ret_st,
			struct error *err)
{
	AUTO(fd_close) int fd = -1;
	int r;

	r = open_regular(dirfd, name, &fd, ret_st, err);
	if (r == 0)
		r = check_private(fd, ret_st, name, err);
	if (r < 0)
		return r;

	*ret_fd = fd;
	fd = -1;
	return 0;
}

int file_read_private(int dirfd, const char *name, size_t max, char **ret_text, size_t *ret_len,
		      struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;
	int r;

	r = open_private(dirfd, name, &fd, &st, err);
	if (r < 0)
		return r;

	return read_whole(fd, &st, name, max,
			  &(struct taker){ secret_alloc, secret_free, ret_text, ret_len }, err);
}

int file_check_private(int dirfd, const char *name, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;

	return open_private(dirfd, name, &fd, &st, err);
}

/* On a network file system even this can be interrupted. */
static int sync_fd(int fd)
{
	int r;

	do {
		r = fsync(fd);
	} while (r < 0 && errno == EINTR);

	return r < 0 ? -errno : 0;
}

/* Makes the names in a directory last. Some file systems cannot, and say so by EINVAL. */
static int sync_directory(int dirfd, const char *path)
{
	AUTO(fd_close) int fd = -1;
	int r;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	r = sync_fd(fd);
	return r == -EINVAL || r == -EOPNOTSUPP ? 0 : r;
}

static int create_leftover(int dirfd, char name[static LEFTOVER_NAME_SIZE], mode_t mode)
{
	for (int tries = 0; tries < 8; tries++) {
		uint64_t random;
		int fd;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;

		(void)snprintf(name, LEFTOVER_NAME_SIZE, LEFTOVER_PREFIX "%016llx",
			       (unsigned long long)random);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}

	return -EEXIST;
}

static int fill(int fd, const char *bytes, size_t len, mode_t mode)
{
	int r;

	/* The umask may have taken bits; it never added any. */
	if (fchmod(fd, mode) < 0)
		return -errno;

	r = fd_write_all(fd, bytes, len);
	if (r < 0)
		return r;

	return sync_fd(fd);
}

int file_replace(int dirfd, const char *name, const char *bytes, size_t len, mode_t mode,
		 struct error *err)
{
	char leftover[LEFTOVER_NAME_SIZE];
	AUTO(fd_close) int fd = -1;
	int r;

	if (!name[0] || strchr(name, '/'))
		return error_set(err, ERROR_INTERNAL, EINVAL, "cannot write %s: not a file name",
				 name);

	r = create_leftover(dirfd, leftover, mode);
	if (r < 0)
		return error_set(err, file_error_kind(-r), -r,
				 "cannot create a file to replace %s: %m", name);
	fd = r;

	r = fill(fd, bytes, len, mode);
	if (r == 0 && renameat(dirfd, leftover, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, leftover, 0);
		return error_set(err, file_error_kind(-r), -r, "cannot write %s: %m", name);
	}

	r = sync_directory(dirfd, ".");
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot make %s last: %m", name);

	return 0;
}

int file_remove(int dirfd, const char *name, struct error *err)
{
	int r;

	if (unlinkat(dirfd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, file_error_kind(errno), errno, "cannot remove %s: %m", name);
	}

	r = sync_directory(dirfd, ".");
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot make the removal of %s last: %m",
				 name);

	return 0;
}

void file_clean_leftovers(int dirfd)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;

	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}

	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, LEFTOVER_PREFIX, strlen(LEFTOVER_PREFIX)) == 0 &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			(void)unlinkat(fd, entry->d_name, 0);

	(void)closedir(dir);
}

/* 1 when it was made, 0 when it was there. */
static int make_directory(int dirfd, const char *path, mode_t mode, struct error *err)
{
	if (!mode)
		return 0;

	if (mkdirat(dirfd, path, mode) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;

	return error_set(err, file_error_kind(errno), errno, "cannot create directory %s: %m",
			 path);
}

/* The kernel calls a link that it was told not to follow no directory. */
static int refuse_directory(int dirfd, const char *path, int errnum, struct error *err)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return error_set(err, ERROR_CONFIG, errnum,
				 "cannot trust directory %s: it is a symbolic link; name what it "
				 "leads to",
				 path);

	return error_set(err, file_error_kind(errnum), errnum, "cannot open directory %s: %m",
			 path);
}

int dir_open_private(int dirfd, const char *path, mode_t mode, int *ret_fd, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;
	int made, r;

	made = make_directory(dirfd, path, mode, err);
	if (made < 0)
		return made;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return refuse_directory(dirfd, path, errno, err);

	if (fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot stat %s: %m", path);

	if (st.st_uid != geteuid())
		return error_set(err, ERROR_CONFIG, EPERM,
				 "cannot trust directory %s: it belongs to user %u, not to us",
				 path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, ERROR_CONFIG, EPERM,
				 "cannot trust directory %s: others may write to it (mode %03o)",
				 path, st.st_mode & 0777u);

	if (made && fchmod(fd, mode) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot set the mode of %s: %m", path);

	/* The name of a new directory is its parent's to keep. */
	r = made ? sync_directory(fd, "..") : 0;
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot make directory %s last: %m",
				 path);

	*ret_fd = fd;
	fd = -1;
	return 0;
}
