/* SPDX-License-Identifier: MIT */
/*
 * Switching, retiring, listing and tidying up the versions of plugins.
 */

#include "helper/versions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "base/util.h"
#include "helper/beneath.h"
#include "helper/policy.h"
#include "helper/sweep.h"
#include "helper/tree.h"

#define RECORD "record.json"
#define RECORD_NEW "record.json.new"
#define CURRENT "current"
#define CURRENT_NEW "current.new"
#define VERSIONS "versions"
#define TRASH ".trash-"
#define DIRECTORY (O_RDONLY | O_DIRECTORY)

static void dir_close(DIR *dir)
{
	(void)closedir(dir);
}
DEFINE_AUTO(DIR *, dir_close);

static int fail(struct error *err, int errnum, const char *what, const char *name)
{
	char shown[80];

	return error_set(err, file_error_kind(errnum), errnum, "cannot %s %s: %m", what,
			 error_quote(shown, sizeof(shown), name, strlen(name)));
}

/* A descriptor of its own: one that came from the daemon would share its lock with the daemon. */
static int lock_directory(int dirfd, int *ret_fd, struct error *err)
{
	AUTO(fd_close) int fd = beneath_open(dirfd, ".", DIRECTORY, 0);

	if (fd < 0)
		return fail(err, -fd, "open", "the directory of the plugins");

	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return fail(err, errno, "lock", "the directory of the plugins");

	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int sync_directory(int fd, const char *name, struct error *err)
{
	while (fsync(fd) < 0) {
		if (errno == EINVAL || errno == EOPNOTSUPP)
			return 0;
		if (errno != EINTR)
			return fail(err, errno, "sync", name);
	}

	return 0;
}

static int open_directory(int dirfd, const char *name, int *ret_fd, struct error *err)
{
	int fd = beneath_open(dirfd, name, DIRECTORY, 0);

	if (fd < 0)
		return fail(err, -fd, "open", name);

	*ret_fd = fd;
	return 0;
}

/* A version's directory: what is there besides is made by whoever unpacks. */
static bool is_version(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < 64;
}

/* What is current; "" when nothing is. Anything else that is there is not ours. */
static int read_current(int plugin_fd, char dst[static 64])
{
	static const char prefix[] = VERSIONS "/";
	char target[128];
	ssize_t len;

	dst[0] = '\0';
	len = readlinkat(plugin_fd, CURRENT, target, sizeof(target) - 1);
	if (len < 0)
		return errno == ENOENT ? 0 : -errno;

	target[len] = '\0';
	if (strncmp(target, prefix, strlen(prefix)) != 0 || !is_version(target + strlen(prefix)))
		return -EBADMSG;

	memcpy(dst, target + strlen(prefix), strlen(target + strlen(prefix)) + 1);
	return 0;
}

/* --- changes --- */

static int check_names(const char *name, const char *version, struct error *err)
{
	if (policy_plugin_name(name) && (!version || is_version(version)))
		return 0;

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "that is no plugin, or no version of it");
}

/* Who writes one may be killed while it does: half a record is none. */
static bool is_record(const char *text, size_t len)
{
	return len && memchr(text, '\n', len) == text + len - 1 &&
	       json_check(text, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) == 0 &&
	       json_text_kind(json_text_from(text, len)) == JSON_OBJECT;
}

static int write_new(int fd, const char *text, size_t len)
{
	int r;

	if (fchmod(fd, 0644) < 0)
		return -errno;

	r = fd_write_all(fd, text, len);
	while (r == 0 && fsync(fd) < 0)
		r = errno == EINTR ? 0 : -errno;
	return r;
}

static int write_record(int fd, const char *text, size_t len, struct error *err)
{
	AUTO(fd_close) int file = -1;
	int r;

	(void)unlinkat(fd, RECORD_NEW, 0);
	file = beneath_open(fd, RECORD_NEW, O_WRONLY | O_CREAT | O_EXCL, 0600);
	r = file < 0 ? file : write_new(file, text, len);
	if (r == 0 && renameat(fd, RECORD_NEW, fd, RECORD) < 0)
		r = -errno;
	if (r == 0)
		return 0;

	(void)unlinkat(fd, RECORD_NEW, 0);
	return fail(err, -r, "write", RECORD);
}

