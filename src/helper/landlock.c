/* SPDX-License-Identifier: MIT */
#include "helper/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* The first version's rights, all of them. */
#define FS_FIRST ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* Later than the oldest headers that we build with. */
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define FS_ALLOWED                                                      \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |   \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |  \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_REFER)

struct ruleset {
	uint64_t fs;
	uint64_t net;    /* from version 4 */
	uint64_t scoped; /* from version 6 */
};

/* What this kernel can forbid; returns how much of the struct it knows. */
static size_t fill_ruleset(struct ruleset *ruleset, long version)
{
	*ruleset = (struct ruleset){ .fs = FS_FIRST };
	if (version >= 2)
		ruleset->fs |= FS_REFER;
	if (version >= 3)
		ruleset->fs |= FS_TRUNCATE;
	if (version >= 4)
		ruleset->net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 5)
		ruleset->fs |= FS_IOCTL_DEV;
	/* Not signals: the keeper ends its reader. */
	if (version >= 6)
		ruleset->scoped = SCOPE_ABSTRACT_UNIX;

	return version >= 6   ? sizeof(*ruleset)
	       : version >= 4 ? offsetof(struct ruleset, scoped)
			      : offsetof(struct ruleset, net);
}

int landlock_confine(int directory, bool moves, bool links, struct error *err)
{
	struct landlock_path_beneath_attr beneath = { .parent_fd = directory };
	AUTO(fd_close) int fd = -1;
	struct ruleset ruleset;
	long version;
	size_t size;

	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* Not built in, not switched on, or kept from us by the service's own filter. */
	if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
		return 0;
	if (version < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot ask for Landlock: %m");
	if (moves && version < 2)
		return 0;

	size = fill_ruleset(&ruleset, version);
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot make Landlock's rules: %m");

	beneath.allowed_access = FS_ALLOWED & ruleset.fs;
	if (links)
		beneath.allowed_access |= LANDLOCK_ACCESS_FS_MAKE_SYM;
	if (directory >= 0 &&
	    syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot add to Landlock's rules: %m");
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot put up Landlock: %m");

	return 0;
}
