/* SPDX-License-Identifier: MIT */
#include "helper/flusher.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "helper/child.h"
#include "helper/sandbox.h"

#define WAKE_FD 0
#define DIRECTORY_FD 3

/*
 * The directory anew, in the place of the keeper's. The kernel tells an error of
 * the disk once to each file that is open: through the keeper's it would come to
 * the flusher, and the keeper's own syncfs() would be content.
 */
static int open_anew(void)
{
	int fd = openat(DIRECTORY_FD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;

	r = dup2(fd, DIRECTORY_FD);
	(void)close(fd);
	return r;
}

/* Wakes that came while it was busy are one. */
static int run(void)
{
	char wakes[256];
	ssize_t n;

	if (open_anew() < 0 || sandbox_flusher(WAKE_FD, DIRECTORY_FD, NULL) < 0)
		return 1;

	for (;;) {
		n = read(WAKE_FD, wakes, sizeof(wakes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		(void)syncfs(DIRECTORY_FD);
	}
}

void flusher_start(struct flusher *flusher, int directory)
{
	int wake[2];

	assert(directory == DIRECTORY_FD);
	*flusher = (struct flusher){ .wake = -1 };
	if (pipe2(wake, O_CLOEXEC) < 0)
		return;

	flusher->pid = child_fork(wake[0], -1, DIRECTORY_FD + 1);
	if (flusher->pid == 0)
		_exit(run());

	(void)close(wake[0]);
	if (flusher->pid < 0 || fd_set_nonblocking(wake[1]) < 0) {
		(void)close(wake[1]);
		flusher->pid = MAX(flusher->pid, 0);
		return;
	}
	flusher->wake = wake[1];
}

void flusher_tell(struct flusher *flusher, uint64_t n_bytes)
{
	if (flusher->wake < 0 || n_bytes - flusher->flushed < FLUSHER_BYTES)
		return;

	flusher->flushed = n_bytes;
	(void)!write(flusher->wake, "", 1);
}

void flusher_stop(struct flusher *flusher)
{
	if (flusher->wake >= 0)
		(void)close(flusher->wake);
	child_end(flusher->pid);
	*flusher = (struct flusher){ .wake = -1 };
}
