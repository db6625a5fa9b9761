/* SPDX-License-Identifier: MIT */
#include "helper/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "helper/beneath.h"
#include "helper/capabilities.h"
#include "helper/landlock.h"

/*
 * Writable memory: the libraries' own and what they take. The list of files is
 * bounded (ledger.h), all else is buffers of fixed size.
 */
#define DATA_MAX (UINT64_C(16) << 20)

/* Inflating and hashing 512 MiB takes five seconds; this is for slow machines. */
#define CPU_SECONDS_MAX 120

#define KEEPER_DESCRIPTORS 24

#define ALLOW(name)                            \
	{                                      \
		SCMP_SYS(name), SCMP_ACT_ALLOW \
	}
/* What libraries try and do without: it fails, and nothing comes of it. */
#define DENY(name)                                     \
	{                                              \
		SCMP_SYS(name), SCMP_ACT_ERRNO(EACCES) \
	}

struct rule {
	int syscall;
	uint32_t action;
};

static const struct rule rules_of_both[] = {
	ALLOW(brk),
	ALLOW(clock_gettime),
	ALLOW(close),
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW(futex),
	ALLOW(getpid),
	ALLOW(getrandom),
	ALLOW(gettid),
	ALLOW(madvise),
	ALLOW(mremap),
	ALLOW(munmap),
	ALLOW(restart_syscall),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigreturn),
	ALLOW(sigaltstack),
	DENY(access),
	DENY(faccessat),
	DENY(faccessat2),
	DENY(ioctl),
	DENY(open),
	DENY(readlink),
	DENY(stat),
	DENY(statx),
	DENY(sysinfo),
	DENY(uname),
};

static const struct rule rules_of_reader[] = {
	DENY(fstat), DENY(newfstatat), DENY(openat), DENY(openat2), DENY(readlinkat),
};

static const struct rule rules_of_keeper[] = {
	ALLOW(dup),        ALLOW(fchmod),    ALLOW(fchmodat), ALLOW(fcntl),      ALLOW(fstat),
	ALLOW(getdents64), ALLOW(lseek),     ALLOW(mkdirat),  ALLOW(newfstatat), ALLOW(openat2),
	ALLOW(poll),       ALLOW(ppoll),     ALLOW(read),     ALLOW(renameat2),  ALLOW(syncfs),
	ALLOW(unlinkat),   ALLOW(utimensat), ALLOW(wait4),    ALLOW(write),
};

static const struct rule rules_with_links[] = {
	ALLOW(flock), ALLOW(fsync), ALLOW(readlinkat), ALLOW(renameat), ALLOW(symlinkat),
};

static const struct rule rules_without_links[] = {
	DENY(readlinkat),
};

static int refuse_to_run(struct error *err, int errnum, const char *what)
{
	return error_set(err, ERROR_INTERNAL, errnum,
			 "cannot %s, and unpacks nothing without a sandbox: %m", what);
}

static int refuse_filter(struct error *err, int errnum)
{
	return refuse_to_run(err, errnum, "put up its filter of system calls");
}

/* Its memory, too: what is in there is nobody's business once something has been taken over. */
static void forget_environment(void)
{
	for (char **text = environ; text && *text; text++)
		explicit_bzero(*text, strlen(*text));
	(void)clearenv();
}

int sandbox_begin(int n_kept, bool keep_capabilities, struct error *err)
{
	if (syscall(SYS_close_range, (unsigned)n_kept, ~0u, 0) < 0)
		return refuse_to_run(err, errno, "close what it was given");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return refuse_to_run(err, errno, "give up new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return refuse_to_run(err, errno, "close itself to others");
	if (!keep_capabilities && capabilities_drop() < 0)
		return refuse_to_run(err, errno, "give up capabilities");

	forget_environment();
	(void)umask(0);
	/* Both are answered where they happen. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static int set_limits(uint64_t file_size, rlim_t n_descriptors, struct error *err)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t max;
	} limits[] = {
#ifndef HELPER_SANITIZED /* a sanitizer maps terabytes */
		{ RLIMIT_DATA, DATA_MAX },
#endif
		{ RLIMIT_FSIZE, file_size },
		{ RLIMIT_NOFILE, n_descriptors },
		{ RLIMIT_CPU, CPU_SECONDS_MAX },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit limit, old;

		if (getrlimit(limits[i].resource, &old) < 0)
			return refuse_to_run(err, errno, "read its limits");
		limit.rlim_cur = limit.rlim_max = MIN(limits[i].max, old.rlim_max);
		if (setrlimit(limits[i].resource, &limit) < 0)
			return refuse_to_run(err, errno, "limit itself");
	}
	return 0;
}

