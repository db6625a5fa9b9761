/* SPDX-License-Identifier: MIT */
#include "io/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

#define UP (IFF_UP | IFF_LOWER_UP | IFF_RUNNING)

/* A datagram as rtnetlink sends it, put together piece by piece. */
static char bytes[4096];
static size_t len;       /* of all of it */
static size_t last_from; /* where the last message begins */

static void add(const void *piece, size_t piece_len)
{
	memcpy(bytes + len, piece, piece_len);
	len += NLMSG_ALIGN(piece_len);
	((struct nlmsghdr *)(void *)(bytes + last_from))->nlmsg_len = (uint32_t)(len - last_from);
}

static void add_message(unsigned short type, const void *payload, size_t payload_len)
{
	struct nlmsghdr header = { .nlmsg_type = type };

	last_from = len;
	add(&header, sizeof(header));
	add(payload, payload_len);
}

static void add_attribute(unsigned short type, const void *value, size_t value_len)
{
	struct rtattr attribute = {
		.rta_len = (unsigned short)RTA_LENGTH(value_len),
		.rta_type = type,
	};

	add(&attribute, sizeof(attribute));
	add(value, value_len);
}

static void begin(void)
{
	memset(bytes, 0, sizeof(bytes));
	len = 0;
}

static void begin_link(unsigned short type, int index, unsigned flags)
{
	struct ifinfomsg info = { .ifi_index = index, .ifi_flags = flags };

	begin();
	add_message(type, &info, sizeof(info));
}

static bool link_is_news(struct wake_links *links, int index, unsigned flags)
{
	begin_link(RTM_NEWLINK, index, flags);
	return wake_is_news(links, bytes, len);
}

static void begin_address(unsigned char scope, unsigned char flags)
{
	struct ifaddrmsg info = { .ifa_family = AF_INET6, .ifa_scope = scope, .ifa_flags = flags };

	begin();
	add_message(RTM_NEWADDR, &info, sizeof(info));
}

static bool address_is_news(unsigned char scope, unsigned char flags)
{
	struct wake_links links = { .n_up = 0 };

	begin_address(scope, flags);
	return wake_is_news(&links, bytes, len);
}

static bool address_of_age_is_news(uint32_t age_cs)
{
	struct ifa_cacheinfo cache = { .cstamp = 7000, .tstamp = 7000 + age_cs };
	struct wake_links links = { .n_up = 0 };
	uint32_t other = 0;

	begin_address(RT_SCOPE_UNIVERSE, 0);
	add_attribute(IFA_ADDRESS, &other, sizeof(other));
	add_attribute(IFA_CACHEINFO, &cache, sizeof(cache));
	return wake_is_news(&links, bytes, len);
}

static bool route_is_news(unsigned short type, unsigned char dst_len, unsigned char kind,
			  unsigned flags)
{
	struct rtmsg info = { .rtm_dst_len = dst_len, .rtm_type = kind, .rtm_flags = flags };
	struct wake_links links = { .n_up = 0 };

	begin();
	add_message(type, &info, sizeof(info));
	return wake_is_news(&links, bytes, len);
}

TEST(a_link_is_news_when_it_comes_up_and_not_while_it_is)
{
	struct wake_links links = { .n_up = 0 };

	CHECK(!link_is_news(&links, 2, IFF_UP));
	CHECK(!link_is_news(&links, 2, IFF_UP | IFF_LOWER_UP)); /* wireless: not associated */
	CHECK(link_is_news(&links, 2, UP));
	CHECK(!link_is_news(&links, 2, UP));
	CHECK(link_is_news(&links, 3, UP));

	CHECK(!link_is_news(&links, 2, IFF_UP)); /* the cable is out, and in again */
	CHECK(link_is_news(&links, 2, UP));
}

TEST(a_link_that_was_deleted_is_forgotten)
{
	struct wake_links links = { .n_up = 0 };

	CHECK(link_is_news(&links, 2, UP));
	begin_link(RTM_DELLINK, 2, UP);
	CHECK(!wake_is_news(&links, bytes, len));
	CHECK(link_is_news(&links, 2, UP));
}

