/* SPDX-License-Identifier: MIT */
/*
 * Clients that ask, wait for the answer, and ask again, of whatever listens on
 * a Unix socket and ends its answers with newlines.
 *
 *     bench-load [-c CLIENTS] [-p PIPELINE] [-t MS] [-n NEWLINES] SOCKET FILE...
 *
 * FILE is one request, byte for byte; of several each client has one, in turn. Prints one JSON
 * object: answers a second, the CPU time of the server for each, and how long one client waits for
 * one. A single client blocks in recv(), as a program that needs a secret does; more of them share
 * an epoll.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/util.h"

#define CLIENTS_MAX 4096
#define PIPELINE_MAX 1024
#define REQUEST_MAX 4096
#define FILES_MAX 64
#define SAMPLES_MAX (4u << 20) /* more than ten seconds of the fastest */
#define CHUNK 262144

struct request {
	char copies[REQUEST_MAX * 16]; /* as many as go into one send() */
	size_t len, n_copies;
};

struct client {
	int fd;
	const struct request *request;
	unsigned newlines; /* of the answer that is being read */
	int64_t asked_ns;
};

static struct {
	int64_t n_clients, pipeline, newlines;
	int64_t ms;
	const char *path;
	struct request requests[FILES_MAX];
	struct client clients[CLIENTS_MAX];
	uint32_t *samples;
	size_t n_samples;
	uint64_t n_answers;
	char chunk[CHUNK];
} load = { .n_clients = 1, .pipeline = 1, .newlines = 1, .ms = 1000 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		die("clock_gettime");
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", load.path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(load.path);
	return fd;
}

static void read_request(struct request *request, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, request->copies, REQUEST_MAX);

	if (n <= 0)
		die(path);
	(void)close(fd);
	request->len = (size_t)n;
	request->n_copies = MIN((size_t)load.pipeline, sizeof(request->copies) / request->len);
	for (size_t i = 1; i < request->n_copies; i++)
		memcpy(request->copies + i * request->len, request->copies, request->len);
}

static void ask(struct client *client, size_t n)
{
	const struct request *request = client->request;

	while (n) {
		size_t now = MIN(n, request->n_copies), len = now * request->len;

		if (send(client->fd, request->copies, len, MSG_NOSIGNAL) != (ssize_t)len)
			die("send");
		n -= now;
	}
}

/* How many answers have ended in one recv(). */
static size_t hear(struct client *client)
{
	const char *at = load.chunk, *end;
	size_t n_ended = 0;
	ssize_t n;

	n = recv(client->fd, load.chunk, sizeof(load.chunk), 0);
	if (n <= 0)
		die("recv");

	for (end = at + n; (at = memchr(at, '\n', (size_t)(end - at))); at++) {
		if (++client->newlines < load.newlines)
			continue;
		client->newlines = 0;
		n_ended++;
	}
	return n_ended;
}

/* One clock reading a round trip: the end of one is the beginning of the next. */
static int64_t note(struct client *client)
{
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (load.n_samples < SAMPLES_MAX)
		load.samples[load.n_samples++] =
			(uint32_t)MIN(now_ns - client->asked_ns, (int64_t)UINT32_MAX);
	client->asked_ns = now_ns;
	return now_ns;
}

static int64_t listen_and_ask_again(struct client *client)
{
	size_t n = hear(client);
	int64_t now_ns = client->asked_ns;

	if (!n)
		return now_ns;

	load.n_answers += n;
	now_ns = note(client);
	ask(client, n);
	return now_ns;
}

static void run_one(int64_t end_ns)
{
	while (listen_and_ask_again(&load.clients[0]) < end_ns)
		;
}

static void run_many(int64_t end_ns)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[64];
	int64_t now_ns = 0;

	for (int64_t i = 0; i < load.n_clients; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &load.clients[i] };

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, load.clients[i].fd, &event) < 0)
			die("epoll_ctl");
	}

	while (now_ns < end_ns) {
		int n = epoll_wait(epoll, events, ARRAY_LEN(events), -1);

		for (int i = 0; i < n; i++)
			now_ns = listen_and_ask_again(events[i].data.ptr);
	}
	(void)close(epoll);
}

static clockid_t server_clock(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	clockid_t clock;

	if (getsockopt(load.clients[0].fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    clock_getcpuclockid(peer.pid, &clock) != 0)
		die("cannot see the server's CPU time");
	return clock;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(double which)
{
	size_t at = (size_t)((double)load.n_samples * which);

	return load.n_samples ? load.samples[MIN(at, load.n_samples - 1)] / 1e3 : 0;
}

static void print(int64_t ns, int64_t cpu_ns)
{
	double n = (double)MAX(load.n_answers, UINT64_C(1));

	qsort(load.samples, load.n_samples, sizeof(*load.samples), compare);
	(void)printf("{\"rate\": %.1f, \"cpu_us\": %.4f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
		     "\"max_us\": %.2f, \"n\": %llu}\n",
		     n / (double)ns * 1e9, (double)cpu_ns / n / 1e3, percentile_us(.5),
		     percentile_us(.99), percentile_us(1), (unsigned long long)load.n_answers);
}

static int read_options(int argc, char *argv[])
{
	int option;

	while ((option = getopt(argc, argv, "c:p:t:n:")) != -1) {
		bool good = (option == 'c' &&
			     parse_int64(optarg, 1, CLIENTS_MAX, &load.n_clients) == 0) ||
			    (option == 'p' &&
			     parse_int64(optarg, 1, PIPELINE_MAX, &load.pipeline) == 0) ||
			    (option == 't' && parse_int64(optarg, 1, 600000, &load.ms) == 0) ||
			    (option == 'n' && parse_int64(optarg, 1, 100, &load.newlines) == 0);

		if (!good)
			return -1;
	}
	return argc - optind >= 2 && argc - optind <= 1 + FILES_MAX ? 0 : -1;
}

int main(int argc, char *argv[])
{
	int64_t begin_ns, end_ns, cpu_ns;
	clockid_t cpu;
	int n_files;

	if (read_options(argc, argv) < 0) {
		(void)fprintf(stderr, "usage: bench-load [-c CLIENTS] [-p PIPELINE] [-t MS] "
				      "[-n NEWLINES] SOCKET FILE...\n");
		return 64;
	}
	load.path = argv[optind];
	n_files = argc - optind - 1;
	for (int i = 0; i < n_files; i++)
		read_request(&load.requests[i], argv[optind + 1 + i]);
	load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
	if (!load.samples)
		die("calloc");

	for (int64_t i = 0; i < load.n_clients; i++) {
		load.clients[i].fd = dial();
		load.clients[i].request = &load.requests[i % n_files];
	}
	cpu = server_clock();
	begin_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_ns = clock_ns(cpu);
	end_ns = begin_ns + load.ms * 1000000;
	for (int64_t i = 0; i < load.n_clients; i++) {
		load.clients[i].asked_ns = begin_ns;
		ask(&load.clients[i], (size_t)load.pipeline);
	}

	if (load.n_clients == 1)
		run_one(end_ns);
	else
		run_many(end_ns);
	cpu_ns = clock_ns(cpu) - cpu_ns;
	print(clock_ns(CLOCK_MONOTONIC) - begin_ns, cpu_ns);
	return 0;
}
