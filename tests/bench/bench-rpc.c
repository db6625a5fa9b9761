/* SPDX-License-Identifier: MIT */
/*
 * What a call costs, beside what it would cost to do nothing: all on one CPU,
 * since a wake-up that crosses to another one costs ten times a call.
 *
 *     bench-rpc [-r REDIS-SOCKET] [SOCKET]
 *
 * Without SOCKET a server of ours with a fake agent is started. For each of a
 * raw echo, our secrets.get and (with -r) a GET of redis it prints round trips a
 * second and CPU time of the server for each, for one client and for 64.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/parse.h"
#include "lib/test.h"
#include "rpc/server.h"
#include "unit/fake-agent.h"

#define CLIENTS 64
#define SECONDS 0.7
#define ROUNDS 5

#define REQUEST                                                                               \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\",\"params\":{\"workspace\":" \
	"\"laptop\",\"keys\":[\"OPENAI_API_KEY\"]}}\n"
#define REQUEST_ALL                                                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\",\"params\":{\"workspace\":" \
	"\"laptop\"}}\n"
#define BUNDLE                                                            \
	"{\"GITHUB_TOKEN\":\"ghp_0123456789abcdef0123456789abcdef0123\"," \
	"\"OPENAI_API_KEY\":\"sk-0123456789abcdef0123456789\"}"

struct subject {
	const char *name;
	const char *path; /* NULL: a socket pair to a child that echoes */
	const char *request;
	int last; /* the byte that ends an answer; with redis the second newline */
	unsigned n_last;
	double best[2];   /* round trips a second: one client, 64 clients */
	double cpu_us[2]; /* of the server, for each */
};

/* The fake agent reports to the frame of the unit tests, which is not here. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, format);
	exit(1);
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("sched_setaffinity");
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		die("clock_gettime");
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (unsigned tries = 0; tries < 1000; tries++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		(void)usleep(1000);
	}
	die(path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
		die(path);
	return fd;
}

/* As little as a server can do: read, write. */
static _Noreturn void echo_pair(int fd, const char *answer, size_t len)
{
	static char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		if (send(fd, answer, len, MSG_NOSIGNAL) < 0)
			break;
	exit(0);
}

/* And as little as one for many can. */
static _Noreturn void echo_epoll(int listener, const char *answer, size_t len)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	struct epoll_event events[CLIENTS];
	static char bytes[4096];

	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(epoll, events, CLIENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
				(void)epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
			} else if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
				(void)close(fd);
			} else {
				(void)send(fd, answer, len, MSG_NOSIGNAL);
			}
		}
	}
}

static const struct agent_events no_events;

static _Noreturn void serve(const char *path)
{
	struct hub_host host = { .agent = &fake.agent, .version = "bench", .started_wall_ms = 1 };
	struct rpc_settings settings;
	struct server *server;
	struct loop loop;
	struct error err;

	rpc_settings_init(&settings);
	if (loop_init(&loop) < 0)
		die("loop");
	host.loop = &loop;
	fake_init(&loop, &no_events, NULL);
	(void)fake_add("laptop", "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001", BUNDLE);
	if (server_new(&host, &settings, NULL, &server, &err) < 0 ||
	    server_bind(server, path, &err) < 0) {
		(void)fprintf(stderr, "bench-rpc: %s\n", err.text);
		exit(1);
	}
	loop_run(&loop);
	exit(0);
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Reads one answer: up to the n-th of the byte that ends it. */
static size_t hear(int fd, const struct subject *subject)
{
	static char bytes[65536];
	size_t len = 0;
	unsigned found = 0;

	while (found < subject->n_last) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n <= 0)
			die("recv");
		len += (size_t)n;
		for (ssize_t i = 0; i < n; i++)
			found += bytes[i] == subject->last;
	}
	return len;
}

static void say(int fd, const struct subject *subject)
{
	if (send(fd, subject->request, strlen(subject->request), MSG_NOSIGNAL) < 0)
		die("send");
}

static clockid_t cpu_clock(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	clockid_t clock;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    clock_getcpuclockid(peer.pid, &clock) != 0)
		die("cannot see the server's CPU time");
	return clock;
}

static void keep(struct subject *subject, int which, double rate, double cpu_us)
{
	if (rate <= subject->best[which])
		return;

	subject->best[which] = rate;
	subject->cpu_us[which] = cpu_us;
}

static void run_one(struct subject *subject, int fd, clockid_t cpu)
{
	double begin = seconds(CLOCK_MONOTONIC), cpu_begin = seconds(cpu), took;
	unsigned n = 0;

	do {
		for (unsigned i = 0; i < 1000; i++, n++) {
			say(fd, subject);
			(void)hear(fd, subject);
		}
		took = seconds(CLOCK_MONOTONIC) - begin;
	} while (took < SECONDS);
	keep(subject, 0, n / took, (seconds(cpu) - cpu_begin) / n * 1e6);
}

