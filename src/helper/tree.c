/* SPDX-License-Identifier: MIT */
#include "helper/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "helper/beneath.h"

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define IMPLIED_DIR_MODE 0755

int tree_init(struct tree *tree, int staging, struct ledger *ledger, uint64_t size_max,
	      struct error *err)
{
	*tree = (struct tree){
		.ledger = ledger,
		.root = -1,
		.parent = -1,
		.file = -1,
		.size_max = size_max,
	};

	if (mkdirat(staging, TREE_DIR, TREE_MODE) < 0)
		return error_set(err, file_error_kind(errno), errno,
				 "cannot make the plugin's directory: %m");

	tree->root = beneath_open(staging, TREE_DIR, DIR_FLAGS, 0);
	if (tree->root < 0)
		return error_set(err, ERROR_INTERNAL, -tree->root,
				 "cannot open the plugin's directory: %m");
	return 0;
}

static void close_fd(int *fd)
{
	fd_close_auto(fd);
	*fd = -1;
}

void tree_fini(struct tree *tree)
{
	close_fd(&tree->file);
	close_fd(&tree->parent);
	close_fd(&tree->root);
}

/* Why something could not be made: the archive's fault, the disk's, or ours. */
static int refuse_errno(struct refusal *refusal, int errnum)
{
	errno = errnum;
	switch (errnum) {
	case EEXIST:
		return refuse(refusal, ERROR_INTEGRITY, "it is there twice");
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
		return refuse(refusal, ERROR_INTEGRITY,
			      "it is inside of something that is no directory");
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EROFS:
		return refuse(refusal, ERROR_UNAVAILABLE, "it cannot be written: %m");
	case EFBIG:
		return refuse(refusal, ERROR_TOO_LARGE, "it cannot be written: %m");
	default:
		return refuse(refusal, ERROR_INTERNAL, "it cannot be written: %m");
	}
}

static void remember_parent(struct tree *tree, int fd, const char *path, size_t len)
{
	close_fd(&tree->parent);
	tree->parent = fd;
	tree->parent_len = len;
	memcpy(tree->parent_path, path, len);
	tree->parent_path[len] = '\0';
}

/* One directory that no entry of the archive has named. */
static int make_implied(struct tree *tree, int parent, const char *path, size_t len,
			struct refusal *refusal)
{
	const char *slash = memrchr(path, '/', len), *base = slash ? slash + 1 : path;
	char name[POLICY_COMPONENT_MAX + 1];
	struct ledger_entry *entry;
	int r;

	r = ledger_add(tree->ledger, LEDGER_IMPLIED, path, len, &entry, refusal);
	if (r < 0)
		return r;

	entry->mode = IMPLIED_DIR_MODE;
	memcpy(name, base, len - (size_t)(base - path));
	name[len - (size_t)(base - path)] = '\0';
	if (mkdirat(parent, name, IMPLIED_DIR_MODE) < 0)
		return refuse_errno(refusal, errno);
	return 0;
}

/* Opens the first len bytes of path as a directory, making it if it is not there. */
static int open_dir(struct tree *tree, int parent, const char *path, size_t len, int *ret,
		    struct refusal *refusal)
{
	char prefix[POLICY_PATH_MAX + 1];
	int fd, r;

	memcpy(prefix, path, len);
	prefix[len] = '\0';
	fd = beneath_open(tree->root, prefix, DIR_FLAGS, 0);
	if (fd == -ENOENT && parent >= 0) {
		r = make_implied(tree, parent, path, len, refusal);
		if (r < 0)
			return r;
		fd = beneath_open(tree->root, prefix, DIR_FLAGS, 0);
	}
	if (fd < 0)
		return fd == -ENOENT && parent < 0 ? fd : refuse_errno(refusal, -fd);

	*ret = fd;
	return 0;
}

/* Makes all that is missing of the first len bytes of path. */
static int make_parents(struct tree *tree, const char *path, size_t len, int *ret,
			struct refusal *refusal)
{
	AUTO(fd_close) int above = dup(tree->root);

	if (above < 0)
		return refuse_errno(refusal, errno);
	for (size_t end = 1; end <= len; end++) {
		int fd = -1, r;

		if (end < len && path[end] != '/')
			continue;
		r = open_dir(tree, above, path, end, &fd, refusal);
		if (r < 0)
			return r;
		close_fd(&above);
		above = fd;
	}

	*ret = above;
	above = -1;
	return 0;
}

