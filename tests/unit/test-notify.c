/* SPDX-License-Identifier: MIT */
#include "io/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "lib/test.h"

static struct loop loop;
static int manager = -1;
static char message[1024];

/* Plays the service manager on a socket of this name; "@name" is an abstract one. */
static void listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	CHECK_INT(bind(manager, (const struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		  0);
	CHECK_INT(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void listen_in_own_directory(void)
{
	char name[256];

	CHECK(getcwd(name, sizeof(name) - 8));
	(void)strncat(name, "/n", 3);
	listen_at(name);
}

/* What came, or "" when nothing did. */
static const char *heard(void)
{
	ssize_t n = recv(manager, message, sizeof(message) - 1, 0);

	message[n < 0 ? 0 : n] = '\0';
	return message;
}

TEST(nothing_happens_when_nobody_asked)
{
	CHECK_INT(unsetenv("NOTIFY_SOCKET"), 0);
	CHECK_INT(notify_ready("x"), 0);
	CHECK_INT(notify_status("x"), 0);
	CHECK_INT(notify_reloading(), 0);
	CHECK_INT(notify_stopping(NULL), 0);
}

TEST(the_manager_hears_how_it_goes)
{
	const char *reloading = "RELOADING=1\nMONOTONIC_USEC=";
	int64_t began_us, usec;
	struct timespec now;

	CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	began_us = (int64_t)now.tv_sec * 1000000;

	listen_in_own_directory();
	CHECK_INT(notify_ready("2 workspaces online"), 0);
	CHECK_TEXT(heard(), "READY=1\nSTATUS=2 workspaces online");
	CHECK_INT(notify_ready(NULL), 0);
	CHECK_TEXT(heard(), "READY=1");
	CHECK_INT(notify_status("paused"), 0);
	CHECK_TEXT(heard(), "STATUS=paused");
	CHECK_INT(notify_stopping("stopping"), 0);
	CHECK_TEXT(heard(), "STOPPING=1\nSTATUS=stopping");
	CHECK_INT(notify_reloading(), 0);
	CHECK(strncmp(heard(), reloading, strlen(reloading)) == 0);
	CHECK_INT(parse_int64(message + strlen(reloading), began_us, INT64_MAX, &usec), 0);
}

TEST(an_abstract_socket_is_found)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "@molecule-test-notify-%d", getpid());
	listen_at(name);
	CHECK_INT(notify_ready(NULL), 0);
	CHECK_TEXT(heard(), "READY=1");
}

TEST(a_status_cannot_say_more_than_one_line)
{
	char longer[2000];

	listen_in_own_directory();
	CHECK_INT(notify_status("a\nREADY=1\nb"), 0);
	CHECK(!strchr(heard(), '\n'));

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	CHECK_INT(notify_status(longer), 0);
	CHECK(strlen(heard()) < 600);
	CHECK(strncmp(message, "STATUS=xxx", 10) == 0);
}

TEST(a_manager_that_does_not_read_is_not_waited_for)
{
	int r = 0;

	listen_in_own_directory();
	for (int i = 0; i < 100000 && r == 0; i++)
		r = notify_status("x");
	CHECK_INT(r, -EAGAIN);

	/* Once it reads again, it hears. */
	while (heard()[0])
		;
	CHECK_INT(notify_ready(NULL), 0);
	CHECK_TEXT(heard(), "READY=1");
}

TEST(a_manager_that_is_gone_and_an_address_that_is_none_are_errors_and_no_more)
{
	char name[300] = "/";

	CHECK_INT(setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1), 0);
	CHECK_INT(notify_ready(NULL), -ENOENT);
	CHECK_INT(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	CHECK_INT(notify_ready(NULL), -EAFNOSUPPORT);
	memset(name + 1, 'x', sizeof(name) - 2);
	CHECK_INT(setenv("NOTIFY_SOCKET", name, 1), 0);
	CHECK_INT(notify_ready(NULL), -ENAMETOOLONG);
}

static void ask_for_watchdog(const char *usec)
{
	char pid[16];

	CHECK_INT(loop_init(&loop), 0);
	listen_in_own_directory();
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	CHECK_INT(setenv("WATCHDOG_PID", pid, 1), 0);
	CHECK_INT(setenv("WATCHDOG_USEC", usec, 1), 0);
}

static struct ev_io hears;
static int n_meals;
static struct watchdog watchdog;

static void on_heard(struct ev_loop *ev, struct ev_io *io, int events)
{
	CHECK_TEXT(heard(), "WATCHDOG=1");
	if (++n_meals == 3)
		loop_stop(&loop);
}

static void run_until_third_meal(void)
{
	ev_io_init(&hears, on_heard, manager, EV_READ);
	ev_io_start(loop.ev, &hears);
	loop_run(&loop);
	ev_io_stop(loop.ev, &hears);
}

TEST(the_watchdog_is_fed_at_half_its_interval)
{
	int64_t began_ms;

	ask_for_watchdog("100000");
	began_ms = loop_now_ms(&loop);
	watchdog_start(&watchdog, &loop, NULL, NULL);
	CHECK_INT(watchdog.interval_ms, 100);
	run_until_third_meal();
	/* At once, after 50 ms and after 100 ms. */
	CHECK(loop_now_ms(&loop) - began_ms >= 99);
	watchdog_stop(&watchdog);
	loop_fini(&loop);
}

TEST(nobody_is_fed_who_did_not_ask)
{
	CHECK_INT(loop_init(&loop), 0);
	listen_in_own_directory();
	CHECK_INT(unsetenv("WATCHDOG_USEC"), 0);
	watchdog_start(&watchdog, &loop, NULL, NULL);
	CHECK_INT(watchdog.interval_ms, 0);
	CHECK(!timer_is_running(&watchdog.timer));
	CHECK_TEXT(heard(), "");
	watchdog_stop(&watchdog);
	loop_fini(&loop);
}

static bool well_the_third_time(void *data)
{
	int *n_asked = data;

	return ++*n_asked >= 3;
}

TEST(who_is_not_well_is_not_fed_and_asked_again_soon)
{
	int n_asked = 0;
	int64_t began_ms;

	ask_for_watchdog("1000000");
	began_ms = loop_now_ms(&loop);
	watchdog_start(&watchdog, &loop, well_the_third_time, &n_asked);
	CHECK_TEXT(heard(), "");
	n_meals = 2;
	run_until_third_meal();
	CHECK_INT(n_asked, 3);
	/* After two tenths of the interval, and not two halves. */
	CHECK(loop_now_ms(&loop) - began_ms >= 199);
	CHECK(timer_is_running(&watchdog.timer));
	CHECK((double)timer_left_ms(&watchdog.timer) / 1e3 > 0.15);
	watchdog_stop(&watchdog);
	loop_fini(&loop);
}

TEST(a_meal_that_was_lost_is_offered_again_soon)
{
	ask_for_watchdog("1000000");
	while (notify_status("x") == 0)
		;
	watchdog_start(&watchdog, &loop, NULL, NULL);
	CHECK((double)timer_left_ms(&watchdog.timer) / 1e3 < 0.11);
	while (heard()[0])
		;
	n_meals = 2;
	run_until_third_meal();
	watchdog_stop(&watchdog);
	loop_fini(&loop);
}