/* All that leads to it lasts before anything refers to it. */
static int seal(int plugin_fd, const struct versions_switch *change, struct error *err)
{
	AUTO(fd_close) int versions = -1;
	AUTO(fd_close) int fd = -1;
	struct stat st;
	int r;

	r = open_directory(plugin_fd, VERSIONS, &versions, err);
	if (r == 0)
		r = open_directory(versions, change->to, &fd, err);
	if (r < 0)
		return r;

	if (fstatat(fd, TREE_DIR, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return fail(err, ENOENT, "find the files of", change->to);

	if (change->sync && syncfs(fd) < 0)
		return fail(err, errno, "sync", change->to);

	r = write_record(fd, change->record, change->len, err);
	if (r == 0)
		r = sync_directory(fd, change->to, err);
	if (r == 0)
		r = sync_directory(versions, VERSIONS, err);
	return r;
}

static int point_to(int plugin_fd, const char *version, struct error *err)
{
	char target[128];

	(void)snprintf(target, sizeof(target), VERSIONS "/%s", version);
	if (unlinkat(plugin_fd, CURRENT_NEW, 0) < 0 && errno != ENOENT)
		return fail(err, errno, "remove", CURRENT_NEW);
	if (symlinkat(target, plugin_fd, CURRENT_NEW) < 0)
		return fail(err, errno, "create", CURRENT_NEW);
	if (renameat(plugin_fd, CURRENT_NEW, plugin_fd, CURRENT) < 0) {
		int errnum = errno;

		(void)unlinkat(plugin_fd, CURRENT_NEW, 0);
		if (errnum == EISDIR)
			return error_set(err, ERROR_INTERNAL, errnum,
					 "its " CURRENT " is a directory, and none of ours: move "
					 "it out of the way");
		return fail(err, errnum, "switch to", version);
	}

	return sync_directory(plugin_fd, CURRENT, err);
}

int versions_activate(int dirfd, const struct versions_switch *change, struct error *err)
{
	AUTO(fd_close) int lock = -1;
	AUTO(fd_close) int fd = -1;
	int r;

	r = check_names(change->name, change->to, err);
	if (r == 0 && !is_record(change->record, change->len))
		r = error_set(err, ERROR_INTERNAL, EBADMSG, "that is no record of a plugin");
	if (r == 0)
		r = lock_directory(dirfd, &lock, err);
	if (r == 0)
		r = open_directory(dirfd, change->name, &fd, err);
	if (r == 0)
		r = seal(fd, change, err);
	/* Of a plugin that is new, its own name has to last, too. */
	if (r == 0)
		r = sync_directory(fd, change->name, err);
	if (r == 0)
		r = sync_directory(lock, "the directory of the plugins", err);
	if (r == 0)
		r = point_to(fd, change->to, err);
	return r;
}

int versions_retire(int dirfd, const char *name, const char *as, struct error *err)
{
	AUTO(fd_close) int lock = -1;
	int r;

	r = check_names(name, NULL, err);
	if (r == 0 && (strncmp(as, TRASH, strlen(TRASH)) != 0 || strchr(as, '/')))
		r = error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			      "that is no name for what is gone");
	if (r == 0)
		r = lock_directory(dirfd, &lock, err);
	if (r < 0)
		return r;

	if (renameat2(dirfd, name, dirfd, as, RENAME_NOREPLACE) < 0)
		return fail(err, errno, "remove", name);

	return sync_directory(lock, "the directory of the plugins", err);
}

/* --- looking --- */

/* NULL when there is none that can be read: that is told, and is no reason to stop. */
static char *read_record(int plugin_fd, const char *version)
{
	AUTO(free) char *text = malloc(VERSIONS_RECORD_MAX + 1);
	AUTO(fd_close) int fd = -1;
	char path[128];
	size_t len;

	(void)snprintf(path, sizeof(path), VERSIONS "/%s/" RECORD, version);
	fd = text ? beneath_open(plugin_fd, path, O_RDONLY | O_NONBLOCK, 0) : -1;
	if (fd < 0 || fd_read_all(fd, text, VERSIONS_RECORD_MAX, &len) < 0)
		return NULL;

	if (!is_record(text, len))
		return NULL;

	text[len - 1] = '\0';
	return TAKE(text);
}

/* "" when it says that there is none; -ENODATA when it says nothing. */
static int read_before(const char *record, char dst[static 64])
{
	struct json_text before;

	dst[0] = '\0';
	if (!record)
		return -ENODATA;

	before = json_text_member(json_text_from(record, strlen(record)), "previous");
	if (json_text_kind(before) != JSON_STRING)
		return 0;

	if (json_text_cstring(before, dst, 64) < 0 || !is_version(dst)) {
		dst[0] = '\0';
		return -ENODATA;
	}

	return 0;
}

static int open_entries(int dirfd, DIR **ret, struct error *err)
{
	int fd = beneath_open(dirfd, ".", DIRECTORY, 0);

	if (fd < 0)
		return fail(err, -fd, "read", "a directory of plugins");

	*ret = fdopendir(fd);
	if (!*ret) {
		(void)close(fd);
		return fail(err, ENOMEM, "read", "a directory of plugins");
	}

	return 0;
}

static int list_plugin(int dirfd, const char *name, versions_list_fn fn, void *data)
{
	char current[64], before[64];
	AUTO(free) char *current_record = NULL;
	AUTO(free) char *before_record = NULL;
	AUTO(fd_close) int fd = -1;

	if (open_directory(dirfd, name, &fd, NULL) < 0 || read_current(fd, current) < 0 ||
	    !current[0])
		return 0;

	current_record = read_record(fd, current);
	if (read_before(current_record, before) == 0 && before[0])
		before_record = read_record(fd, before);

	return fn(data, name, &(struct version){ current, current_record },
		  before_record ? &(struct version){ before, before_record } : NULL);
}

int versions_list(int dirfd, versions_list_fn fn, void *data, struct error *err)
{
	AUTO(dir_close) DIR *dir = NULL;
	struct dirent *entry;
	int r;

	r = open_entries(dirfd, &dir, err);
	if (r < 0)
		return r;

	while (r == 0) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? fail(err, errno, "read", "the directory of the plugins") : 0;

		if (policy_plugin_name(entry->d_name))
			r = list_plugin(dirfd, entry->d_name, fn, data);
	}

	return r;
}

