/* SPDX-License-Identifier: MIT */
/*
 * The protocol of sd_notify(3), spoken by ourselves: libsystemd sends on a
 * blocking socket, and a manager that is busy reloading leaves its queue full.
 */

#include "io/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "base/error.h"
#include "base/util.h"

#define STATUS_MAX 512 /* what systemctl shows is one line */

/* Returns the length of the address; 0 when nobody asked, -errno when it is no address. */
static int notify_address(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;

	if (!path || !path[0])
		return 0;

	len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(address->sun_path))
		return -ENAMETOOLONG;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, len);
	/* An abstract name begins with a NUL and ends where its length says. */
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	else
		len++;
	return (int)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int notify_send(const char *message)
{
	AUTO(fd_close) int fd = -1;
	struct sockaddr_un address;
	int len;

	len = notify_address(&address);
	if (len <= 0)
		return len;

	/* A new one each time: it is rare, and survives a manager that executes itself anew. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;

	if (sendto(fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&address, (socklen_t)len) < 0)
		return -errno;

	return 0;
}

/* Sends what, and the status as a line of its own. */
static int notify_send_status(const char *what, const char *status)
{
	char quoted[STATUS_MAX], message[STATUS_MAX + 64];

	if (!status)
		return notify_send(what);

	(void)error_quote(quoted, sizeof(quoted), status, strlen(status));
	(void)snprintf(message, sizeof(message), "%s%sSTATUS=%s", what, what[0] ? "\n" : "",
		       quoted);
	return notify_send(message);
}

int notify_ready(const char *status)
{
	return notify_send_status("READY=1", status);
}

int notify_status(const char *status)
{
	return notify_send_status("", status ? status : "");
}

int notify_reloading(void)
{
	struct timespec now;
	char message[64];

	/* By the time, Type=notify-reload tells this reload from the one before. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		       (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	return notify_send(message);
}

int notify_stopping(const char *status)
{
	return notify_send_status("STOPPING=1", status);
}

static void watchdog_feed(struct timer *timer)
{
	struct watchdog *watchdog = container_of(timer, struct watchdog, timer);
	bool fed;

	fed = (!watchdog->is_well || watchdog->is_well(watchdog->data)) &&
	      notify_send("WATCHDOG=1") == 0;
	timer_start(timer, MAX(watchdog->interval_ms / (fed ? 2 : 10), (int64_t)1));
}

void watchdog_start(struct watchdog *watchdog, struct loop *loop, bool (*is_well)(void *data),
		    void *data)
{
	uint64_t usec = 0;

	*watchdog = (struct watchdog){ .is_well = is_well, .data = data };
	timer_init(&watchdog->timer, loop, watchdog_feed);
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return;

	watchdog->interval_ms = (int64_t)MAX(usec / 1000, (uint64_t)1);
	watchdog_feed(&watchdog->timer);
}

void watchdog_stop(struct watchdog *watchdog)
{
	timer_stop(&watchdog->timer);
}
