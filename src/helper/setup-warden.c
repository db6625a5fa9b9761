/* SPDX-License-Identifier: MIT */
/*
 * What is meant is opened first, as the one who asks would see it, and looked at by
 * its descriptor: whatever happens to its name meanwhile, that is what is changed.
 */

#include "helper/setup-warden.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Later than the oldest libraries that we build with; the same number everywhere. */
#define NR_FCHMODAT2 452

#define SET_ID (S_ISUID | S_ISGID) /* never: the filter refuses those by itself */
#define PAGE 4096

struct change {
	pid_t pid; /* who asks; a thread's number will do */
	int dirfd; /* of his */
	uint64_t path;
	mode_t mode;
	int flags;
};

static const int forking[] = {
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
};

int setup_warden_add_rules(scmp_filter_ctx filter)
{
	static const struct {
		int syscall;
		unsigned mode; /* which argument it is */
	} calls[] = {
		{ SCMP_SYS(chmod), 1 },
		{ SCMP_SYS(fchmod), 1 },
		{ SCMP_SYS(fchmodat), 2 },
		{ NR_FCHMODAT2, 2 },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(calls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, calls[i].syscall, 1,
				     SCMP_CMP(calls[i].mode, SCMP_CMP_MASKED_EQ, SET_ID, 0));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(forking); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, forking[i], 0);
	return r;
}

