/* SPDX-License-Identifier: MIT */
/*
 * The same question over D-Bus: a private bus, a service, and its clients.
 *
 *     bench-dbus broker SOCKET              becomes dbus-broker, listening there
 *     bench-dbus serve SOCKET ANSWER        a service whose method Get(s) returns ANSWER
 *     bench-dbus call SOCKET CLIENTS MS     calls it, and prints what bench-load does
 *
 * dbus-broker takes its listeners and its policy from a controller, which is
 * usually systemd's: here it is a child that does nothing else.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/parse.h"
#include "base/util.h"

#define NAME "org.molecule.Bench"
#define PATH "/org/molecule/Bench"
#define KEY "OPENAI_API_KEY"
#define CLIENTS_MAX 256
#define SAMPLES_MAX (1u << 20)

/* A batch of policy: whether to connect, who may own, send and receive. */
#define BATCH "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define POLICY "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs"

static void check(int r, const char *what)
{
	if (r >= 0)
		return;

	(void)fprintf(stderr, "bench-dbus: %s: %s\n", what, strerror(-r));
	exit(1);
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Everybody may do everything. */
static void append_policy(sd_bus_message *message)
{
	check(sd_bus_message_open_container(message, 'v', "(" POLICY ")"), "policy");
	check(sd_bus_message_append(message, "(" POLICY ")", 1, (uint32_t)-1, /* any user */
				    true, UINT64_C(1), 1, true, UINT64_C(1), true, "", /* own */
				    1, true, UINT64_C(1), "", "", "", "", 0, 0, UINT64_C(0),
				    UINT64_MAX, /* send */
				    1, true, UINT64_C(1), "", "", "", "", 0, 0, UINT64_C(0),
				    UINT64_MAX, /* receive */
				    0, 0, false, ""),
	      "policy");
	check(sd_bus_message_close_container(message), "policy");
}

static _Noreturn void control(int fd, int listener)
{
	sd_bus_message *message = NULL;
	sd_bus *bus = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	check(sd_bus_new(&bus), "bus");
	check(sd_bus_set_fd(bus, fd, fd), "bus");
	check(sd_bus_start(bus), "bus");
	check(sd_bus_message_new_method_call(bus, &message, NULL, "/org/bus1/DBus/Broker",
					     "org.bus1.DBus.Broker", "AddListener"),
	      "AddListener");
	check(sd_bus_message_append(message, "oh", "/org/bus1/DBus/Listener/0", listener),
	      "AddListener");
	append_policy(message);
	check(sd_bus_call(bus, message, 0, NULL, NULL), "AddListener");
	/* Until it ends. */
	while (sd_bus_process(bus, NULL) >= 0 && sd_bus_wait(bus, UINT64_MAX) >= 0)
		;
	exit(0);
}

static _Noreturn void become_broker(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener, pair[2];
	char number[16];
	pid_t pid;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1024) < 0)
		die(path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");

	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		(void)close(pair[1]);
		control(pair[0], listener);
	}

	(void)fcntl(pair[1], F_SETFD, 0);
	(void)snprintf(number, sizeof(number), "%d", pair[1]);
	(void)execlp("dbus-broker", "dbus-broker", "--controller", number, "--machine-id",
		     "0123456789abcdef0123456789abcdef", (char *)NULL);
	die("dbus-broker");
}

static sd_bus *dial(const char *path)
{
	char address[256];
	sd_bus *bus = NULL;

	(void)snprintf(address, sizeof(address), "unix:path=%s", path);
	check(sd_bus_new(&bus), "bus");
	check(sd_bus_set_address(bus, address), "bus");
	check(sd_bus_set_bus_client(bus, true), "bus");
	check(sd_bus_start(bus), "bus");
	return bus;
}

static int on_get(sd_bus_message *message, void *data, sd_bus_error *error)
{
	const char *key;

	check(sd_bus_message_read(message, "s", &key), "Get");
	return sd_bus_reply_method_return(message, "s", strcmp(key, KEY) == 0 ? data : "");
}

