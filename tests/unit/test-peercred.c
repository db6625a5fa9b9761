/* SPDX-License-Identifier: MIT */
#include "io/peercred.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

#define MANY_GROUPS 500

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int listening = -1;
static const char *unit, *user_unit; /* what libsystemd would find, were systemd here */

static int find_unit(const char *name, char **ret)
{
	if (!name)
		return -ENODATA;

	*ret = strdup(name);
	return 0;
}

int find_system_unit(pid_t pid, char **ret) __asm__("sd_pid_get_unit");
int find_user_unit(pid_t pid, char **ret) __asm__("sd_pid_get_user_unit");

int find_system_unit(pid_t pid, char **ret)
{
	return find_unit(unit, ret);
}

int find_user_unit(pid_t pid, char **ret)
{
	return find_unit(user_unit, ret);
}

static void start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "s" };

	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(listen(listening, 8), 0);
}

/* A client in a process of its own, which lives until told; returns our end. */
static int start_client(void (*become)(void), pid_t *ret_pid, int *ret_leash)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "s" };
	int fd, leash[2];
	char byte;

	CHECK_INT(pipe2(leash, O_CLOEXEC), 0);
	*ret_pid = fork();
	CHECK(*ret_pid >= 0);
	if (*ret_pid == 0) {
		(void)close(leash[1]);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (become)
			become();
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
			_exit(1);
		_exit(read(leash[0], &byte, 1) < 0);
	}

	(void)close(leash[0]);
	*ret_leash = leash[1];
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void end_client(pid_t pid, int leash)
{
	int status;

	(void)close(leash);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

TEST(a_peer_is_who_the_kernel_says)
{
	struct peercred peer;
	int leash, fd;
	pid_t pid;

	start();
	fd = start_client(NULL, &pid, &leash);
	CHECK_INT(peercred_get(fd, &peer), 0);
	CHECK_INT(peer.uid, getuid());
	CHECK_INT(peer.gid, getgid());
	CHECK_INT(peer.pid, pid);
	CHECK_INT(peer.n_groups, getgroups(0, NULL));
	CHECK(peercred_in_group(&peer, getgid()));
	CHECK(!peercred_in_group(&peer, 999999));
	peercred_fini(&peer);
	CHECK(!peer.groups);
	peercred_fini(&peer);
	peercred_fini(NULL);
	end_client(pid, leash);
}

static gid_t groups[MANY_GROUPS];

static void become_member_of_many(void)
{
	for (size_t i = 0; i < MANY_GROUPS; i++)
		groups[i] = (gid_t)(1000 + i);
	if (setgroups(MANY_GROUPS, groups) < 0 || setresgid(70, 70, 70) < 0 ||
	    setresuid(71, 71, 71) < 0)
		_exit(1);
}

TEST(another_user_with_many_groups_is_seen_whole)
{
	struct peercred peer;
	int leash, fd;
	pid_t pid;

	if (geteuid() != 0)
		test_skip("only root can become somebody else");

	start();
	CHECK_INT(chmod(".", 0755), 0);
	CHECK_INT(chmod("s", 0666), 0);
	fd = start_client(become_member_of_many, &pid, &leash);
	CHECK_INT(peercred_get(fd, &peer), 0);
	CHECK_INT(peer.uid, 71);
	CHECK_INT(peer.gid, 70);
	CHECK_INT(peer.n_groups, MANY_GROUPS);
	CHECK(peercred_in_group(&peer, 70));
	CHECK(peercred_in_group(&peer, 1000));
	CHECK(peercred_in_group(&peer, 1000 + MANY_GROUPS - 1));
	CHECK(!peercred_in_group(&peer, 0));
	peercred_fini(&peer);
	end_client(pid, leash);
}

TEST(it_costs_no_descriptor)
{
	struct peercred peer;
	int leash, fd, next;
	pid_t pid;
	char text[64];

	unit = "agent.service";
	start();
	fd = start_client(NULL, &pid, &leash);
	next = dup(0);
	(void)close(next);
	CHECK_INT(peercred_get(fd, &peer), 0);
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "agent.service");
	CHECK_INT(dup(0), next);
	peercred_fini(&peer);
	end_client(pid, leash);
}

TEST(what_is_no_unix_socket_has_no_peer)
{
	struct peercred peer = { .uid = 4711 };
	int fds[2];

	CHECK(pipe(fds) == 0);
	CHECK_INT(peercred_get(fds[0], &peer), -ENOTSOCK);
	CHECK_INT(peercred_get(-1, &peer), -EBADF);
	start();
	CHECK(peercred_get(socket(AF_UNIX, SOCK_STREAM, 0), &peer) < 0);
	CHECK(peercred_get(socket(AF_INET, SOCK_STREAM, 0), &peer) < 0);
	CHECK_INT(peer.uid, 4711); /* only success writes */
}

TEST(the_unit_of_the_user_says_most_and_a_dash_says_there_is_none)
{
	struct peercred peer;
	char text[64], tiny[8];
	int leash, fd;
	pid_t pid;

	start();
	fd = start_client(NULL, &pid, &leash);
	CHECK_INT(peercred_get(fd, &peer), 0);
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "-");
	unit = "user@1000.service";
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "user@1000.service");
	user_unit = "agent.service";
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "agent.service");
	CHECK_TEXT(peercred_unit(&peer, tiny, sizeof(tiny)), "agen...");
	peercred_fini(&peer);
	end_client(pid, leash);
}

TEST(a_pid_that_may_be_somebody_elses_by_now_has_no_unit)
{
	struct peercred peer;
	int leash, fd, pidfd;
	socklen_t len = sizeof(pidfd);
	char text[64];
	pid_t pid;

	start();
	fd = start_client(NULL, &pid, &leash);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		test_skip("this kernel has no pidfd of a peer");

	CHECK_INT(peercred_get(fd, &peer), 0);
	end_client(pid, leash);
	unit = "other.service";
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "-");
	peercred_fini(&peer);
}

TEST(a_pid_we_cannot_see_is_not_taken_for_ours)
{
	struct peercred peer = { .fd = -1, .pid = 0 };
	char text[64];

	unit = "our-own.service";
	CHECK_TEXT(peercred_unit(&peer, text, sizeof(text)), "-");
}
