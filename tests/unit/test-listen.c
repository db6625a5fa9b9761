/* SPDX-License-Identifier: MIT */
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

#define CLIENTS_MAX 64

static struct loop loop;
static struct listener *listener;
static struct error err;
static int accepted[CLIENTS_MAX];
static int n_accepted;
static mode_t mode_at_birth;

/* Looks at the file before anybody else can have done anything to it. */
int watch_bind(int fd, const struct sockaddr *address, socklen_t len) __asm__("bind");

int watch_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_un un = { 0 };
	struct stat st;
	int r;

	r = (int)syscall(SYS_bind, fd, address, len);
	memcpy(&un, address, len);
	if (r == 0 && stat(un.sun_path, &st) == 0)
		mode_at_birth = st.st_mode & ALLPERMS;
	return r;
}

static void on_accept(struct listener *from, int fd)
{
	CHECK(n_accepted < CLIENTS_MAX);
	accepted[n_accepted++] = fd;
}

static void start(void)
{
	CHECK_INT(loop_init(&loop), 0);
	listener = malloc(sizeof(*listener));
	CHECK(listener);
}

static void stop(void)
{
	listener_fini(listener);
	free(listener);
	loop_fini(&loop);
	while (n_accepted)
		(void)close(accepted[--n_accepted]);
}

static int bind_at(const char *path)
{
	return listener_bind(listener, &loop, path, (gid_t)-1, on_accept, &err);
}

static void start_at(const char *path)
{
	start();
	CHECK_INT(bind_at(path), 0);
}

static void turn(void)
{
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int new_client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	return fd;
}

static int connect_to(int client, const char *path)
{
	struct sockaddr_un address = address_of(path);

	return connect(client, (const struct sockaddr *)&address, sizeof(address));
}

/* A socket file as any other program makes it. */
static int foreign_socket(const char *path, int type)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

TEST(the_file_is_for_owner_and_group_from_birth_under_any_umask)
{
	const mode_t masks[] = { 0, 022, 077 };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		(void)umask(masks[i]);
		start_at("s");
		CHECK_INT(mode_at_birth, 0660);
		CHECK(stat("s", &st) == 0 && S_ISSOCK(st.st_mode));
		CHECK_INT(st.st_mode & ALLPERMS, 0660);
		CHECK_INT(umask(0), masks[i]);
		stop();
	}
}

TEST(the_file_belongs_to_the_group_that_was_given)
{
	struct stat st;

	if (geteuid() != 0)
		test_skip("only root gives files to any group");

	start();
	CHECK_INT(listener_bind(listener, &loop, "s", 4711, on_accept, &err), 0);
	CHECK_INT(stat("s", &st), 0);
	CHECK_INT(st.st_gid, 4711);
	CHECK_INT(st.st_uid, 0);
	stop();
}