TEST(a_port_of_a_bridge_is_no_news)
{
	struct wake_links links = { .n_up = 0 };
	uint32_t master = 5;

	begin_link(RTM_NEWLINK, 2, UP);
	add_attribute(IFLA_MASTER, &master, sizeof(master));
	CHECK(!wake_is_news(&links, bytes, len));
}

TEST(any_number_of_links_is_borne)
{
	struct wake_links links = { .n_up = 0 };

	for (int i = 1; i <= 10 * WAKE_LINKS_MAX; i++) {
		CHECK(link_is_news(&links, i, UP));
		CHECK(!link_is_news(&links, i, UP));
	}
}

TEST(an_address_is_news_when_others_can_be_reached_from_it)
{
	CHECK(address_is_news(RT_SCOPE_UNIVERSE, 0));
	CHECK(address_is_news(RT_SCOPE_SITE, 0));
	CHECK(!address_is_news(RT_SCOPE_LINK, 0));
	CHECK(!address_is_news(RT_SCOPE_HOST, 0));
	CHECK(!address_is_news(RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE));
}

TEST(a_lease_that_is_renewed_is_no_news)
{
	CHECK(address_of_age_is_news(0));
	CHECK(address_of_age_is_news(300)); /* duplicate address detection takes its time */
	CHECK(!address_of_age_is_news(60000));
}

TEST(only_a_default_route_that_leads_somewhere_is_news)
{
	CHECK(route_is_news(RTM_NEWROUTE, 0, RTN_UNICAST, 0));
	CHECK(!route_is_news(RTM_NEWROUTE, 24, RTN_UNICAST, 0));
	CHECK(!route_is_news(RTM_NEWROUTE, 0, RTN_UNREACHABLE, 0));
	CHECK(!route_is_news(RTM_NEWROUTE, 0, RTN_UNICAST, RTM_F_CLONED));
	CHECK(!route_is_news(RTM_DELROUTE, 0, RTN_UNICAST, 0));
}

TEST(all_messages_of_a_datagram_are_read)
{
	struct ifinfomsg up = { .ifi_index = 2, .ifi_flags = UP };
	struct rtmsg host = { .rtm_dst_len = 32, .rtm_type = RTN_UNICAST };
	struct wake_links links = { .n_up = 0 };

	begin();
	add_message(RTM_NEWROUTE, &host, sizeof(host));
	add_message(RTM_NEWLINK, &up, sizeof(up));
	add_message(RTM_NEWROUTE, &host, sizeof(host));
	CHECK(wake_is_news(&links, bytes, len));
	CHECK(!wake_is_news(&links, bytes, len));
	CHECK_INT(links.n_up, 1);
}

/* Each length in an allocation of its own, so that a sanitizer sees a byte too far. */
TEST(no_cut_or_lying_message_is_read_past_its_end)
{
	uint32_t master = 5;

	begin_link(RTM_NEWLINK, 2, UP);
	add_attribute(IFLA_MASTER, &master, sizeof(master));
	for (size_t cut = 0; cut <= len; cut++) {
		for (size_t at = 0; at + sizeof(uint16_t) <= cut; at++) {
			struct wake_links links = { .n_up = 0 };
			char *copy = malloc(cut);

			CHECK(copy);
			memcpy(copy, bytes, cut);
			memset(copy + at, 0xff, sizeof(uint16_t));
			(void)wake_is_news(&links, copy, cut);
			memset(copy + at, 0, sizeof(uint16_t));
			(void)wake_is_news(&links, copy, cut);
			free(copy);
		}
	}
}

static struct loop loop;
static struct wake *wake;
static int n_calls;
static enum wake_reason last_reason;
static int64_t last_slept_ms;

static void on_wake(struct wake *from, enum wake_reason reason, int64_t slept)
{
	CHECK(from == wake);
	n_calls++;
	last_reason = reason;
	last_slept_ms = slept;
	loop_stop(&loop);
}

static void on_wake_free(struct wake *from, enum wake_reason reason, int64_t slept)
{
	on_wake(from, reason, slept);
	wake_stop(from);
	free(TAKE(wake));
}

