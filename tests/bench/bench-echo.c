/* SPDX-License-Identifier: MIT */
/*
 * As little as a server can do: for each newline that comes, an answer that is
 * always the same. What it takes is what sockets and the scheduler take.
 *
 *     bench-echo -1 SOCKET FILE     one client after the other, blocking in recv()
 *     bench-echo -e SOCKET FILE     many at once, on epoll
 *
 * FILE is the answer, byte for byte.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"

#define ANSWER_MAX 65536
#define COPIES_BYTES (4 * ANSWER_MAX) /* of the answer, for one send() */
#define EVENTS_MAX 64

static char answers[COPIES_BYTES];
static size_t answer_len, n_copies;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1024) < 0)
		die(path);
	return fd;
}

static void read_answer(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, answers, ANSWER_MAX);

	if (n <= 0)
		die(path);
	(void)close(fd);
	answer_len = (size_t)n;
	n_copies = sizeof(answers) / answer_len;
	for (size_t i = 1; i < n_copies; i++)
		memcpy(answers + i * answer_len, answers, answer_len);
}

static size_t count_newlines(const char *at, size_t len)
{
	const char *end = at + len;
	size_t n = 0;

	for (; (at = memchr(at, '\n', (size_t)(end - at))); at++)
		n++;
	return n;
}

/* Whether the client is still there. */
static bool serve(int fd)
{
	static char bytes[65536];
	ssize_t len = recv(fd, bytes, sizeof(bytes), 0);
	size_t n;

	if (len <= 0)
		return false;

	for (n = count_newlines(bytes, (size_t)len); n; n -= MIN(n, n_copies)) {
		size_t now = MIN(n, n_copies) * answer_len;

		if (send(fd, answers, now, MSG_NOSIGNAL) != (ssize_t)now)
			return false;
	}
	return true;
}

static _Noreturn void serve_one_by_one(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		while (serve(fd))
			;
		(void)close(fd);
	}
}

/* Its clients read what they get, so that sending may block. */
static _Noreturn void serve_many(int listener)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	struct epoll_event events[EVENTS_MAX];

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		die("epoll_ctl");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				(void)epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
			} else if (!serve(fd)) {
				(void)close(fd);
			}
		}
	}
}

int main(int argc, char *argv[])
{
	bool many = argc == 4 && strcmp(argv[1], "-e") == 0;
	int listener;

	if (argc != 4 || (!many && strcmp(argv[1], "-1") != 0)) {
		(void)fprintf(stderr, "usage: bench-echo -1|-e SOCKET FILE\n");
		return 64;
	}

	read_answer(argv[3]);
	listener = listen_at(argv[2]);
	if (many)
		serve_many(listener);
	serve_one_by_one(listener);
}
