/* SPDX-License-Identifier: MIT */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

#define PATIENCE_S 60

static bool no_pidfd; /* as on an old kernel */

int __real_pidfd_open(pid_t pid, unsigned flags);
int __wrap_pidfd_open(pid_t pid, unsigned flags);

int __wrap_pidfd_open(pid_t pid, unsigned flags)
{
	if (!no_pidfd)
		return __real_pidfd_open(pid, flags);

	errno = ENOSYS;
	return -1;
}

static const char *const no_environment[] = { NULL };

static struct loop loop;
static struct reaper *reaper;

struct child {
	struct process process;
	struct process_end end;
	unsigned n_ends;
	char said[4096]; /* the first of it */
	size_t n_said;   /* all of it */
	unsigned n_ends_of_output;
	bool pauses, stops;
	size_t to_write; /* how much yet */
};

static unsigned n_running;

static void on_end(struct process *process, const struct process_end *end)
{
	struct child *child = container_of(process, struct child, process);

	CHECK(!process_is_running(process));
	child->end = *end;
	child->n_ends++;
	if (--n_running == 0)
		loop_stop(&loop);
}

static void on_output(struct process *process, int fd, const char *bytes, size_t len)
{
	struct child *child = container_of(process, struct child, process);

	CHECK(fd == 1 || fd == 2);
	if (!len)
		child->n_ends_of_output++;
	if (child->n_said + len < sizeof(child->said))
		memcpy(child->said + child->n_said, bytes, len);
	child->n_said += len;

	if (child->pauses && len)
		process_pause(process);
	if (child->stops) {
		process_stop(process);
		loop_stop(&loop);
	}
}

static void write_more(struct child *child)
{
	static const char bytes[PROCESS_INPUT_MAX];

	while (child->to_write) {
		size_t len = MIN(child->to_write, sizeof(bytes));
		int r = process_write(&child->process, bytes, len);

		if (r == -EAGAIN)
			return;
		CHECK_INT(r, 0);
		child->to_write -= len;
	}
	process_end_input(&child->process);
}

static void on_room(struct process *process)
{
	write_more(container_of(process, struct child, process));
}

static const struct process_callbacks callbacks = {
	.on_end = on_end,
	.on_output = on_output,
	.on_room = on_room,
};

static void begin(void)
{
	(void)alarm(PATIENCE_S);
	CHECK(loop_init(&loop) == 0);
	CHECK(reaper_new(&loop, &reaper) == 0);
}