static int add_rules(scmp_filter_ctx filter, const struct rule *rules, size_t n_rules)
{
	int r = 0;

	for (size_t i = 0; i < n_rules && r == 0; i++)
		r = seccomp_rule_add(filter, rules[i].action, rules[i].syscall, 0);

	return r;
}

/* Arguments of type int: the upper half of the register may hold anything. */
#define INT_IS(n, value) SCMP_CMP##n(SCMP_CMP_MASKED_EQ, UINT64_C(0xffffffff), (uint32_t)(value))
#define SCMP_CMP0(...) SCMP_A0(__VA_ARGS__)
#define SCMP_CMP1(...) SCMP_A1(__VA_ARGS__)

/* Memory that is nobody else's, and never to be executed; abort(). */
static int add_rules_with_arguments(scmp_filter_ctx filter)
{
	int r;

	r = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     INT_IS(0, getpid()));
	return r;
}

static int add_rules_of_reader(scmp_filter_ctx filter, int read_fd, int write_fd)
{
	int r;

	r = add_rules(filter, rules_of_reader, ARRAY_LEN(rules_of_reader));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, INT_IS(0, read_fd));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				     INT_IS(0, write_fd));
	/* What a sanitizer or a failed assertion has to say. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				     INT_IS(0, STDERR_FILENO));
	return r;
}

static int add_rules_of_keeper(scmp_filter_ctx filter, const struct sandbox_keeper *keeper,
			       bool needs_openat)
{
	int r;

	r = add_rules(filter, rules_of_keeper, ARRAY_LEN(rules_of_keeper));
	if (r == 0 && keeper->links)
		r = add_rules(filter, rules_with_links, ARRAY_LEN(rules_with_links));
	else if (r == 0)
		r = add_rules(filter, rules_without_links, ARRAY_LEN(rules_without_links));
	if (r == 0)
		r = seccomp_rule_add(filter, needs_openat ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES),
				     SCMP_SYS(openat), 0);
	for (size_t i = 0; i < ARRAY_LEN(keeper->children) && r == 0; i++)
		if (keeper->children[i])
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 2,
					     INT_IS(0, keeper->children[i]), INT_IS(1, SIGKILL));
	return r;
}

/* Sets the limits, and makes a filter that lets no system call pass yet. */
static int begin_filter(uint64_t file_size, rlim_t n_descriptors, scmp_filter_ctx *ret_filter,
			struct error *err)
{
	scmp_filter_ctx filter;
	int r;

	r = set_limits(file_size, n_descriptors, err);
	if (r < 0)
		return r;

	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return refuse_filter(err, ENOMEM);

	*ret_filter = filter;
	return 0;
}

/* Ends the filter, whatever r is. */
static int put_up(scmp_filter_ctx filter, int r, struct error *err)
{
	if (r == 0)
		r = add_rules(filter, rules_of_both, ARRAY_LEN(rules_of_both));
	if (r == 0)
		r = add_rules_with_arguments(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r == 0 ? 0 : refuse_filter(err, -r);
}

int sandbox_reader(int read_fd, int write_fd, struct error *err)
{
	scmp_filter_ctx filter;
	int r;

	/* No descriptor can be had any more: those that are open are all. */
	r = begin_filter(0, 0, &filter, err);
	if (r < 0)
		return r;
	return put_up(filter, add_rules_of_reader(filter, read_fd, write_fd), err);
}

int sandbox_flusher(int read_fd, int directory, struct error *err)
{
	scmp_filter_ctx filter;
	int r;

	r = begin_filter(0, 0, &filter, err);
	if (r < 0)
		return r;

	r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, INT_IS(0, read_fd));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(syncfs), 1,
				     INT_IS(0, directory));
	return put_up(filter, r, err);
}

int sandbox_keeper(const struct sandbox_keeper *keeper, struct error *err)
{
	bool needs_openat = beneath_needs_openat(keeper->directory);
	scmp_filter_ctx filter;
	int r;

	r = landlock_confine(keeper->directory, keeper->moves, keeper->links, err);
	if (r < 0)
		return r;

	r = begin_filter(keeper->file_size, KEEPER_DESCRIPTORS, &filter, err);
	if (r < 0)
		return r;

	return put_up(filter, add_rules_of_keeper(filter, keeper, needs_openat), err);
}
