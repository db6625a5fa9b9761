/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: taking a path without taking it from anybody, and
 * accepting without ever spinning.
 */

#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"

#define ACCEPT_BATCH 16 /* connections a turn: others want one too */
#define BACKLOG 4096    /* net.core.somaxconn caps it */
#define REST_MS 100     /* how late a client may be served after descriptors are free again */
#define SHED_BATCH 256  /* sending off is cheap */
#define TELL_MS 60000   /* one line a minute says it all */
#define LOCK_TRIES 16   /* each loses against another daemon that just stops: never so often */

#define LOCK_NAME_SIZE (LISTEN_PATH_MAX + sizeof(".lock"))

static int open_spare(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

static void listener_rest(struct listener *listener)
{
	ev_io_stop(listener->loop->ev, &listener->acceptable);
	timer_start(&listener->rest, REST_MS);
}

static void listener_on_rested(struct timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, rest);

	if (listener->spare_fd < 0)
		listener->spare_fd = open_spare();
	if (!listener->paused)
		ev_io_start(listener->loop->ev, &listener->acceptable);
}

static void listener_tell_starved(struct listener *listener)
{
	int64_t now_ms = loop_now_ms(listener->loop);

	if (listener->told_ms && now_ms - listener->told_ms < TELL_MS)
		return;

	listener->told_ms = now_ms;
	log_warning("out of file descriptors: closing connections as they come");
}

/*
 * Those who wait are let in by way of the spare descriptor and sent off, so
 * that they know. The kernel wants a free descriptor even to tell that nobody
 * waits: then nothing is wrong yet.
 */
static void listener_shed(struct listener *listener)
{
	uint64_t before = listener->n_starved;

	fd_close_auto(&listener->spare_fd);
	for (int i = 0; i < SHED_BATCH; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		(void)close(fd);
		listener->n_starved++;
	}
	listener->spare_fd = open_spare();

	if (listener->n_starved > before || listener->spare_fd < 0) {
		listener_tell_starved(listener);
		listener_rest(listener);
	}
}

/* Returns whether another one may be waiting. The listener may be gone then. */
static bool listener_accept(struct listener *listener)
{
	int fd;

	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		listener->on_accept(listener, fd);
		return true;
	}

	switch (errno) {
	case EAGAIN:
		return false;
	case ECONNABORTED: /* gave up while it waited */
	case EINTR:
		return true;
	case EMFILE:
	case ENFILE:
		listener_shed(listener);
		return false;
	default:
		log_warning("cannot accept a connection: %m");
		listener_rest(listener);
		return false;
	}
}

static void listener_on_acceptable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct listener *listener = container_of(io, struct listener, acceptable);
	bool ended = false;

	listener->ended = &ended;
	for (int i = 0; i < ACCEPT_BATCH; i++)
		if (!listener_accept(listener) || ended || !ev_is_active(io))
			break;

	if (!ended)
		listener->ended = NULL;
}

static void listener_init(struct listener *listener, struct loop *loop, listener_fn on_accept)
{
	*listener = (struct listener){
		.loop = loop,
		.fd = -1,
		.lock_fd = -1,
		.spare_fd = -1,
		.on_accept = on_accept,
	};
	ev_io_init(&listener->acceptable, listener_on_acceptable, -1, EV_READ);
	timer_init(&listener->rest, loop, listener_on_rested);
}

static void lock_name(char name[static LOCK_NAME_SIZE], const char *path)
{
	(void)snprintf(name, LOCK_NAME_SIZE, "%s.lock", path);
}

/*
 * Holding the lock of a file that was unlinked meanwhile is holding nothing:
 * whoever stops removes it while it still has the lock.
 */
static bool lock_is_in_place(int fd, const char *name)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && lstat(name, &there) == 0 && held.st_dev == there.st_dev &&
	       held.st_ino == there.st_ino;
}

