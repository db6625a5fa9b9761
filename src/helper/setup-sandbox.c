/* SPDX-License-Identifier: MIT */
#include "helper/setup-sandbox.h"

#include <asm/sockios.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/util.h"
#include "helper/capabilities.h"
#include "helper/setup-landlock.h"
#include "helper/setup-warden.h"

#define DESCRIPTORS 1024 /* the daemon's limit is for thousands of connections */
#define PROCESSES 4096   /* and threads, of the user: no compiler needs them, and a host has more */
#define NICE 10          /* a heartbeat goes before a compiler */

/* Later than the oldest libraries that we build with; the same numbers everywhere. */
#define NR_FCHMODAT2 452
#define NR_SETXATTRAT 463
#define NR_REMOVEXATTRAT 466
#define NR_FILE_SETATTR 469

/* What no installation of packages needs, and a way out or into others would. */
static const int forbidden[] = {
	SCMP_SYS(add_key),
	SCMP_SYS(bpf),
	SCMP_SYS(io_uring_enter), /* it makes sockets that no filter sees */
	SCMP_SYS(io_uring_register),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(keyctl),
	SCMP_SYS(kcmp),
	SCMP_SYS(migrate_pages),
	SCMP_SYS(move_pages),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal), /* a directory in /proc will do, and says nothing here */
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(ptrace),
	SCMP_SYS(request_key),
	SCMP_SYS(userfaultfd),
};

/* Their first argument says who is meant. */
static const int signalling[] = {
	SCMP_SYS(kill),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(tgkill),
	SCMP_SYS(tkill),
};

/*
 * What these change of one process they change of any of the same user: a limit of
 * open files, and the daemon opens none any more. Their first argument says whose; 0
 * is whoever calls.
 */
static const int meddling[] = {
	SCMP_SYS(prlimit64),      SCMP_SYS(sched_setaffinity),  SCMP_SYS(sched_setattr),
	SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler),
};

/* An access control list is a mode by another name. */
static const int labelling[] = {
	SCMP_SYS(fremovexattr), SCMP_SYS(fsetxattr),   SCMP_SYS(lremovexattr),
	SCMP_SYS(lsetxattr),    SCMP_SYS(removexattr), SCMP_SYS(setxattr),
	NR_SETXATTRAT,          NR_REMOVEXATTRAT,      NR_FILE_SETATTR,
};

/* A signal by way of a file: whom it goes to, and which. */
static const int file_owners[] = { F_SETOWN, F_SETOWN_EX, F_SETSIG };
static const unsigned socket_owners[] = { FIOSETOWN, SIOCSPGRP };

int setup_sandbox_landlock_version(void)
{
	return setup_landlock_version();
}

/* A limit that is kept from us is one that the service has set already. */
static void set_limits(void)
{
	struct rlimit files, processes;

	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	(void)setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 0, 0 });
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = MIN(files.rlim_cur, (rlim_t)DESCRIPTORS);
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (getrlimit(RLIMIT_NPROC, &processes) == 0) {
		processes.rlim_cur = MIN(processes.rlim_cur, (rlim_t)PROCESSES);
		processes.rlim_max = processes.rlim_cur;
		(void)setrlimit(RLIMIT_NPROC, &processes);
	}
	(void)setpriority(PRIO_PROCESS, 0, NICE);
}

/* Arguments of type int: the upper half of the register may hold anything. */
#define INT_IS(n, value) SCMP_A##n(SCMP_CMP_MASKED_EQ, UINT64_C(0xffffffff), (uint32_t)(value))
#define FIRST_IS(value) INT_IS(0, value)

static int forbid_signals_to(scmp_filter_ctx filter, pid_t pid)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(signalling); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), signalling[i], 1,
				     FIRST_IS(pid));
	return r;
}

/* A process goes by the number of each of its threads, too, and by that of its group. */
static int forbid_signals_to_all_of(scmp_filter_ctx filter, pid_t pid)
{
	pid_t group = getpgid(pid);
	struct dirent *entry;
	char path[32];
	DIR *tasks;
	int r;

	r = forbid_signals_to(filter, pid);
	if (r == 0 && group > 1)
		r = forbid_signals_to(filter, -group);

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && r == 0 && (entry = readdir(tasks))) {
		int64_t task;

		if (parse_int64(entry->d_name, 1, INT32_MAX, &task) == 0 && task != pid)
			r = forbid_signals_to(filter, (pid_t)task);
	}
	if (tasks)
		(void)closedir(tasks);
	return r;
}