/* --- tidying up --- */

/* Whatever it is, and with all that is in it. */
static int remove_entry(int dirfd, const char *name, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;

	r = open_directory(dirfd, name, &fd, err);
	if (r == 0)
		r = sweep(fd, err);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = fail(err, errno, "remove", name);
	return r;
}

/* What is to be done with one entry of a directory. */
typedef int (*tidy_fn)(int dirfd, const char *name, const void *data, struct error *err);

/* All of them, though one may fail: the first failure is told. */
static int tidy_entries(int dirfd, tidy_fn fn, const void *data, struct error *err)
{
	AUTO(dir_close) DIR *dir = NULL;
	struct error later;
	struct dirent *entry;
	int r, first;

	first = open_entries(dirfd, &dir, err);
	if (first < 0)
		return first;

	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;

		r = fn(dirfd, entry->d_name, data, first < 0 ? &later : err);
		if (first == 0)
			first = r;
	}

	return first;
}

struct keep {
	const char *current, *before;
};

static int tidy_version(int dirfd, const char *name, const void *data, struct error *err)
{
	const struct keep *keep = data;
	char path[128];

	if (strcmp(name, keep->current) != 0 && strcmp(name, keep->before) != 0)
		return remove_entry(dirfd, name, err);

	/* What was to become its record. */
	(void)snprintf(path, sizeof(path), "%s/" RECORD_NEW, name);
	(void)unlinkat(dirfd, path, 0);
	return 0;
}

static bool exists(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Of a plugin whose current version cannot be read nothing goes: a person may want it. */
static int tidy_plugin(int plugin_fd, struct error *err)
{
	char current[64], before[64];
	struct keep keep = { current, before };
	AUTO(free) char *record = NULL;
	AUTO(fd_close) int versions = -1;

	(void)unlinkat(plugin_fd, CURRENT_NEW, 0);
	if (read_current(plugin_fd, current) < 0)
		return 0;

	record = current[0] ? read_record(plugin_fd, current) : NULL;
	if (read_before(record, before) < 0 && current[0])
		return 0;
	if (open_directory(plugin_fd, VERSIONS, &versions, NULL) < 0)
		return 0;
	if (before[0] && !exists(versions, before))
		before[0] = '\0';

	return tidy_entries(versions, tidy_version, &keep, err);
}

static int tidy_place(int dirfd, const char *name, const void *data, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	int r;

	if (strncmp(name, TRASH, strlen(TRASH)) == 0)
		return remove_entry(dirfd, name, err);

	if (!policy_plugin_name(name) || open_directory(dirfd, name, &fd, NULL) < 0)
		return 0;

	r = tidy_plugin(fd, err);
	/* One that never came to be: these fail when anything is there. */
	(void)unlinkat(fd, VERSIONS, AT_REMOVEDIR);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
	return r;
}

static int tidy_workspace(int dirfd, const char *name, const void *data, struct error *err)
{
	AUTO(fd_close) int workspace = -1;
	AUTO(fd_close) int plugins = -1;
	AUTO(fd_close) int lock = -1;
	int r;

	if (strncmp(name, TRASH, strlen(TRASH)) == 0)
		return remove_entry(dirfd, name, err);

	if (open_directory(dirfd, name, &workspace, NULL) < 0 ||
	    open_directory(workspace, "plugins", &plugins, NULL) < 0)
		return 0;

	r = lock_directory(plugins, &lock, err);
	return r < 0 ? r : tidy_entries(plugins, tidy_place, NULL, err);
}

int versions_tidy(int dirfd, struct error *err)
{
	return tidy_entries(dirfd, tidy_workspace, NULL, err);
}
