/* SPDX-License-Identifier: MIT */
#include "io/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/test.h"

static const char *unit_in(const char *cgroup)
{
	static char unit[UNIT_NAME_SIZE];

	return unit_of_cgroup(cgroup, unit) ? unit : "-";
}

TEST(the_unit_is_the_first_below_the_slices)
{
	CHECK_TEXT(unit_in("0::/system.slice/cron.service\n"), "cron.service");
	CHECK_TEXT(unit_in("0::/system.slice/system-getty.slice/getty@tty1.service\n"),
		   "getty@tty1.service");
	CHECK_TEXT(unit_in("0::/user.slice/user-1000.slice/session-3.scope\n"), "session-3.scope");
	CHECK_TEXT(unit_in("0::/init.scope\n"), "init.scope");
	CHECK_TEXT(unit_in("0::/system.slice/_cpu.service"), "cpu.service");
}

TEST(a_user_unit_says_more_than_the_manager_it_is_in)
{
	CHECK_TEXT(unit_in("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
			   "agent.service\n"),
		   "agent.service");
	CHECK_TEXT(unit_in("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n"),
		   "init.scope");
	CHECK_TEXT(unit_in("0::/user.slice/user-1000.slice/user@1000.service/app.slice\n"),
		   "user@1000.service");
}

TEST(a_unit_is_not_what_its_own_cgroups_are_called)
{
	CHECK_TEXT(unit_in("0::/system.slice/docker.service/system.slice/sshd.service\n"),
		   "docker.service");
	CHECK_TEXT(unit_in("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
			   "agent.service/user@0.service/sshd.service\n"),
		   "agent.service");
	CHECK_TEXT(unit_in("0::/system.slice/user@1.service/payload/sshd.service\n"),
		   "user@1.service");
}

TEST(where_there_are_no_units_there_is_none)
{
	CHECK_TEXT(unit_in(""), "-");
	CHECK_TEXT(unit_in("\n"), "-");
	CHECK_TEXT(unit_in("0::/\n"), "-");
	CHECK_TEXT(unit_in("0::/system.slice\n"), "-");
	CHECK_TEXT(unit_in("0::/.service\n"), "-");
	CHECK_TEXT(unit_in("0::/lxc/payload/cron.service\n"), "-");
	CHECK_TEXT(unit_in("0::/../cron.service\n"), "-");
	CHECK_TEXT(unit_in("4:cpu:/system.slice/cron.service\n"), "-");
	CHECK_TEXT(unit_in("no colon"), "-");
}

TEST(of_several_hierarchies_the_one_of_systemd_counts)
{
	CHECK_TEXT(unit_in("12:cpu,cpuacct:/other.service\n"
			   "1:name=systemd:/system.slice/cron.service\n"
			   "0::/other.service\n"),
		   "cron.service");
	CHECK_TEXT(unit_in("0::/system.slice/other.service\n"
			   "1:name=systemd:/system.slice/cron.service\n"),
		   "cron.service");
	CHECK_TEXT(unit_in("3:cpu:/\n0::/system.slice/cron.service\n"), "cron.service");
}

TEST(a_process_that_is_gone_has_no_unit)
{
	char unit[UNIT_NAME_SIZE];

	CHECK(!unit_of_process(0x7fffffff, unit));
	/* Wherever this runs: it can be asked. */
	(void)unit_of_process(getpid(), unit);
}
