/* SPDX-License-Identifier: MIT */
/*
 * A birth that takes as long as these tests want: posix_spawn() is theirs, and
 * waits for them.
 */

#include "io/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/util.h"
#include "io/process.h"
#include "lib/test.h"

#define PATIENCE_S 60

static sem_t may_be_born, is_labour;
static volatile pid_t midwife; /* the thread that is in posix_spawn() */

int __real_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const environment[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const environment[]);

int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const environment[])
{
	midwife = gettid();
	(void)sem_post(&is_labour);
	while (sem_wait(&may_be_born) < 0)
		;
	return __real_posix_spawn(pid, path, actions, attr, argv, environment);
}

static struct loop loop;
static struct reaper *reaper;
static struct process process;
static struct process_end how;
static unsigned n_ends, n_wanted = 1;
static char said[256];
static size_t n_said;

static void on_end(struct process *of, const struct process_end *end)
{
	if (of == &process)
		how = *end;
	if (++n_ends == n_wanted)
		loop_stop(&loop);
}

static void on_output(struct process *of, int fd, const char *bytes, size_t len)
{
	CHECK(n_said + len < sizeof(said));
	memcpy(said + n_said, bytes, len);
	n_said += len;
}

static const struct process_callbacks callbacks = {
	.on_end = on_end,
	.on_output = on_output,
};

static void begin(void)
{
	(void)alarm(PATIENCE_S);
	CHECK(sem_init(&may_be_born, 0, 0) == 0 && sem_init(&is_labour, 0, 0) == 0);
	CHECK(loop_init(&loop) == 0);
	CHECK(reaper_new(&loop, &reaper) == 0);
	process_init(&process, &callbacks);
}

static void end(void)
{
	reaper_free(reaper);
	loop_fini(&loop);
	/* Nobody is left behind, dead or alive. */
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* Nothing that it is given outlives this. */
static void start(struct process *of, const char *script)
{
	char text[128], home[] = "HOME=/nowhere";
	const char *argv[] = { "/bin/sh", "-c", text, NULL }, *environment[] = { home, NULL };
	int place = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct process_spec spec = {
		.what = "run a test",
		.argv = argv,
		.environment = environment,
		.dirfd = place,
		.fds = { [0] = { PROCESS_FD_INPUT }, [1] = { PROCESS_FD_OUTPUT } },
		.grace_ms = 1,
	};
	struct error err = { 0 };

	(void)snprintf(text, sizeof(text), "%s", script);
	if (process_start(of, reaper, &spec, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	CHECK(close(place) == 0);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(home, sizeof(home));
	argv[0] = environment[0] = NULL;
}

static void wait_for_labour(void)
{
	while (sem_wait(&is_labour) < 0)
		;
}

static void let_be_born(void)
{
	CHECK(sem_post(&may_be_born) == 0);
}

static void on_turn(struct timer *timer)
{
	loop_stop(timer->loop);
}

static void run_some_turns(void)
{
	for (int i = 0; i < 5; i++) {
		struct timer timer;

		timer_init(&timer, &loop, on_turn);
		timer_start(&timer, 1);
		loop_run(&loop);
	}
}

TEST(the_loop_turns_while_a_child_is_being_born)
{
	static const char bytes[] = "written before it was there\n";

	begin();
	start(&process, "echo $HOME; pwd; cat");
	wait_for_labour();
	CHECK(midwife != getpid());
	run_some_turns();
	CHECK_INT(n_ends, 0);
	CHECK_INT(reaper_pid(process.child), 0);

	CHECK_INT(process_write(&process, bytes, strlen(bytes)), 0);
	process_end_input(&process);
	let_be_born();
	loop_run(&loop);
	CHECK_INT(how.status, 0);
	CHECK_TEXT(said, "/nowhere\n/dev\nwritten before it was there\n");
	end();
}

TEST(a_signal_reaches_one_that_is_being_born)
{
	begin();
	start(&process, "read line");
	wait_for_labour();
	process_kill(&process, SIGTERM);
	let_be_born();
	loop_run(&loop);
	CHECK_INT(how.signal, SIGTERM);
	end();
}

TEST(nobody_hears_of_one_that_was_stopped_before_it_was_born)
{
	begin();
	start(&process, "sleep 1000");
	wait_for_labour();
	process_stop(&process);
	CHECK(!process_is_running(&process));
	let_be_born();
	run_some_turns();
	CHECK_INT(n_ends, 0);
	end();
}

/* One that is running: its launch has come back. */
static pid_t bear(struct process *of, const char *script)
{
	process_init(of, &callbacks);
	start(of, script);
	let_be_born();
	while (!reaper_pid(of->child))
		run_some_turns();
	return reaper_pid(of->child);
}

static void wait_for_death(pid_t pid)
{
	siginfo_t info;

	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

static bool is_listed(const pid_t *pids, int n, pid_t pid)
{
	while (n > 0 && pids[n - 1] != pid)
		n--;
	return n > 0;
}

/* Waits until the first thread has a child that is neither of the two. */
static void wait_for_another_child(pid_t first, pid_t second)
{
	pid_t pids[8];
	int n;

	do {
		n = children_list(pids, ARRAY_LEN(pids));
		CHECK(n >= 0);
	} while (n - is_listed(pids, n, first) - is_listed(pids, n, second) == 0);
}

/*
 * Both before and after it comes back another child ends, which is when orphans
 * are looked for: whichever the loop hears of first, it is none.
 */
TEST(who_is_being_born_is_not_taken_for_an_orphan)
{
	struct process first, second;
	pid_t first_pid, second_pid;

	if (children_list(&first_pid, 1) < 0)
		test_skip("this kernel does not list children");
	begin();
	first_pid = bear(&first, "read line");
	second_pid = bear(&second, "read line");
	n_wanted = 3;
	start(&process, "read line; exit 5");
	wait_for_death(first_pid);
	let_be_born();
	wait_for_another_child(first_pid, second_pid);
	wait_for_death(second_pid);
	process_end_input(&process);
	loop_run(&loop);
	CHECK_INT(how.status, 5);
	end();
}

TEST(the_end_of_the_program_waits_for_one_that_is_being_born)
{
	begin();
	start(&process, "sleep 1000");
	wait_for_labour();
	let_be_born();
	end();
	CHECK_INT(n_ends, 0);
}