static int lock_take_once(const char *name, const char *path, int *ret_fd, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;
	int r;

	fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, ERROR_CONFIG, ENOENT,
				 "cannot listen on %s: its directory does not exist", path);
	if (fd < 0)
		return error_set(err, ERROR_CONFIG, errno, "cannot open lock %s: %m", name);

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_CONFIG, EEXIST, "lock %s is not a regular file", name);

	r = flock(fd, LOCK_EX | LOCK_NB);
	if (r < 0 && errno == EWOULDBLOCK)
		return error_set(err, ERROR_CONFLICT, EADDRINUSE,
				 "another daemon holds %s: it listens on %s", name, path);
	if (r < 0)
		return error_set(err, ERROR_CONFIG, errno, "cannot lock %s: %m", name);

	if (!lock_is_in_place(fd, name))
		return -EAGAIN;

	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int lock_take(const char *path, int *ret_fd, struct error *err)
{
	char name[LOCK_NAME_SIZE];
	int r;

	lock_name(name, path);
	for (int i = 0; i < LOCK_TRIES; i++) {
		r = lock_take_once(name, path, ret_fd, err);
		if (r != -EAGAIN)
			return r;
	}

	return error_set(err, ERROR_CONFLICT, EAGAIN, "cannot hold lock %s: it keeps vanishing",
			 name);
}

static const char *file_type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "regular file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symbolic link";
	case S_IFIFO:
		return "FIFO";
	default:
		return "device";
	}
}

/* 0 when nobody answers at the socket file, -errno otherwise. */
static int probe_is_dead(const struct sockaddr_un *address, struct error *err)
{
	AUTO(fd_close) int fd = -1;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot create a socket: %m");

	/* A full backlog (EAGAIN) is an answer too: of somebody busy. */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return error_set(err, ERROR_CONFLICT, EADDRINUSE, "another daemon answers on %s",
				 address->sun_path);

	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;

	return error_set(err, ERROR_CONFLICT, errno, "cannot tell who listens on %s: %m",
			 address->sun_path);
}

/* Removes the socket that a daemon left behind which was killed, and nothing else. */
static int clear_the_way(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int r;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, ERROR_CONFIG, errno, "cannot look at %s: %m", path);
	}

	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_CONFIG, EEXIST,
				 "cannot listen on %s: a %s is there, which is left alone", path,
				 file_type_name(st.st_mode));

	r = probe_is_dead(address, err);
	if (r < 0)
		return r;

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, ERROR_CONFIG, errno, "cannot remove stale socket %s: %m",
				 path);

	log_info("replacing stale socket %s", path);
	return 0;
}

/* Group and identity are taken from the very file that was made, however the path may change. */
static int claim_file(struct listener *listener, gid_t gid, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	struct stat st;

	fd = open(listener->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_CONFIG, errno, "cannot look at new socket %s: %m",
				 listener->path);

	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return error_set(err, ERROR_CONFLICT, EEXIST, "somebody replaced new socket %s",
				 listener->path);

	listener->dev = st.st_dev;
	listener->ino = st.st_ino;

	if (gid != (gid_t)-1 && gid != st.st_gid &&
	    fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0)
		return error_set(err, ERROR_CONFIG, errno, "cannot give %s to group %u: %m",
				 listener->path, (unsigned)gid);

	return 0;
}

/* Nobody can connect before listen(): by then the file is what it shall be. */
static int open_at(struct listener *listener, const struct sockaddr_un *address, gid_t gid,
		   struct error *err)
{
	mode_t umask_before;
	int r, errnum;

	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot create a socket: %m");

	umask_before = umask(0117);
	r = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address));
	errnum = errno;
	(void)umask(umask_before);
	if (r < 0)
		return error_set(err, errnum == EADDRINUSE ? ERROR_CONFLICT : ERROR_CONFIG, errnum,
				 "cannot bind %s: %m", address->sun_path);

	r = claim_file(listener, gid, err);
	if (r < 0)
		return r;

	if (listen(listener->fd, BACKLOG) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot listen on %s: %m",
				 listener->path);

	return 0;
}

