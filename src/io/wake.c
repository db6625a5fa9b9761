/* SPDX-License-Identifier: MIT */
/*
 * Listens to rtnetlink and to the clocks. Reading messages is apart from
 * receiving them, so that it can be tested without a network.
 */

#include "io/wake.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define DATAGRAM_MAX 32768 /* the kernel never builds a larger one */
#define BATCH 16           /* datagrams a turn */
#define SLEPT_MIN_MS 1000  /* less is the clocks being read one after the other */
#define FRESH_CS 500       /* an address updated later than this after it was made is not new */

#define FAR_FUTURE ((time_t)(sizeof(time_t) > 4 ? INT64_MAX : INT32_MAX))

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long the host has slept since it was started. */
static int64_t slept_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);
}

/* Copies the first size bytes of an attribute; false when it is not there, or shorter. */
static bool attribute_get(const char *attributes, size_t len, unsigned short type, void *dst,
			  size_t size)
{
	struct rtattr attribute;

	while (len >= sizeof(attribute)) {
		memcpy(&attribute, attributes, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > len)
			return false;

		if (attribute.rta_type == type && attribute.rta_len >= RTA_LENGTH(size)) {
			memcpy(dst, attributes + RTA_LENGTH(0), size);
			return true;
		}

		attributes += MIN((size_t)RTA_ALIGN(attribute.rta_len), len);
		len -= MIN((size_t)RTA_ALIGN(attribute.rta_len), len);
	}

	return false;
}

/* Returns whether it was not up before. */
static bool links_set(struct wake_links *links, int index, bool up)
{
	size_t i = 0;

	while (i < links->n_up && links->up[i] != index)
		i++;

	if (i < links->n_up) {
		if (!up)
			links->up[i] = links->up[--links->n_up];
		return false;
	}

	if (!up)
		return false;

	if (links->n_up == WAKE_LINKS_MAX)
		links->n_up = 0;
	links->up[links->n_up++] = index;
	return true;
}

static bool link_is_news(struct wake_links *links, const char *payload, size_t len, bool exists)
{
	const unsigned usable = IFF_UP | IFF_LOWER_UP | IFF_RUNNING;
	const size_t skip = NLMSG_ALIGN(sizeof(struct ifinfomsg));
	struct ifinfomsg info;
	uint32_t master = 0;

	if (len < skip)
		return false;

	memcpy(&info, payload, sizeof(info));
	/* Of a bridge or a bond, what comes up counts, and not each of its ports. */
	(void)attribute_get(payload + skip, len - skip, IFLA_MASTER, &master, sizeof(master));
	return links_set(links, info.ifi_index,
			 exists && !master && (info.ifi_flags & usable) == usable);
}

static bool address_is_news(const char *payload, size_t len)
{
	const size_t skip = NLMSG_ALIGN(sizeof(struct ifaddrmsg));
	struct ifa_cacheinfo cache = { 0 };
	struct ifaddrmsg info;

	if (len < skip)
		return false;

	memcpy(&info, payload, sizeof(info));
	/* One that waits for duplicates to object is told of again when it may be used. */
	if (info.ifa_scope >= RT_SCOPE_LINK || (info.ifa_flags & IFA_F_TENTATIVE))
		return false;

	/* A lease or an advertisement that only extends its life. */
	(void)attribute_get(payload + skip, len - skip, IFA_CACHEINFO, &cache, sizeof(cache));
	return cache.tstamp - cache.cstamp <= FRESH_CS;
}

static bool route_is_news(const char *payload, size_t len)
{
	struct rtmsg info;

	if (len < sizeof(info))
		return false;

	memcpy(&info, payload, sizeof(info));
	return info.rtm_dst_len == 0 && info.rtm_type == RTN_UNICAST &&
	       !(info.rtm_flags & RTM_F_CLONED);
}

static bool message_is_news(struct wake_links *links, unsigned type, const char *payload,
			    size_t len)
{
	switch (type) {
	case RTM_NEWLINK:
		return link_is_news(links, payload, len, true);
	case RTM_DELLINK:
		return link_is_news(links, payload, len, false);
	case RTM_NEWADDR:
		return address_is_news(payload, len);
	case RTM_NEWROUTE:
		return route_is_news(payload, len);
	default:
		return false;
	}
}