TEST(a_default_acl_does_not_open_the_file_to_others)
{
	/* u::rwx g::rwx o::rwx, as the kernel wants it */
	const uint32_t acl[] = { 2,          0x00070001, UINT32_MAX, 0x00070004,
				 UINT32_MAX, 0x00070020, UINT32_MAX };

	if (setxattr(".", "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
		test_skip("no access lists on this file system");

	start_at("s");
	CHECK_INT(mode_at_birth, 0660);
	stop();
}

TEST(clients_are_handed_over_ready_to_use)
{
	int clients[3];

	start_at("s");
	for (int i = 0; i < 3; i++) {
		clients[i] = new_client();
		CHECK_INT(connect_to(clients[i], "s"), 0);
	}
	turn();
	CHECK_INT(n_accepted, 3);
	for (int i = 0; i < 3; i++) {
		CHECK(fcntl(accepted[i], F_GETFL) & O_NONBLOCK);
		CHECK(fcntl(accepted[i], F_GETFD) & FD_CLOEXEC);
		CHECK_INT(write(accepted[i], "x", 1), 1);
		(void)close(clients[i]);
	}
	stop();
}

TEST(two_daemons_cannot_have_the_same_path)
{
	struct listener second;
	int client = new_client();

	start_at("s");
	CHECK_INT(listener_bind(&second, &loop, "s", (gid_t)-1, on_accept, &err), -EADDRINUSE);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(strstr(err.text, "another daemon"));

	/* The first has lost nothing, not even its lock's name. */
	CHECK(exists("s.lock"));
	CHECK_INT(connect_to(client, "s"), 0);
	turn();
	CHECK_INT(n_accepted, 1);
	(void)close(client);
	stop();
}

TEST(a_daemon_that_answers_without_a_lock_keeps_its_path)
{
	int other = foreign_socket("s", SOCK_STREAM);

	CHECK_INT(listen(other, 8), 0);
	start();
	CHECK_INT(bind_at("s"), -EADDRINUSE);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(exists("s") && !exists("s.lock"));
	stop();
	(void)close(other);
}

TEST(a_daemon_too_busy_to_answer_keeps_its_path)
{
	int other = foreign_socket("s", SOCK_STREAM);
	int clients[8], n = 0;

	CHECK_INT(listen(other, 0), 0);
	do
		clients[n] = new_client();
	while (connect_to(clients[n++], "s") == 0 && n < 8);
	CHECK(n < 8);

	start();
	CHECK_INT(bind_at("s"), -EADDRINUSE);
	CHECK(exists("s"));
	stop();
}

TEST(a_socket_of_another_kind_keeps_its_path)
{
	int other = foreign_socket("s", SOCK_DGRAM);

	start();
	CHECK(bind_at("s") < 0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(exists("s"));
	stop();
	(void)close(other);
}

TEST(what_a_killed_daemon_left_is_replaced)
{
	int client = new_client();

	(void)close(foreign_socket("s", SOCK_STREAM));
	(void)close(open("s.lock", O_CREAT | O_WRONLY, 0600));
	start_at("s");
	CHECK_INT(connect_to(client, "s"), 0);
	turn();
	CHECK_INT(n_accepted, 1);
	(void)close(client);
	stop();
}

TEST(what_is_no_socket_is_refused_and_left_alone)
{
	const char *const words[] = { "regular file", "directory", "FIFO", "symbolic link" };
	struct stat before, after;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (i == 0)
			(void)close(open("s", O_CREAT | O_WRONLY, 0600));
		else if (i == 1)
			CHECK_INT(mkdir("s", 0700), 0);
		else if (i == 2)
			CHECK_INT(mkfifo("s", 0600), 0);
		else
			CHECK_INT(symlink("target", "s"), 0);
		CHECK_INT(lstat("s", &before), 0);

		start();
		CHECK_INT(bind_at("s"), -EEXIST);
		CHECK_INT(err.kind, ERROR_CONFIG);
		CHECK(strstr(err.text, words[i]));
		stop();

		CHECK_INT(lstat("s", &after), 0);
		CHECK_INT(after.st_ino, before.st_ino);
		CHECK(!exists("target"));
		CHECK_INT(remove("s"), 0);
	}
}

TEST(a_lock_that_is_a_symbolic_link_is_not_followed)
{
	CHECK_INT(symlink("target", "s.lock"), 0);
	start();
	CHECK_INT(bind_at("s"), -ELOOP);
	CHECK(exists("s.lock") && !exists("target") && !exists("s"));
	stop();
}

TEST(a_path_may_have_107_bytes_and_no_more)
{
	char path[LISTEN_PATH_MAX + 2];

	memset(path, 'x', sizeof(path));
	path[LISTEN_PATH_MAX + 1] = '\0';
	start();
	CHECK_INT(bind_at(path), -ENAMETOOLONG);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK(strstr(err.text, "108 bytes is too long"));

	path[LISTEN_PATH_MAX] = '\0';
	CHECK_INT(bind_at(path), 0);
	CHECK(exists(path));
	stop();
	CHECK(!exists(path));
}

TEST(an_empty_path_and_a_missing_directory_are_refused_in_words)
{
	start();
	CHECK_INT(bind_at(""), -EINVAL);
	CHECK(strstr(err.text, "empty"));
	CHECK_INT(bind_at("no/where/s"), -ENOENT);
	CHECK_TEXT(err.text, "cannot listen on no/where/s: its directory does not exist");
	stop();
}

TEST(ending_removes_what_it_made)
{
	start_at("s");
	CHECK(exists("s") && exists("s.lock"));
	stop();
	CHECK(!exists("s") && !exists("s.lock"));
}

TEST(ending_leaves_the_file_of_somebody_else)
{
	int other;

	start_at("s");
	CHECK_INT(unlink("s"), 0);
	other = foreign_socket("s", SOCK_STREAM);
	stop();
	CHECK(exists("s"));
	(void)close(other);
}

/* Takes descriptors until none are left. */
static int take_all(int fds[], int max)
{
	struct rlimit limit = { 40, 40 };
	int n = 0;

	CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (n < max && (fds[n] = dup(0)) >= 0)
		n++;
	CHECK(n > 0 && n < max);
	return n;
}

static void on_accept_and_stop(struct listener *from, int fd)
{
	on_accept(from, fd);
	loop_stop(&loop);
}

TEST(without_descriptors_clients_are_sent_off_and_served_again_when_there_are_some)
{
	int clients[3], held[64], n;
	char byte;

	start_at("s");
	for (int i = 0; i < 3; i++)
		clients[i] = new_client();
	n = take_all(held, 64);

	for (int i = 0; i < 2; i++)
		CHECK_INT(connect_to(clients[i], "s"), 0);
	turn();
	CHECK_INT(n_accepted, 0);
	CHECK_INT(listener->n_starved, 2);
	CHECK_INT(read(clients[0], &byte, 1), 0);
	CHECK_INT(read(clients[1], &byte, 1), 0);

	/* It rests for less than a second: a level-triggered accept would spin. */
	CHECK(timer_is_running(&listener->rest));
	CHECK((double)timer_left_ms(&listener->rest) / 1e3 < 1);
	timer_start(&listener->rest, 3600000); /* however slow this machine is now */
	CHECK_INT(connect_to(clients[2], "s"), 0);
	turn();
	CHECK_INT(listener->n_starved, 2);
	CHECK(!ev_is_active(&listener->acceptable));

	while (n)
		(void)close(held[--n]);
	listener->on_accept = on_accept_and_stop;
	timer_start(&listener->rest, 1);
	loop_run(&loop);
	CHECK_INT(n_accepted, 1);
	CHECK(write(accepted[0], "x", 1) == 1 && read(clients[2], &byte, 1) == 1);
	stop();
}

TEST(the_last_descriptor_is_no_starvation)
{
	int client, held[64], n;

	start_at("s");
	client = new_client();
	n = take_all(held, 64);
	(void)close(held[--n]);
	CHECK_INT(connect_to(client, "s"), 0);
	turn();
	CHECK_INT(n_accepted, 1);
	CHECK_INT(listener->n_starved, 0);
	CHECK(ev_is_active(&listener->acceptable));
	CHECK(listener->spare_fd >= 0);
	stop();
}

TEST(a_pause_lets_clients_wait)
{
	int client = new_client();

	start_at("s");
	listener_pause(listener, true);
	CHECK_INT(connect_to(client, "s"), 0);
	turn();
	CHECK_INT(n_accepted, 0);
	listener_pause(listener, false);
	turn();
	CHECK_INT(n_accepted, 1);
	stop();
}

static void on_accept_pause(struct listener *from, int fd)
{
	on_accept(from, fd);
	listener_pause(from, true);
}

static void on_accept_free(struct listener *from, int fd)
{
	on_accept(from, fd);
	listener_fini(from);
	free(from);
	listener = NULL;
}

TEST(it_may_be_paused_or_freed_while_it_accepts_several)
{
	int client;

	start_at("s");
	for (int i = 0; i < 3; i++) {
		client = new_client();
		CHECK_INT(connect_to(client, "s"), 0);
	}
	listener->on_accept = on_accept_pause;
	turn();
	CHECK_INT(n_accepted, 1);

	listener->on_accept = on_accept_free;
	listener_pause(listener, false);
	turn();
	CHECK_INT(n_accepted, 2);
	CHECK(!listener && !exists("s"));
	stop();
}

TEST(a_listening_descriptor_is_adopted_and_its_file_stays)
{
	int fd = foreign_socket("s", SOCK_STREAM), client = new_client();

	start();
	CHECK_INT(listener_adopt(listener, &loop, fd, on_accept, &err), -EINVAL);
	CHECK(strstr(err.text, "not a listening socket"));
	CHECK(fcntl(fd, F_GETFD) >= 0); /* still ours */

	CHECK_INT(listen(fd, 8), 0);
	CHECK_INT(listener_adopt(listener, &loop, fd, on_accept, &err), 0);
	CHECK_INT(connect_to(client, "s"), 0);
	turn();
	CHECK_INT(n_accepted, 1);
	stop();
	CHECK(exists("s"));
	CHECK_INT(fcntl(fd, F_GETFD), -1);
}

static void pass(int fd, int as)
{
	CHECK_INT(dup2(fd, as), as);
}

static void set_listen_environment(const char *n)
{
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	CHECK_INT(setenv("LISTEN_PID", pid, 1), 0);
	CHECK_INT(setenv("LISTEN_FDS", n, 1), 0);
}

TEST(the_sockets_that_systemd_passed_are_taken_in_order)
{
	int a = fcntl(foreign_socket("a", SOCK_STREAM), F_DUPFD, 10);
	int b = fcntl(foreign_socket("b", SOCK_STREAM), F_DUPFD, 10);
	int fds[2] = { -1, -1 };
	size_t n = 7;

	CHECK_INT(listen_fds_from_systemd(fds, 2, &n, &err), 0);
	CHECK_INT(n, 0);

	CHECK(listen(a, 8) == 0 && listen(b, 8) == 0);
	pass(a, 3);
	pass(b, 4);
	set_listen_environment("2");
	CHECK_INT(listen_fds_from_systemd(fds, 2, &n, &err), 0);
	CHECK_INT(n, 2);
	CHECK(fds[0] == 3 && fds[1] == 4);
	CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC);
	CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID"));
}

TEST(what_systemd_should_not_have_passed_is_refused)
{
	int a = fcntl(foreign_socket("a", SOCK_STREAM), F_DUPFD, 10);
	int fds[1];
	size_t n;

	CHECK_INT(listen(a, 8), 0);
	pass(a, 3);
	pass(a, 4);
	set_listen_environment("2");
	CHECK_INT(listen_fds_from_systemd(fds, 1, &n, &err), -E2BIG);
	CHECK_INT(err.kind, ERROR_CONFIG);

	pass(0, 3);
	set_listen_environment("1");
	CHECK_INT(listen_fds_from_systemd(fds, 1, &n, &err), -EINVAL);
	CHECK(strstr(err.text, "descriptor 3"));

	pass(foreign_socket("d", SOCK_DGRAM), 3);
	set_listen_environment("1");
	CHECK_INT(listen_fds_from_systemd(fds, 1, &n, &err), -EINVAL);
}