static int fill_address(struct sockaddr_un *address, const char *path, struct error *err)
{
	size_t len = strlen(path);

	if (len == 0)
		return error_set(err, ERROR_CONFIG, EINVAL, "the path to listen on is empty");

	if (len > LISTEN_PATH_MAX)
		return error_set(
			err, ERROR_CONFIG, ENAMETOOLONG,
			"a socket path of %zu bytes is too long (the kernel allows %d): %s", len,
			LISTEN_PATH_MAX, path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, len);
	return 0;
}

static void listener_begin(struct listener *listener)
{
	listener->spare_fd = open_spare();
	ev_io_set(&listener->acceptable, listener->fd, EV_READ);
	ev_io_start(listener->loop->ev, &listener->acceptable);
}

int listener_bind(struct listener *listener, struct loop *loop, const char *path, gid_t gid,
		  listener_fn on_accept, struct error *err)
{
	struct sockaddr_un address;
	int r;

	listener_init(listener, loop, on_accept);

	r = fill_address(&address, path, err);
	if (r < 0)
		return r;

	listener->path = strdup(path);
	if (!listener->path)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a listener");

	r = lock_take(path, &listener->lock_fd, err);
	if (r >= 0)
		r = clear_the_way(&address, err);
	if (r >= 0)
		r = open_at(listener, &address, gid, err);
	if (r < 0) {
		listener_fini(listener);
		return r;
	}

	listener_begin(listener);
	return 0;
}

static int check_listens(int fd, struct error *err)
{
	int listens = 0;
	socklen_t len = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return error_set(err, ERROR_CONFIG, errno, "cannot use descriptor %d: %m", fd);

	if (!listens)
		return error_set(err, ERROR_CONFIG, EINVAL,
				 "descriptor %d is not a listening socket", fd);

	return 0;
}

int listener_adopt(struct listener *listener, struct loop *loop, int fd, listener_fn on_accept,
		   struct error *err)
{
	int r;

	listener_init(listener, loop, on_accept);

	r = check_listens(fd, err);
	if (r < 0)
		return r;

	r = fd_set_nonblocking(fd);
	if (r < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, r < 0 ? -r : errno,
				 "cannot make descriptor %d non-blocking: %m", fd);

	listener->fd = fd;
	listener_begin(listener);
	return 0;
}

static void remove_own_files(const struct listener *listener)
{
	char name[LOCK_NAME_SIZE];
	struct stat st;

	if (!listener->path)
		return;

	if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		(void)unlink(listener->path);

	/* Last, and while it is held: see lock_is_in_place(). */
	if (listener->lock_fd >= 0) {
		lock_name(name, listener->path);
		(void)unlink(name);
	}
}

void listener_fini(struct listener *listener)
{
	if (!listener || !listener->loop)
		return;

	if (listener->ended)
		*listener->ended = true;
	ev_io_stop(listener->loop->ev, &listener->acceptable);
	timer_stop(&listener->rest);
	remove_own_files(listener);
	free(TAKE(listener->path));
	fd_close_auto(&listener->fd);
	fd_close_auto(&listener->spare_fd);
	fd_close_auto(&listener->lock_fd);
	*listener = (struct listener){ .fd = -1, .lock_fd = -1, .spare_fd = -1 };
}

void listener_pause(struct listener *listener, bool paused)
{
	listener->paused = paused;
	if (paused)
		ev_io_stop(listener->loop->ev, &listener->acceptable);
	else if (!timer_is_running(&listener->rest))
		ev_io_start(listener->loop->ev, &listener->acceptable);
}

int listen_fds_from_systemd(int fds[], size_t max, size_t *ret_n, struct error *err)
{
	int n;

	n = sd_listen_fds(1);
	if (n < 0)
		return error_set(err, ERROR_CONFIG, -n, "cannot take the sockets of systemd: %m");

	if ((size_t)n > max)
		return error_set(err, ERROR_CONFIG, E2BIG,
				 "systemd passed %d sockets, which is more than %zu", n, max);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0)
			return error_set(err, ERROR_CONFIG, EINVAL,
					 "descriptor %d of systemd is not a listening Unix stream "
					 "socket",
					 fd);
		fds[i] = fd;
	}

	*ret_n = (size_t)n;
	return 0;
}