/* --- handing over --- */

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int setup_warden_send(int socket, scmp_filter_ctx filter, struct error *err)
{
	union control control = { 0 };
	struct iovec byte = { .iov_base = (char[1]){ 0 }, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd = seccomp_notify_fd(filter);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (fd < 0 || sendmsg(socket, &message, 0) < 0)
		return error_set(err, ERROR_INTERNAL, fd < 0 ? EBADF : errno,
				 "cannot watch over setup.sh: %m");
	return 0;
}

int setup_warden_receive(struct setup_warden *warden, int socket, struct error *err)
{
	union control control = { 0 };
	struct iovec byte = { .iov_base = (char[1]){ 0 }, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t len;

	do
		len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len == 0)
		return 0;

	header = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "cannot watch over setup.sh: %m");

	memcpy(&warden->fd, CMSG_DATA(header), sizeof(warden->fd));
	if (seccomp_notify_alloc(&warden->question, &warden->reply) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot watch over setup.sh: %m");
	return 0;
}

void setup_warden_fini(struct setup_warden *warden)
{
	fd_close_auto(&warden->fd);
	warden->fd = -1;
	seccomp_notify_free(warden->question, warden->reply);
	warden->question = NULL;
	warden->reply = NULL;
}

/* --- answering --- */

/* A text in the memory of whoever asks. */
static int read_path(const struct change *change, char path[static PATH_MAX])
{
	AUTO(fd_close) int memory = -1;
	char name[32];
	size_t len = 0;

	(void)snprintf(name, sizeof(name), "/proc/%d/mem", (int)change->pid);
	memory = open(name, O_RDONLY | O_CLOEXEC);
	if (memory < 0)
		return -EPERM;

	/* No further than to the end of a page: what is behind that may not be there. */
	while (len < PATH_MAX) {
		uint64_t at = change->path + len;
		size_t part = MIN(PATH_MAX - len, (size_t)(PAGE - at % PAGE));
		ssize_t n = pread(memory, path + len, part, (off_t)at);

		if (n <= 0)
			return -EFAULT;
		if (memchr(path + len, '\0', (size_t)n))
			return 0;
		len += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* What he calls /proc/self is not our own. */
static const char *of_his(const struct change *change, const char *path,
			  char dst[static PATH_MAX + 32])
{
	static const char *const own[] = { "/proc/self/", "/proc/thread-self/" };

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strncmp(path, own[i], strlen(own[i])) == 0) {
			(void)snprintf(dst, PATH_MAX + 32, "/proc/%d/%s", (int)change->pid,
				       path + strlen(own[i]));
			return dst;
		}

	return path;
}

/* A descriptor that stands for what is meant, and allows nothing. */
static int open_target(const struct change *change)
{
	int follow = change->flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
	char path[PATH_MAX] = "", his[PATH_MAX + 32], base[48];
	AUTO(fd_close) int dirfd = -1;
	int fd, r = 0;

	if (change->path)
		r = read_path(change, path);
	if (r < 0)
		return r;
	if (!path[0] && !(change->flags & AT_EMPTY_PATH))
		return -ENOENT;

	if (change->dirfd == AT_FDCWD)
		(void)snprintf(base, sizeof(base), "/proc/%d/cwd", (int)change->pid);
	else
		(void)snprintf(base, sizeof(base), "/proc/%d/fd/%d", (int)change->pid,
			       change->dirfd);
	dirfd = path[0] == '/' ? -1 : open(base, O_PATH | O_CLOEXEC);
	if (path[0] != '/' && dirfd < 0)
		return -EBADF;
	if (!path[0]) {
		fd = dirfd;
		dirfd = -1;
		return fd;
	}

	fd = openat(dirfd, of_his(change, path, his), O_PATH | O_CLOEXEC | follow);
	return fd < 0 ? -errno : fd;
}

static bool is_below(const char *path, const char *place)
{
	size_t len = strlen(place);

	return strncmp(path, place, len) == 0 && (path[len] == '/' || !path[len]);
}

static int change_mode(const struct setup_warden *warden, const struct change *change)
{
	AUTO(fd_close) int fd = open_target(change);
	char name[32], path[PATH_MAX];
	struct stat st;
	ssize_t len;

	if (fd < 0)
		return fd;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, path, sizeof(path) - 1);
	if (len < 0)
		return -EPERM;

	path[len] = '\0';
	if ((!is_below(path, warden->places[0]) && !is_below(path, warden->places[1])) ||
	    fstat(fd, &st) < 0 || st.st_uid != geteuid())
		return -EPERM;
	/* It may not be his who asked any more. */
	if (seccomp_notify_id_valid(warden->fd, warden->question->id) < 0)
		return -ESRCH;
	return chmod(name, change->mode) < 0 ? -errno : 0;
}

static bool forks(const struct setup_warden *warden)
{
	for (size_t i = 0; i < ARRAY_LEN(forking); i++)
		if (warden->question->data.nr == forking[i])
			return true;

	return false;
}

static int answer(const struct setup_warden *warden)
{
	const struct seccomp_data *data = &warden->question->data;
	struct change change = { .pid = (pid_t)warden->question->pid, .dirfd = AT_FDCWD };

	if (data->nr == SCMP_SYS(fchmod)) {
		change.dirfd = (int)data->args[0];
		change.mode = (mode_t)data->args[1];
		change.flags = AT_EMPTY_PATH;
	} else if (data->nr == SCMP_SYS(chmod)) {
		change.path = data->args[0];
		change.mode = (mode_t)data->args[1];
	} else {
		change.dirfd = (int)data->args[0];
		change.path = data->args[1];
		change.mode = (mode_t)data->args[2];
		change.flags = data->nr == NR_FCHMODAT2 ? (int)data->args[3] : 0;
	}
	if (change.mode & SET_ID)
		return -EPERM;

	return change_mode(warden, &change);
}

bool setup_warden_answer(struct setup_warden *warden)
{
	memset(warden->question, 0, sizeof(*warden->question));
	/* Who has asked may be dead by now; it is no question any more then. */
	if (seccomp_notify_receive(warden->fd, warden->question) < 0)
		return errno == EINTR || errno == ENOENT;

	*warden->reply = (struct seccomp_notif_resp){ .id = warden->question->id };
	if (forks(warden))
		warden->reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		warden->reply->error = answer(warden);
	(void)seccomp_notify_respond(warden->fd, warden->reply);
	return true;
}
