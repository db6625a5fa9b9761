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
	pid_t pid;     /* 0: in a pid namespace that we cannot see into */
	int fd;        /* borrowed: the socket, to ask the kernel for a pidfd when needed */
	gid_t *groups; /* owned; supplementary ones */
	size_t n_groups;
};

int peercred_get(int fd, struct peercred *ret);
void peercred_fini(struct peercred *peer);

bool peercred_in_group(const struct peercred *peer, gid_t gid);

/*
 * The systemd unit, for a log line: "cron.service", or "-" when there is none or
 * the process has gone; returns dst. Reads /proc, and needs the socket still open.
 */
char *peercred_unit(const struct peercred *peer, char *dst, size_t dst_size);