/* All of it is read, news or not: the links must be kept up to date. */
bool wake_is_news(struct wake_links *links, const void *datagram, size_t len)
{
	const char *at = datagram;
	struct nlmsghdr header;
	bool news = false;

	while (len >= sizeof(header)) {
		size_t step;

		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len)
			break;

		if (message_is_news(links, header.nlmsg_type, at + NLMSG_HDRLEN,
				    header.nlmsg_len - NLMSG_HDRLEN))
			news = true;

		step = MIN((size_t)NLMSG_ALIGN(header.nlmsg_len), len);
		at += step;
		len -= step;
	}

	return news;
}

/* Returns whether there may be more. */
static bool wake_receive(struct wake *wake, bool *ret_news)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	char datagram[DATAGRAM_MAX];
	ssize_t n;

	n = recvfrom(wake->netlink_fd, datagram, sizeof(datagram), MSG_DONTWAIT,
		     (struct sockaddr *)&from, &from_len);
	if (n < 0) {
		/* The queue ran over: something happened, whatever it was. */
		if (errno == ENOBUFS)
			*ret_news = true;
		return errno == ENOBUFS || errno == EINTR;
	}

	/* Only the kernel has no port. */
	if (from.nl_pid == 0 && wake_is_news(&wake->links, datagram, (size_t)n))
		*ret_news = true;
	return true;
}

static void wake_on_netlink(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct wake *wake = container_of(io, struct wake, netlink);
	bool news = false;

	for (int i = 0; i < BATCH && wake_receive(wake, &news); i++)
		;

	/* Not put off by further news: a network that never settles is told of too. */
	if (news && !timer_is_running(&wake->settle))
		timer_start(&wake->settle, WAKE_SETTLE_MS);
}

static void wake_on_settled(struct timer *timer)
{
	struct wake *wake = container_of(timer, struct wake, settle);

	wake->on_wake(wake, WAKE_NETWORK, 0);
	/* Careful: the wake may be gone. */
}

static void wake_on_clock_set(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct wake *wake = container_of(io, struct wake, timer);
	int64_t before_ms = wake->slept_before_ms;
	uint64_t expirations;

	/* ECANCELED is what it is for: the clock was set. Reading makes it ready to tell again. */
	if (read(wake->timer_fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
		return;

	wake->slept_before_ms = slept_ms();
	if (wake->slept_before_ms - before_ms >= SLEPT_MIN_MS)
		wake->on_wake(wake, WAKE_RESUME, wake->slept_before_ms - before_ms);
	/* Careful: the wake may be gone. */
}

static int open_netlink(void)
{
	AUTO(fd_close) int fd = -1;
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int taken;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;

	taken = fd;
	fd = -1;
	return taken;
}

static int open_clock(void)
{
	AUTO(fd_close) int fd = -1;
	struct itimerspec never = { .it_value.tv_sec = FAR_FUTURE };
	int taken;

	fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -errno;

	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
		return -errno;

	taken = fd;
	fd = -1;
	return taken;
}

void wake_start(struct wake *wake, struct loop *loop, wake_fn on_wake)
{
	*wake = (struct wake){
		.loop = loop,
		.netlink_fd = open_netlink(),
		.timer_fd = open_clock(),
		.slept_before_ms = slept_ms(),
		.on_wake = on_wake,
	};
	timer_init(&wake->settle, loop, wake_on_settled);
	ev_io_init(&wake->netlink, wake_on_netlink, wake->netlink_fd, EV_READ);
	ev_io_init(&wake->timer, wake_on_clock_set, wake->timer_fd, EV_READ);

	if (wake->netlink_fd >= 0)
		ev_io_start(loop->ev, &wake->netlink);
	else
		log_info("cannot watch the network: %s", strerror(-wake->netlink_fd));

	if (wake->timer_fd >= 0)
		ev_io_start(loop->ev, &wake->timer);
	else
		log_info("cannot watch the clock: %s", strerror(-wake->timer_fd));
}

void wake_stop(struct wake *wake)
{
	if (!wake || !wake->loop)
		return;

	ev_io_stop(wake->loop->ev, &wake->netlink);
	ev_io_stop(wake->loop->ev, &wake->timer);
	timer_stop(&wake->settle);
	fd_close_auto(&wake->netlink_fd);
	fd_close_auto(&wake->timer_fd);
	wake->netlink_fd = wake->timer_fd = -1;
	wake->loop = NULL;
}