/* With whom it names compared whole: what is in the upper half is at worst refused. */
static int forbid_meddling(scmp_filter_ctx filter)
{
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(meddling); i++)
		r = seccomp_rule_add(filter, refuse, meddling[i], 1, SCMP_A0(SCMP_CMP_NE, 0));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(setpriority), 1,
				     SCMP_A0(SCMP_CMP_NE, PRIO_PROCESS));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(setpriority), 1,
				     SCMP_A1(SCMP_CMP_NE, 0));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(ioprio_set), 1,
				     SCMP_A0(SCMP_CMP_NE, IOPRIO_WHO_PROCESS));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(ioprio_set), 1,
				     SCMP_A1(SCMP_CMP_NE, 0));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(file_owners); i++)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(fcntl), 1, INT_IS(1, file_owners[i]));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(socket_owners); i++)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(ioctl), 1,
				     INT_IS(1, socket_owners[i]));
	return r;
}

#define SETS(n, bits) SCMP_A##n(SCMP_CMP_MASKED_EQ, (bits), (bits))

/*
 * A program of ours that others may run with our rights would be the way to our
 * tokens. What opens files with a structure that no filter can look into is not
 * there: libraries do without.
 */
static int forbid_set_id(scmp_filter_ctx filter, uint64_t bit)
{
	const uint64_t creates[] = { O_CREAT, O_TMPFILE };
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	int r;

	r = seccomp_rule_add(filter, refuse, SCMP_SYS(chmod), 1, SETS(1, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(fchmod), 1, SETS(1, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(fchmodat), 1, SETS(2, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, NR_FCHMODAT2, 1, SETS(2, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(creat), 1, SETS(1, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(mknod), 1, SETS(1, bit));
	if (r == 0)
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(mknodat), 1, SETS(2, bit));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(creates); i++) {
		r = seccomp_rule_add(filter, refuse, SCMP_SYS(open), 2, SETS(1, creates[i]),
				     SETS(2, bit));
		if (r == 0)
			r = seccomp_rule_add(filter, refuse, SCMP_SYS(openat), 2,
					     SETS(2, creates[i]), SETS(3, bit));
	}
	return r;
}

/* What Landlock does not confine, and would open files of ours to others. */
static int keep_to_its_own(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(labelling); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EOPNOTSUPP), labelling[i], 0);
	/* It does from its third version on. Programs open a file first. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(truncate), 0);
	if (r == 0)
		r = setup_warden_add_rules(filter);
	return r;
}

static int fill_filter(scmp_filter_ctx filter, const struct setup_sandbox *sandbox, bool confined)
{
	int r;

	/* Of another architecture the calls have other numbers. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(forbidden); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
				     FIRST_IS(AF_UNIX));
	/* Landlock does this better, from its sixth version on. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
				     FIRST_IS(-1));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
	if (r == 0)
		r = forbid_set_id(filter, S_ISUID);
	if (r == 0)
		r = forbid_set_id(filter, S_ISGID);
	if (r == 0)
		r = forbid_signals_to_all_of(filter, sandbox->keeper);
	if (r == 0)
		r = forbid_signals_to_all_of(filter, sandbox->daemon);
	if (r == 0)
		r = forbid_meddling(filter);
	if (r == 0 && confined)
		r = keep_to_its_own(filter);
	return r;
}

static int put_up_filter(const struct setup_sandbox *sandbox, bool confined, struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!filter)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a filter");

	r = fill_filter(filter, sandbox, confined);
	if (r == 0)
		r = seccomp_load(filter);
	if (r < 0)
		(void)error_set(err, ERROR_INTERNAL, -r,
				"cannot put up a filter of system calls: %m");
	else if (confined)
		r = setup_warden_send(sandbox->warden, filter, err);
	seccomp_release(filter);
	return r;
}

int setup_sandbox_enter(const struct setup_sandbox *sandbox, struct error *err)
{
	int version = setup_landlock_version();
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot give up new privileges: %m");
	if (capabilities_drop() < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot give up capabilities: %m");

	set_limits();
	if (version > 0) {
		r = setup_landlock_enter(version, sandbox->tree, sandbox->temporary, err);
		if (r < 0)
			return r;
	}

	return put_up_filter(sandbox, version > 0, err);
}