static void start(wake_fn fn)
{
	CHECK_INT(loop_init(&loop), 0);
	wake = malloc(sizeof(*wake));
	CHECK(wake);
	wake_start(wake, &loop, fn);
}

static void stop(void)
{
	wake_stop(wake);
	free(wake);
	loop_fini(&loop);
}

/* In a network of its own, whose only link is down. */
static void leave_network(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		test_skip("may not make a network namespace");
}

static void set_loopback(bool up)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK_INT(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	(void)close(fd);
}

TEST(a_network_that_comes_up_is_told_once_when_it_has_settled)
{
	int64_t began_ms;

	leave_network();
	start(on_wake);
	began_ms = loop_now_ms(&loop);
	for (int i = 0; i < 5; i++) {
		set_loopback(true);
		set_loopback(false);
	}
	set_loopback(true);
	loop_run(&loop);
	CHECK_INT(n_calls, 1);
	CHECK_INT(last_reason, WAKE_NETWORK);
	CHECK(loop_now_ms(&loop) - began_ms >= WAKE_SETTLE_MS);
	CHECK(!timer_is_running(&wake->settle));
	stop();
}

TEST(a_network_that_goes_down_is_no_news)
{
	leave_network();
	set_loopback(true);
	start(on_wake);
	set_loopback(false);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	CHECK(!timer_is_running(&wake->settle));
	stop();
}

/* A change that is told of, and no news. */
static void set_loopback_mtu(int mtu)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK_INT(ioctl(fd, SIOCSIFMTU, &request), 0);
	(void)close(fd);
}

TEST(a_queue_that_ran_over_counts_as_news)
{
	leave_network();
	start(on_wake);
	set_loopback_mtu(1000);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	CHECK(!timer_is_running(&wake->settle));

	CHECK_INT(setsockopt(wake->netlink_fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int)), 0);
	for (int i = 1; i <= 20; i++)
		set_loopback_mtu(1000 + i);
	loop_run(&loop);
	CHECK_INT(n_calls, 1);
	CHECK_INT(last_reason, WAKE_NETWORK);
	stop();
}

/* Stands in for the timerfd: becomes readable as that does when the clock is set. */
static void set_clock(void)
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

	CHECK(fd >= 0 && wake->timer_fd >= 0);
	CHECK_INT(dup3(fd, wake->timer_fd, O_CLOEXEC), wake->timer_fd);
	(void)close(fd);
}

TEST(a_clock_that_is_set_after_a_sleep_tells_how_long_it_was)
{
	start(on_wake);
	set_clock();
	wake->slept_before_ms -= 3600000;
	loop_run(&loop);
	CHECK_INT(n_calls, 1);
	CHECK_INT(last_reason, WAKE_RESUME);
	CHECK(last_slept_ms >= 3600000 && last_slept_ms < 3601000);
	stop();
}

TEST(a_clock_that_is_only_set_is_no_news)
{
	start(on_wake);
	set_clock();
	for (int i = 0; i < 3; i++)
		(void)ev_run(loop.ev, EVRUN_NOWAIT);
	CHECK_INT(n_calls, 0);
	CHECK_INT(read(wake->timer_fd, bytes, 8), -1); /* it was read: nothing spins */
	stop();
}

TEST(it_may_be_freed_when_it_calls)
{
	start(on_wake_free);
	set_clock();
	wake->slept_before_ms -= 3600000;
	loop_run(&loop);
	CHECK_INT(n_calls, 1);

	leave_network();
	wake = malloc(sizeof(*wake));
	CHECK(wake);
	wake_start(wake, &loop, on_wake_free);
	set_loopback(true);
	loop_run(&loop);
	CHECK_INT(n_calls, 2);
	CHECK(!wake);
	stop();
}

TEST(what_cannot_be_watched_is_left_out)
{
	struct rlimit before, none;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	CHECK_INT(loop_init(&loop), 0);
	wake = malloc(sizeof(*wake));
	CHECK(wake);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
	wake_start(wake, &loop, on_wake);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK(wake->netlink_fd < 0 && wake->timer_fd < 0);
	CHECK(!ev_is_active(&wake->netlink) && !ev_is_active(&wake->timer));
	stop();
	wake_stop(NULL);
}
