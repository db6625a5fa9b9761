/* SPDX-License-Identifier: MIT */
/*
 * Peer credentials, from the kernel alone.
 *
 * No pidfd is kept: it would cost each connection a second descriptor. The
 * kernel gives one for the process that connected as long as the socket lives.
 */

#include "io/peercred.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <systemd/sd-login.h>

#include "base/error.h"
#include "base/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, which the C library's headers may not know */
#endif

#define GROUPS_FIRST 32 /* enough for nearly everybody in one call */

static int peercred_get_groups(int fd, struct peercred *peer)
{
	AUTO(free) gid_t *groups = NULL;
	socklen_t len = GROUPS_FIRST * sizeof(*groups);
	gid_t *larger;

	/* They were recorded at connect() and cannot change between two tries. */
	for (int tries = 0; tries < 2; tries++) {
		larger = realloc(groups, MAX(len, (socklen_t)1));
		if (!larger)
			return -ENOMEM;

		groups = larger;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
			peer->n_groups = len / sizeof(*groups);
			peer->groups = TAKE(groups);
			return 0;
		}

		if (errno != ERANGE)
			return -errno;
	}

	return -ERANGE;
}

int peercred_get(int fd, struct peercred *ret)
{
	struct peercred peer = { .fd = fd };
	struct ucred ucred;
	socklen_t len = sizeof(ucred);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len) < 0)
		return -errno;

	/* What is no connected Unix socket has nobody's uid. A pid of 0 is one we cannot see. */
	if (len != sizeof(ucred) || ucred.uid == (uid_t)-1)
		return -ENOTCONN;

	peer.uid = ucred.uid;
	peer.gid = ucred.gid;
	peer.pid = ucred.pid;
	r = peercred_get_groups(fd, &peer);
	if (r < 0)
		return r;

	*ret = peer;
	return 0;
}

void peercred_fini(struct peercred *peer)
{
	if (!peer)
		return;

	free(TAKE(peer->groups));
	peer->n_groups = 0;
}

bool peercred_in_group(const struct peercred *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;

	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;

	return false;
}

/* False only when it is certain: an old kernel cannot tell. */
static bool peercred_may_live(const struct peercred *peer)
{
	AUTO(fd_close) int pidfd = -1;
	struct pollfd pollfd = { .events = POLLIN };
	socklen_t len = sizeof(pidfd);

	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0) {
		pidfd = -1;
		return errno == ENOPROTOOPT || errno == EMFILE || errno == ENFILE;
	}

	/* A pidfd becomes readable when its process ends. */
	pollfd.fd = pidfd;
	return poll(&pollfd, 1, 0) == 0;
}

char *peercred_unit(const struct peercred *peer, char *dst, size_t dst_size)
{
	AUTO(free) char *unit = NULL;

	/* To libsystemd, a pid of 0 means ourselves. A user's unit says more than user@1000. */
	if (peer->pid > 0 && sd_pid_get_user_unit(peer->pid, &unit) < 0)
		(void)sd_pid_get_unit(peer->pid, &unit);

	/* Asked afterwards: while the process lives, nobody else can have its pid. */
	if (unit && peercred_may_live(peer))
		return error_quote(dst, dst_size, unit, strlen(unit));

	return error_quote(dst, dst_size, "-", 1);
}
