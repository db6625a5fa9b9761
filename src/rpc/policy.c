/* SPDX-License-Identifier: MIT */
/*
 * Local access control: the user, and one group.
 */

#include "rpc/policy.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define NO_GID ((gid_t)-1)
#define GROUP_BYTES_MAX ((size_t)16 << 20) /* a group with a million members */

/* 0 with NO_GID when there is no such group. */
static int find_gid(const char *name, gid_t *ret)
{
	struct group group, *found = NULL;

	for (size_t size = 4096; size <= GROUP_BYTES_MAX; size *= 4) {
		AUTO(free) char *bytes = malloc(size);
		int r;

		if (!bytes)
			return -ENOMEM;

		r = getgrnam_r(name, &group, bytes, size, &found);
		if (r == ERANGE)
			continue;

		*ret = found ? group.gr_gid : NO_GID;
		return -r;
	}

	return -ERANGE;
}

void policy_init(struct policy *policy, const char *group)
{
	int r;

	*policy = (struct policy){ .self = geteuid(), .gid = NO_GID };
	if (!group || !group[0])
		return;

	if (strlen(group) > POLICY_GROUP_MAX) {
		log_warning("the socket's group has a name of more than %d bytes: ignored",
			    POLICY_GROUP_MAX);
		return;
	}

	(void)memcpy(policy->group, group, strlen(group));
	r = find_gid(group, &policy->gid);
	if (r < 0)
		log_warning("cannot look up the group %s: %s", group, strerror(-r));
	else if (policy->gid == NO_GID)
		log_notice("there is no group %s: only root and the daemon's user are served",
			   group);
}

bool policy_is_master(const struct policy *policy, uid_t uid)
{
	return uid == 0 || uid == policy->self;
}

unsigned policy_classes(const struct policy *policy, const struct peercred *peer)
{
	if (policy_is_master(policy, peer->uid))
		return POLICY_ALL;

	if (policy->gid != NO_GID && peercred_in_group(peer, policy->gid))
		return POLICY_READ | POLICY_USE;

	return 0;
}

const char *policy_class_name(enum policy_class class)
{
	switch (class) {
	case POLICY_READ:
		return "read";
	case POLICY_USE:
		return "use";
	case POLICY_ADMIN:
		return "admin";
	case POLICY_ALL:
		break;
	}
	return "all";
}

int policy_refuse(const struct policy *policy, uid_t uid, unsigned classes, const char *method,
		  struct error *err)
{
	if (classes)
		return error_set(err, ERROR_FORBIDDEN, EACCES,
				 "user %u may not call %s: only root and the daemon's own user may",
				 uid, method);

	if (policy->gid == NO_GID)
		return error_set(
			err, ERROR_FORBIDDEN, EACCES,
			"user %u may not call %s: this daemon serves its own user and root", uid,
			method);

	return error_set(err, ERROR_FORBIDDEN, EACCES,
			 "user %u may not call %s: add the user to group %s and log in again", uid,
			 method, policy->group);
}
