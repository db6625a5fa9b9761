/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Listening Unix sockets: those that systemd passed, or ones we bind.
 *
 * A socket file that is in the way is replaced only when nobody answers behind
 * it and we hold its lock (PATH.lock): two daemons cannot take each other's
 * place. Anything else that is in the way stays, and is an error. A spare
 * descriptor is kept, so that running out of them neither spins nor leaves
 * clients waiting: the connection is accepted and closed, and accepting rests
 * until some may be free again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "io/loop.h"

#define LISTEN_PATH_MAX 107 /* bytes: what the kernel's sockaddr_un holds beside a NUL */

struct listener;

/* fd is non-blocking, close-on-exec, and the callback's to close. May end the listener. */
typedef void (*listener_fn)(struct listener *listener, int fd);

struct listener {
	struct loop *loop; /* borrowed */
	int fd, lock_fd, spare_fd;
	struct ev_io acceptable;
	struct timer rest; /* after running out of descriptors */
	char *path;        /* owned; NULL when systemd passed it */
	dev_t dev;         /* of the file that we made, to remove no other */
	ino_t ino;
	bool paused;
	bool *ended;        /* set by listener_fini(), for whoever is calling back; or NULL */
	int64_t told_ms;    /* when starvation was last logged, or 0 */
	uint64_t n_starved; /* connections closed for want of a descriptor */
	listener_fn on_accept;
};

/*
 * Binds path with mode 0660 from birth, of the given group ((gid_t)-1: ours).
 * ERROR_CONFLICT when another daemon answers there. The umask is changed for
 * the moment of binding: no other thread may be creating files.
 */
int listener_bind(struct listener *listener, struct loop *loop, const char *path, gid_t gid,
		  listener_fn on_accept, struct error *err);
/* Takes a listening fd, which on failure stays the caller's. */
int listener_adopt(struct listener *listener, struct loop *loop, int fd, listener_fn on_accept,
		   struct error *err);
void listener_fini(struct listener *listener); /* removes the file that we made */

void listener_pause(struct listener *listener, bool paused);

/* What systemd passed; at most max AF_UNIX stream sockets, in order. Clears LISTEN_*. */
int listen_fds_from_systemd(int fds[], size_t max, size_t *ret_n, struct error *err);