/* The directory that path is to be in, and its name there. */
static int enter_parent(struct tree *tree, const char *path, size_t len, int *ret_parent,
			char name[static POLICY_COMPONENT_MAX + 1], struct refusal *refusal)
{
	const char *slash = memrchr(path, '/', len), *base = slash ? slash + 1 : path;
	size_t dir_len = slash ? (size_t)(slash - path) : 0;
	int fd = -1, r;

	memcpy(name, base, len - (size_t)(base - path));
	name[len - (size_t)(base - path)] = '\0';
	if (!dir_len) {
		*ret_parent = tree->root;
		return 0;
	}

	if (tree->parent < 0 || tree->parent_len != dir_len ||
	    memcmp(tree->parent_path, path, dir_len) != 0) {
		r = open_dir(tree, -1, path, dir_len, &fd, refusal);
		if (r == -ENOENT)
			r = make_parents(tree, path, dir_len, &fd, refusal);
		if (r < 0)
			return r;
		remember_parent(tree, fd, path, dir_len);
	}
	*ret_parent = tree->parent;
	return 0;
}

/* It was implied, or is there twice: which, the ledger finds when all are known. */
static int adopt_dir(int parent, const char *name, mode_t mode, struct refusal *refusal)
{
	AUTO(fd_close) int fd = beneath_open(parent, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd == -ENOTDIR)
		return refuse(refusal, ERROR_INTEGRITY, "it is there as two different things");
	if (fd < 0)
		return refuse_errno(refusal, -fd);
	if (fchmod(fd, mode) < 0)
		return refuse_errno(refusal, errno);
	return 0;
}

int tree_add_dir(struct tree *tree, const char *path, size_t len, mode_t mode,
		 struct refusal *refusal)
{
	char name[POLICY_COMPONENT_MAX + 1];
	struct ledger_entry *entry;
	int parent, r;

	r = enter_parent(tree, path, len, &parent, name, refusal);
	if (r == 0)
		r = ledger_add(tree->ledger, LEDGER_DIR, path, len, &entry, refusal);
	if (r < 0)
		return r;

	entry->mode = (uint16_t)mode;
	if (mkdirat(parent, name, mode) == 0)
		return 0;
	if (errno == EEXIST)
		return adopt_dir(parent, name, mode, refusal);
	return refuse_errno(refusal, errno);
}

static struct ledger_entry *last_entry(const struct tree *tree)
{
	return &tree->ledger->entries[tree->ledger->n_entries - 1];
}

static int finish_file(struct tree *tree, struct refusal *refusal)
{
	struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = tree->mtime } };
	int fd = tree->file;

	tree->file = -1;
	tree->n_files++;
	if (futimens(fd, times) < 0) {
		int errnum = errno;

		(void)close(fd);
		return refuse_errno(refusal, errnum);
	}
	if (close(fd) < 0)
		return refuse_errno(refusal, errno);

	sha256_end(&tree->sha256, last_entry(tree)->sha256);
	return 0;
}

int tree_add_file(struct tree *tree, const struct tree_file *file, struct refusal *refusal)
{
	char name[POLICY_COMPONENT_MAX + 1];
	struct ledger_entry *entry;
	int parent, fd, r;

	if (file->size > tree->size_max - tree->n_bytes)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "all files together are larger than %llu bytes",
			      (unsigned long long)tree->size_max);

	r = enter_parent(tree, file->path, file->len, &parent, name, refusal);
	if (r == 0)
		r = ledger_add(tree->ledger, LEDGER_FILE_KIND, file->path, file->len, &entry,
			       refusal);
	if (r < 0)
		return r;

	entry->mode = (uint16_t)file->mode;
	entry->size = file->size;
	fd = beneath_open(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, file->mode);
	if (fd < 0)
		return refuse_errno(refusal, -fd);

	sha256_begin(&tree->sha256);
	tree->file = fd;
	tree->left = file->size;
	tree->mtime = file->mtime;
	return tree->left ? 0 : finish_file(tree, refusal);
}

int tree_write(struct tree *tree, const void *bytes, size_t len, struct refusal *refusal)
{
	int r;

	r = fd_write_all(tree->file, bytes, len);
	if (r < 0)
		return refuse_errno(refusal, -r);

	sha256_add(&tree->sha256, bytes, len);
	tree->left -= len;
	tree->n_bytes += len;
	return tree->left ? 0 : finish_file(tree, refusal);
}
