/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who is at the other end of a Unix socket, as the kernel recorded it at
 * connect(). A pid may have been used again since: it is for logs, never for a
 * decision.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peercred {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int pidfd;     /* owned; -1 when the kernel has none (before 6.5) */
	gid_t *groups; /* owned; supplementary ones */
	size_t n_groups;
};

int peercred_get(int fd, struct peercred *ret);
void peercred_fini(struct peercred *peer);

bool peercred_in_group(const struct peercred *peer, gid_t gid);

/* The systemd unit, for a log line: "cron.service", or "-"; returns dst. Reads /proc. */
char *peercred_unit(const struct peercred *peer, char *dst, size_t dst_size);