static void run_many(struct subject *subject, const char *path)
{
	double begin, cpu_begin, took;
	int fds[CLIENTS];
	clockid_t cpu;
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		fds[i] = dial(path);
	cpu = cpu_clock(fds[0]);
	begin = seconds(CLOCK_MONOTONIC);
	cpu_begin = seconds(cpu);
	do {
		for (unsigned i = 0; i < CLIENTS; i++)
			say(fds[i], subject);
		for (unsigned i = 0; i < CLIENTS; i++, n++)
			(void)hear(fds[i], subject);
		took = seconds(CLOCK_MONOTONIC) - begin;
	} while (took < SECONDS);
	keep(subject, 1, n / took, (seconds(cpu) - cpu_begin) / n * 1e6);
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)close(fds[i]);
}

static void run_raw_one(struct subject *subject, const char *answer, size_t len)
{
	clockid_t cpu;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		die("socketpair");
	pid = child();
	if (pid == 0) {
		(void)close(fds[0]);
		echo_pair(fds[1], answer, len);
	}
	(void)close(fds[1]);
	if (clock_getcpuclockid(pid, &cpu) != 0)
		die("clock_getcpuclockid");
	run_one(subject, fds[0], cpu);
	(void)close(fds[0]);
	(void)waitpid(pid, NULL, 0);
}

static void run_subject(struct subject *subject)
{
	int fd = dial(subject->path);

	run_one(subject, fd, cpu_clock(fd));
	(void)close(fd);
	run_many(subject, subject->path);
}

static void print(const struct subject *subject, const struct subject *raw)
{
	(void)printf("%-22s %9.0f/s  %.2f of raw  %.2f us CPU | 64: %9.0f/s  %.2f us CPU, %.2f x\n",
		     subject->name, subject->best[0], subject->best[0] / raw->best[0],
		     subject->cpu_us[0], subject->best[1], subject->cpu_us[1],
		     subject->cpu_us[1] / raw->cpu_us[1]);
}

/* The raw server answers with what ours answers, byte for byte. */
static size_t sample(const char *path, const struct subject *subject, char *dst, size_t dst_size)
{
	int fd = dial(path);
	ssize_t n;

	say(fd, subject);
	n = recv(fd, dst, dst_size, 0);
	if (n <= 0 || !memmem(dst, (size_t)n, "\"result\"", 8))
		(void)fprintf(stderr, "bench-rpc: the daemon answers %.*s", (int)MAX(n, 0), dst);
	(void)close(fd);
	return (size_t)MAX(n, 1);
}

int main(int argc, char *argv[])
{
	char own[] = "/tmp/bench-rpc-XXXXXX", ours[64], raw_path[64], answer[4096];
	struct subject subjects[] = {
		{ "raw", raw_path, REQUEST, '\n', 1, { 0 }, { 0 } },
		{ "secrets.get of one", ours, REQUEST, '\n', 1, { 0 }, { 0 } },
		{ "secrets.get of all", ours, REQUEST_ALL, '\n', 1, { 0 }, { 0 } },
		{ "redis GET",
		  NULL,
		  "*2\r\n$3\r\nGET\r\n$14\r\nOPENAI_API_KEY\r\n",
		  '\n',
		  2,
		  { 0 },
		  { 0 } },
	};
	int option, listener;
	size_t len;

	while ((option = getopt(argc, argv, "r:")) != -1)
		if (option == 'r')
			subjects[3].path = optarg;

	pin();
	if (!mkdtemp(own))
		die("mkdtemp");
	(void)snprintf(raw_path, sizeof(raw_path), "%s/raw", own);
	(void)snprintf(ours, sizeof(ours), "%s/ours", own);
	if (argv[optind])
		subjects[1].path = subjects[2].path = argv[optind];
	else if (child() == 0)
		serve(ours);

	len = sample(subjects[1].path, &subjects[1], answer, sizeof(answer));
	listener = listen_at(raw_path);
	if (child() == 0)
		echo_epoll(listener, answer, len);

	for (unsigned round = 0; round < ROUNDS; round++) {
		run_raw_one(&subjects[0], answer, len);
		run_many(&subjects[0], raw_path);
		for (unsigned i = 1; i < ARRAY_LEN(subjects); i++)
			if (subjects[i].path)
				run_subject(&subjects[i]);
	}

	for (unsigned i = 0; i < ARRAY_LEN(subjects); i++)
		if (subjects[i].path)
			print(&subjects[i], &subjects[0]);
	(void)unlink(raw_path);
	(void)unlink(ours);
	(void)rmdir(own);
	return 0;
}
