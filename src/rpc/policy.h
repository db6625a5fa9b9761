/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who may call what. The caller is what the kernel says at connect(), never
 * what the caller says.
 *
 * root and the daemon's own user may do everything; members of one group may
 * read and use; all others nothing. A connection keeps the classes that it had
 * when it was made.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "io/peercred.h"

#define POLICY_GROUP_MAX 64

enum policy_class {
	POLICY_READ = 1 << 0,
	POLICY_USE = 1 << 1,
	POLICY_ADMIN = 1 << 2,
	POLICY_ALL = POLICY_READ | POLICY_USE | POLICY_ADMIN,
};

struct policy {
	uid_t self;
	gid_t gid; /* (gid_t)-1: there is no such group */
	char group[POLICY_GROUP_MAX + 1];
};

/*
 * Looks the group up, which may take as long as the host's directory service
 * does: at start and at reload, never in between. NULL or "": no group. One that
 * does not exist is no error: it is said, and nobody is in it.
 */
void policy_init(struct policy *policy, const char *group);

/* The classes that this caller may use, or 0. */
unsigned policy_classes(const struct policy *policy, const struct peercred *peer);

/* Whether the connection limits are not for this one: who mends things must get in. */
bool policy_is_master(const struct policy *policy, uid_t uid);

const char *policy_class_name(enum policy_class class);

/* Says who may not do what, and what would help. */
int policy_refuse(const struct policy *policy, uid_t uid, unsigned classes, const char *method,
		  struct error *err);