static void end(void)
{
	reaper_free(reaper);
	loop_fini(&loop);
	/* Nobody is left behind, dead or alive. */
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static struct process_spec say(const char *const *argv)
{
	return (struct process_spec){
		.what = "run a test",
		.argv = argv,
		.environment = no_environment,
		.dirfd = -1,
		.fds = { [1] = { PROCESS_FD_OUTPUT }, [2] = { PROCESS_FD_OUTPUT } },
	};
}

static void start(struct child *child, const struct process_spec *spec)
{
	struct error err = { 0 };

	process_init(&child->process, &callbacks);
	if (process_start(&child->process, reaper, spec, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	n_running++;
}

static void run(struct child *child, const struct process_spec *spec)
{
	child->n_ends = 0;
	start(child, spec);
	loop_run(&loop);
	CHECK_INT(child->n_ends, 1);
}

static void run_script(struct child *child, const char *script)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct process_spec spec = say(argv);

	run(child, &spec);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Orphans that are not ours to reap may lie about as zombies, which are gone enough. */
static bool is_dead(pid_t pid)
{
	char path[64], line[512] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	(void)fclose(file);
	return strstr(line, ") Z ") || strstr(line, ") X ");
}

static void on_timeout(struct timer *timer)
{
	loop_stop(&loop);
}

static void run_for(int64_t ms)
{
	struct timer timer;

	timer_init(&timer, &loop, on_timeout);
	timer_start(&timer, ms);
	loop_run(&loop);
}

static void run_until_dead(pid_t pid)
{
	CHECK(pid > 1);
	while (!is_dead(pid))
		run_for(5);
}

TEST(tells_how_a_child_has_ended_and_may_have_another)
{
	struct child child = { 0 };

	begin();
	run_script(&child, "exit 0");
	CHECK_INT(child.end.status, 0);
	CHECK_INT(child.end.signal, 0);
	CHECK(!child.end.timed_out);

	run_script(&child, "exit 3");
	CHECK_INT(child.end.status, 3);

	run_script(&child, "kill -KILL $$");
	CHECK_INT(child.end.status, -1);
	CHECK_INT(child.end.signal, SIGKILL);
	end();
}

TEST(hears_of_the_end_without_a_pidfd_too)
{
	struct child child = { 0 }, other = { 0 };
	const char *const argv[] = { "/bin/sh", "-c", "exit 4", NULL };
	struct process_spec spec = say(argv);

	begin();
	no_pidfd = true;
	start(&child, &spec);
	run(&other, &spec);
	CHECK_INT(child.end.status, 4);
	CHECK_INT(other.end.status, 4);
	end();
}

TEST(what_a_child_says_comes_whole_and_before_its_end)
{
	struct child child = { 0 };

	begin();
	run_script(&child, "echo out; echo err >&2");
	CHECK_INT(child.n_said, 8);
	CHECK(strstr(child.said, "out\n") && strstr(child.said, "err\n"));
	CHECK_INT(child.n_ends_of_output, 2);
	end();
}

TEST(a_child_has_only_the_descriptors_it_was_given)
{
	static const char *const script =
		"n=0; while [ $n -lt 64 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done";
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	/* As whoever started us may have left some open. */
	for (int i = 3; i < 60; i += 7)
		CHECK(dup2(0, i) == i);
	begin();
	spec.fds[4] = (struct process_fd){ PROCESS_FD_GIVEN, 10 };
	run(&child, &spec);
	CHECK_TEXT(child.said, "0\n1\n2\n4\n");
	end();
}

TEST(descriptors_may_change_places)
{
	const char *const argv[] = { "/bin/sh", "-c", "read a <&3; read b <&4; echo $a $b", NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };
	int one[2], other[2];

	CHECK(pipe2(one, O_CLOEXEC) == 0 && pipe2(other, O_CLOEXEC) == 0);
	CHECK(write(one[1], "one\n", 4) == 4 && write(other[1], "other\n", 6) == 6);
	CHECK(dup2(one[0], 44) == 44 && dup2(other[0], 45) == 45);
	/* Each stands where the other is to be. */
	CHECK(dup3(44, 4, O_CLOEXEC) == 4 && dup3(45, 3, O_CLOEXEC) == 3);
	begin();
	spec.fds[3] = (struct process_fd){ PROCESS_FD_GIVEN, 4 };
	spec.fds[4] = (struct process_fd){ PROCESS_FD_GIVEN, 3 };
	run(&child, &spec);
	CHECK_TEXT(child.said, "one other\n");
	end();
}

TEST(a_child_has_only_the_environment_it_was_given)
{
	static const char *const environment[] = { "A=1", "B=x y", NULL };
	const char *const argv[] = { "/usr/bin/env", NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	begin();
	CHECK(setenv("MOLECULE_TOKEN", "canary", 1) == 0);
	spec.environment = environment;
	run(&child, &spec);
	CHECK_TEXT(child.said, "A=1\nB=x y\n");
	end();
}

TEST(a_child_ignores_and_blocks_no_signal)
{
	const char *const argv[] = { "/bin/grep", "-hoE", "Sig(Blk|Ign).*", "/proc/self/status",
				     NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };
	unsigned long long blocks, ignores;
	sigset_t blocked;

	begin();
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	run(&child, &spec);
	CHECK(sscanf(child.said, "SigBlk: %llx SigIgn: %llx", &blocks, &ignores) == 2);
	CHECK_INT(blocks, 0);
	/* The C library keeps two for itself, in every child of posix_spawn(). */
	CHECK_INT(ignores & ~(3ull << 31), 0);
	end();
}

TEST(a_child_has_a_session_of_its_own)
{
	struct child child = { 0 };
	int pid, group, session;

	begin();
	/* pid (comm) state ppid pgrp session */
	run_script(&child, "read p c s pp g sess rest < /proc/$$/stat; echo $p $g $sess");
	CHECK(sscanf(child.said, "%d %d %d", &pid, &group, &session) == 3);
	CHECK_INT(group, pid);
	CHECK_INT(session, pid);
	CHECK(session != getsid(0));
	end();
}

TEST(a_child_runs_where_it_was_told)
{
	const char *const argv[] = { "/bin/pwd", NULL };
	struct process_spec spec = say(argv);
	struct child there = { 0 }, nowhere = { 0 };
	char here[256];

	begin();
	CHECK(getcwd(here, sizeof(here)));
	spec.dirfd = open(".", O_PATH | O_CLOEXEC);
	run(&there, &spec);
	there.said[strcspn(there.said, "\n")] = '\0';
	CHECK_TEXT(there.said, here);

	spec.dirfd = -1;
	run(&nowhere, &spec);
	CHECK_TEXT(nowhere.said, "/\n");
	end();
}

TEST(a_program_that_is_not_there_has_never_run)
{
	const char *const argv[] = { "/nonexistent/unpack", NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	begin();
	spec.fds[0] = (struct process_fd){ PROCESS_FD_INPUT };
	run(&child, &spec);
	CHECK_INT(child.end.never_ran, -ENOENT);
	CHECK_INT(child.n_ends_of_output, 2);

	run_script(&child, "exit 0");
	CHECK_INT(child.end.never_ran, 0);
	end();
}

TEST(input_waits_for_a_child_that_is_slow_and_takes_no_memory)
{
	const char *const argv[] = { "/usr/bin/wc", "-c", NULL };
	struct process_spec spec = say(argv);
	struct child child = { .to_write = 40u << 20 };

	begin();
	spec.fds[0] = (struct process_fd){ PROCESS_FD_INPUT };
	start(&child, &spec);
	write_more(&child);
	CHECK(child.to_write > 39u << 20);
	loop_run(&loop);
	CHECK_TEXT(child.said, "41943040\n");
	end();
}

TEST(a_child_that_reads_no_more_is_told_of)
{
	const char *const argv[] = { "/bin/sh", "-c", "exec <&-; echo closed; exec sleep 1000",
				     NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	begin();
	spec.fds[0] = (struct process_fd){ PROCESS_FD_INPUT };
	child.pauses = true;
	start(&child, &spec);
	while (!child.n_said)
		run_for(5);
	CHECK_INT(process_write(&child.process, "x", 1), -EPIPE);
	CHECK_INT(process_write(&child.process, "x", 1), -EPIPE);
	process_stop(&child.process);
	end();
}

TEST(a_paused_child_is_held_up_and_loses_nothing)
{
	const char *const argv[] = { "/usr/bin/head", "-c", "1000000", "/dev/zero", NULL };
	struct process_spec spec = say(argv);
	struct child child = { .pauses = true };
	size_t n_said;

	begin();
	start(&child, &spec);
	while (!child.n_said)
		run_for(5);
	n_said = child.n_said;
	CHECK(n_said <= PROCESS_READ_MAX);
	run_for(100);
	CHECK_INT(child.n_said, n_said);
	CHECK_INT(child.n_ends, 0);

	child.pauses = false;
	process_resume(&child.process);
	loop_run(&loop);
	CHECK_INT(child.n_said, 1000000);
	CHECK_INT(child.end.status, 0);
	end();
}

TEST(the_end_waits_for_one_who_has_paused)
{
	const char *const argv[] = { "/bin/sh", "-c", "echo $$", NULL };
	struct process_spec spec = say(argv);
	struct child child = { .pauses = true };

	begin();
	start(&child, &spec);
	while (!child.n_said)
		run_for(5);
	run_until_dead(atoi(child.said));
	run_for(50);
	CHECK_INT(child.n_ends, 0);

	child.pauses = false;
	process_resume(&child.process);
	loop_run(&loop);
	CHECK_INT(child.n_ends, 1);
	CHECK_INT(child.n_ends_of_output, 2);
	end();
}

TEST(a_child_that_takes_too_long_is_asked_to_end)
{
	const char *const argv[] = { "/bin/sleep", "1000", NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	begin();
	spec.timeout_ms = 50;
	spec.grace_ms = 60000;
	run(&child, &spec);
	CHECK(child.end.timed_out);
	CHECK_INT(child.end.signal, SIGTERM);
	end();
}

TEST(a_child_that_will_not_end_is_killed)
{
	const char *const argv[] = { "/bin/sh", "-c",
				     "trap '' TERM; echo deaf; while :; do sleep 1000; done",
				     NULL };
	struct process_spec spec = say(argv);
	struct child child = { 0 };

	begin();
	spec.timeout_ms = 300;
	spec.grace_ms = 50;
	run(&child, &spec);
	CHECK(child.end.timed_out);
	CHECK_INT(child.end.signal, SIGKILL);
	end();
}

TEST(nobody_hears_of_a_child_that_was_stopped)
{
	const char *const argv[] = { "/bin/sh", "-c", "sleep 1000 & echo $$ $!; wait", NULL };
	struct process_spec spec = say(argv);
	struct child child = { .stops = true };
	pid_t pid;
	char *rest;

	begin();
	start(&child, &spec);
	loop_run(&loop);
	CHECK(!process_is_running(&child.process));
	CHECK_INT(child.n_ends, 0);

	/* It, and what it had started. */
	pid = (pid_t)strtol(child.said, &rest, 10);
	run_until_dead(pid);
	run_until_dead((pid_t)strtol(rest, NULL, 10));
	while (!is_gone(pid))
		run_for(5);
	CHECK_INT(child.n_ends, 0);
	end();
}

TEST(what_a_child_leaves_in_its_group_dies_with_it)
{
	struct child child = { 0 };

	begin();
	/* It keeps the pipes open, too: the end does not wait for that. */
	run_script(&child, "trap '' TERM HUP; sleep 1000 & echo $!");
	CHECK_INT(child.end.status, 0);
	run_until_dead(atoi(child.said));
	end();
}

TEST(what_has_left_the_group_dies_as_an_orphan)
{
	struct child child = { 0 };

	begin();
	run_script(&child, "setsid sh -c 'setsid sleep 1000 & echo $!'");
	CHECK_INT(child.end.status, 0);
	run_until_dead(atoi(child.said));
	end();
}

TEST(a_chain_of_orphans_dies_link_by_link)
{
	struct child child = { 0 };
	char *rest;

	begin();
	run_script(&child, "setsid -f sh -c 'setsid sh -c \"sleep 1000 & echo \\$!; wait\" & "
			   "echo $!; wait'; read x < /dev/null; sleep 0.3");
	run_until_dead((pid_t)strtol(child.said, &rest, 10));
	run_until_dead((pid_t)strtol(rest, NULL, 10));
	end();
}

TEST(children_of_before_are_left_alone)
{
	struct child child = { 0 };
	pid_t stranger;

	stranger = fork();
	if (stranger == 0)
		for (;;)
			(void)pause();
	CHECK(stranger > 0);

	begin();
	run_script(&child, "exit 0");
	run_for(50);
	CHECK(kill(stranger, 0) == 0 && !is_dead(stranger));
	CHECK(kill(stranger, SIGKILL) == 0 && waitpid(stranger, NULL, 0) == stranger);
	end();
}

TEST(a_hundred_children_end_and_none_remains)
{
	static struct child children[100];
	const char *const argv[] = { "/bin/sh", "-c", "echo $$; exit 7", NULL };
	struct process_spec spec = say(argv);

	begin();
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		start(&children[i], &spec);
	loop_run(&loop);
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		CHECK_INT(children[i].end.status, 7);
		CHECK(children[i].n_said > 1);
		CHECK(is_gone(atoi(children[i].said)));
	}
	end();
}

TEST(the_end_of_the_program_takes_all_children_along)
{
	const char *const argv[] = { "/bin/sh", "-c", "trap '' TERM; echo $$; sleep 1000", NULL };
	struct process_spec spec = say(argv);
	struct child child = { .stops = true };

	begin();
	start(&child, &spec);
	loop_run(&loop);
	end();
	CHECK(is_gone(atoi(child.said)));
}
