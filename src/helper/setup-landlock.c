/* SPDX-License-Identifier: MIT */
/*
 * Landlock allows what is listed, and all below it; it cannot take out what is
 * in between. So /etc, where our own configuration is, is listed entry by entry.
 */

#include "helper/setup-landlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* The first version's rights, all of them; and what came later than our headers. */
#define FS_FIRST ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define MAY_READ ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAY_RUN (MAY_READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define MAY_USE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define MAY_ALL                                \
	((FS_FIRST | FS_REFER | FS_TRUNCATE) & \
	 ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK))

/* Of these, what is not a directory's. */
#define OF_FILES                                                     \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

struct ruleset {
	uint64_t fs;
	uint64_t net;    /* from version 4: left as it is */
	uint64_t scoped; /* from version 6 */
};

static const struct {
	const char *path;
	uint64_t access;
} shared[] = {
	{ "/bin", MAY_RUN },
	{ "/lib", MAY_RUN },
	{ "/lib32", MAY_RUN },
	{ "/lib64", MAY_RUN },
	{ "/nix/store", MAY_RUN },
	{ "/opt", MAY_RUN },
	{ "/sbin", MAY_RUN },
	{ "/usr", MAY_RUN },
	{ "/proc", MAY_READ }, /* of others' memory and environment Landlock keeps it, too */
	{ "/sys/devices/system/cpu", MAY_READ },
	{ "/var/lib/ca-certificates", MAY_READ },
	/* Where /etc/resolv.conf may point to. */
	{ "/run/NetworkManager/resolv.conf", MAY_READ },
	{ "/run/resolvconf", MAY_READ },
	{ "/run/systemd/resolve", MAY_READ },
	{ "/dev/full", MAY_USE },
	{ "/dev/null", MAY_USE },
	{ "/dev/random", MAY_READ },
	{ "/dev/urandom", MAY_READ },
	{ "/dev/zero", MAY_USE },
};

/*
 * In /etc and /etc/ssl: ours, and what a setup.sh has no business with though modes may
 * let it, above all where the daemon is root.
 */
static const char *const not_shared[] = {
	".",        "..",       "credstore",   "credstore.encrypted",
	"gshadow",  "gshadow-", "krb5.keytab", "letsencrypt",
	"molecule", "private",  "shadow",      "shadow-",
	"ssh",      "ssl",      "sudoers.d",   "wireguard",
};

static long create_ruleset(const struct ruleset *ruleset, size_t size, uint32_t flags)
{
	return syscall(SYS_landlock_create_ruleset, ruleset, size, flags);
}

int setup_landlock_version(void)
{
	long version = create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version > 0 ? (int)version : 0;
}

static int open_ruleset(int version, uint64_t *ret_fs, int *ret_fd)
{
	struct ruleset ruleset = { .fs = FS_FIRST };
	size_t size = offsetof(struct ruleset, net);
	long fd;

	if (version >= 2)
		ruleset.fs |= FS_REFER;
	if (version >= 3)
		ruleset.fs |= FS_TRUNCATE;
	if (version >= 6) {
		ruleset.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof(ruleset);
	}

	fd = create_ruleset(&ruleset, size, 0);
	if (fd < 0)
		return -errno;

	*ret_fs = ruleset.fs;
	*ret_fd = (int)fd;
	return 0;
}

static int allow(int rules, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr beneath = { .parent_fd = fd, .allowed_access = access };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;

	if (!S_ISDIR(st.st_mode))
		beneath.allowed_access &= OF_FILES;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return -errno;
	return 0;
}

/* What is not there, or not for us, need not be allowed. */
static int allow_path(int rules, int dirfd, const char *path, uint64_t access)
{
	AUTO(fd_close) int fd = openat(dirfd, path, O_PATH | O_CLOEXEC);

	return fd < 0 ? 0 : allow(rules, fd, access);
}

static bool is_shared(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(not_shared); i++)
		if (strcmp(name, not_shared[i]) == 0)
			return false;

	return true;
}

/* What is in a directory, entry by entry. */
static int allow_entries(int rules, const char *path, uint64_t access)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	/* What is not for us need not be allowed. */
	if (!dir)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;

	while (r == 0 && (entry = readdir(dir)))
		if (is_shared(entry->d_name))
			r = allow_path(rules, dirfd(dir), entry->d_name, access);
	(void)closedir(dir);
	return r;
}

int setup_landlock_enter(int version, int tree, int temporary, struct error *err)
{
	AUTO(fd_close) int rules = -1;
	uint64_t fs = 0;
	int r;

	r = open_ruleset(version, &fs, &rules);
	if (r == 0)
		r = allow(rules, tree, MAY_ALL & fs);
	if (r == 0)
		r = allow(rules, temporary, MAY_ALL & fs);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(shared); i++)
		r = allow_path(rules, AT_FDCWD, shared[i].path, shared[i].access & fs);
	if (r == 0)
		r = allow_entries(rules, "/etc", MAY_RUN);
	if (r == 0)
		r = allow_entries(rules, "/etc/ssl", MAY_RUN);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot put up Landlock: %m");

	return 0;
}