static const sd_bus_vtable methods[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Get", "s", "s", on_get, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static _Noreturn void serve(const char *path, char *answer)
{
	sd_bus *bus = dial(path);

	check(sd_bus_add_object_vtable(bus, NULL, PATH, NAME, methods, answer), "object");
	check(sd_bus_request_name(bus, NAME, 0), NAME);
	for (;;) {
		int r = sd_bus_process(bus, NULL);

		check(r, "the bus");
		if (r == 0)
			check(sd_bus_wait(bus, UINT64_MAX), "the bus");
	}
}

struct client {
	sd_bus *bus;
	int64_t asked_ns;
};

static struct {
	struct client clients[CLIENTS_MAX];
	sd_event *event;
	int64_t end_ns;
	uint32_t samples[SAMPLES_MAX];
	size_t n_samples, n_answers;
} load;

static void ask(struct client *client);

static void note(struct client *client)
{
	int64_t now = now_ns();

	load.n_answers++;
	if (load.n_samples < SAMPLES_MAX)
		load.samples[load.n_samples++] = (uint32_t)(now - client->asked_ns);
	client->asked_ns = now;
}

static int on_answer(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;

	check(-sd_bus_message_get_errno(message), "Get");
	note(client);
	if (client->asked_ns >= load.end_ns)
		return sd_event_exit(load.event, 0);

	ask(client);
	return 0;
}

static void ask(struct client *client)
{
	check(sd_bus_call_method_async(client->bus, NULL, NAME, PATH, NAME, "Get", on_answer,
				       client, "s", KEY),
	      "Get");
}

static void call_one(struct client *client)
{
	while (client->asked_ns < load.end_ns) {
		sd_bus_message *answer = NULL;

		check(sd_bus_call_method(client->bus, NAME, PATH, NAME, "Get", NULL, &answer, "s",
					 KEY),
		      "Get");
		sd_bus_message_unref(answer);
		note(client);
	}
}

static void call_many(int64_t n_clients)
{
	check(sd_event_default(&load.event), "event");
	for (int64_t i = 0; i < n_clients; i++) {
		check(sd_bus_attach_event(load.clients[i].bus, load.event, 0), "event");
		ask(&load.clients[i]);
	}
	check(sd_event_loop(load.event), "event");
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int call(const char *path, const char *clients, const char *ms)
{
	int64_t n_clients, duration_ms, begin_ns;
	size_t middle, high;
	double took_ns;

	if (parse_int64(clients, 1, CLIENTS_MAX, &n_clients) < 0 ||
	    parse_int64(ms, 1, 600000, &duration_ms) < 0)
		return 64;

	for (int64_t i = 0; i < n_clients; i++)
		load.clients[i].bus = dial(path);
	begin_ns = now_ns();
	load.end_ns = begin_ns + duration_ms * 1000000;
	for (int64_t i = 0; i < n_clients; i++)
		load.clients[i].asked_ns = begin_ns;
	if (n_clients == 1)
		call_one(&load.clients[0]);
	else
		call_many(n_clients);

	took_ns = (double)(now_ns() - begin_ns);
	qsort(load.samples, load.n_samples, sizeof(*load.samples), compare);
	middle = load.n_samples / 2;
	high = load.n_samples * 99 / 100;
	(void)printf("{\"rate\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"n\": %zu}\n",
		     (double)load.n_answers / took_ns * 1e9, load.samples[middle] / 1e3,
		     load.samples[high] / 1e3, load.n_answers);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && strcmp(argv[1], "broker") == 0)
		become_broker(argv[2]);
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "call") == 0)
		return call(argv[2], argv[3], argv[4]);

	(void)fprintf(stderr, "usage: bench-dbus broker|serve|call SOCKET ...\n");
	return 64;
}
