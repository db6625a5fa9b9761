/* SPDX-License-Identifier: MIT */
#include "agent/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "lib/test.h"

#define PATIENCE_S 100

#ifndef PR_SET_MDWE /* later than the oldest headers that we build with */
#define PR_SET_MDWE 65
#endif

static struct loop loop;
static struct reaper *reaper;
static struct setup setup;
static struct setup_result got; /* of its pointers none is good */
static unsigned n_ends;
static char why[ERROR_TEXT_MAX], log_path[512], here[256];
static int64_t timeout_ms;
static const char *configs;

static void on_end(struct setup *of, const struct setup_result *result)
{
	CHECK(!setup_is_running(of));
	n_ends++;
	got = *result;
	(void)snprintf(why, sizeof(why), "%s", result->why);
	(void)snprintf(log_path, sizeof(log_path), "%s", result->log);
	loop_stop(&loop);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* What is in a file, as far as it fits. */
static const char *read_text(const char *path)
{
	static char text[8192];
	FILE *file = fopen(path, "re");

	CHECK(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	(void)fclose(file);
	return text;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* A plugin with that script, beside which there is something that is not for it. */
static void begin(const char *script)
{
	(void)alarm(PATIENCE_S);
	CHECK(getcwd(here, sizeof(here)));
	CHECK(mkdir("work", 0700) == 0 && mkdir("work/tree", 0755) == 0);
	write_file("work/tree/setup.sh", script);
	write_file("token", "canary\n");
	CHECK(setenv("MOLECULE_SETUP", SETUP_PROGRAM, 0) == 0);
	CHECK(loop_init(&loop) == 0 && reaper_new(&loop, &reaper) == 0);
}

static void start(void)
{
	struct setup_ask ask = {
		.name = "pdf-tools",
		.configs = configs,
		.timeout_ms = timeout_ms,
	};
	struct error err = { 0 };

	ask.work = open("work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ask.tree = open("work/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	setup_init(&setup, on_end);
	if (setup_start(&setup, reaper, &ask, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	CHECK(close(ask.work) == 0 && close(ask.tree) == 0);
}

static void end(void)
{
	setup_stop(&setup);
	reaper_free(reaper);
	loop_fini(&loop);
}

/* What the script said. */
static const char *run(const char *script)
{
	begin(script);
	start();
	loop_run(&loop);
	CHECK_INT(n_ends, 1);
	CHECK(!exists("work/tmp"));
	end();
	return read_text("work/" SETUP_LOG);
}

static bool is_dead(pid_t pid)
{
	char path[64], line[512] = "";
	FILE *file;

	CHECK(pid > 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	(void)fclose(file);
	return !line[0] || strstr(line, ") Z ") || strstr(line, ") X ");
}

static void wait_until_dead(pid_t pid)
{
	while (!is_dead(pid))
		(void)usleep(5000);
}

static int landlock_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static void need_landlock(int version)
{
	if (landlock_version() < version)
		test_skip("this kernel has no such Landlock");
}

TEST(a_script_runs_where_its_plugin_is)
{
	char expected[1024];
	struct stat st;

	(void)run("pwd; cat setup.sh >/dev/null && echo built >built\n");
	CHECK(got.ok);
	CHECK_INT(got.exit, 0);
	CHECK_TEXT(why, "");
	(void)snprintf(expected, sizeof(expected), "%s/work/tree\n", here);
	CHECK_TEXT(read_text(log_path), expected);
	CHECK_TEXT(read_text("work/tree/built"), "built\n");
	CHECK(stat(log_path, &st) == 0 && (st.st_mode & 07777) == 0600);
}

TEST(it_has_no_environment_but_its_own)
{
	char expected[2048];

	CHECK(setenv("MOLECULE_AUTH_TOKEN", "canary", 1) == 0);
	configs = "/srv/configs";
	(void)run("/usr/bin/env -u _ -u SHLVL -u PWD | sort\n");
	(void)snprintf(expected, sizeof(expected),
		       "CONFIGS_DIR=/srv/configs\nHOME=%s/work/tmp\nLC_ALL=C.UTF-8\n"
		       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		       "PLUGIN_DIR=%s/work/tree\nPLUGIN_NAME=pdf-tools\nTMPDIR=%s/work/tmp\n",
		       here, here, here);
	CHECK_TEXT(read_text(log_path), expected);
}

TEST(it_has_no_descriptors_but_its_own)
{
	const char *said;

	write_file("secret", "canary\n");
	/* As whoever started the daemon may have left one open. */
	CHECK(dup2(open("secret", O_RDONLY), 30) == 30);
	said = run("for n in $(seq 0 64); do [ -e /proc/$$/fd/$n ] && echo $n; done; cat <&0; "
		   "exit 0\n");
	/* bash keeps the script open at its highest number. */
	CHECK_TEXT(said, "0\n1\n2\n");
}

TEST(it_has_a_directory_for_what_is_temporary)
{
	(void)run("set -e; cd $TMPDIR; mkdir -p a/b/c; echo x >a/b/c/x; ln -s / root\n"
		  "chmod 0 a/b/c; [ \"$HOME\" = \"$TMPDIR\" ]\n");
	CHECK(got.ok);
	CHECK(exists("/etc/passwd"));
}

TEST(a_script_that_fails_says_why)
{
	(void)run("echo first; echo 'no network' >&2; echo; exit 3\n");
	CHECK(!got.ok);
	CHECK_INT(got.exit, 3);
	CHECK_TEXT(why, "setup.sh ended with status 3; it said last: no network");
}

/* As under MemoryDenyWriteExecute=, where Node.js dies of a trap and says nothing useful. */
TEST(where_some_programs_cannot_run_a_failure_says_so)
{
	const int refuse_exec_gain = 1;

	if (prctl(PR_SET_MDWE, refuse_exec_gain, 0, 0, 0) < 0)
		test_skip("this kernel does not refuse such memory");
	CHECK_TEXT(run("kill -TRAP $$\n"),
		   "molecule-setup: there is no memory here that is both writable and executable, "
		   "without which Node.js and Java do not run (MemoryDenyWriteExecute= of the "
		   "service): see molecule-setup(8)\n");
	CHECK_TEXT(why, "setup.sh was ended by signal 5 (here Node.js and Java do not run: see "
			"molecule-setup(8))");
}

TEST(where_some_programs_cannot_run_others_can)
{
	if (prctl(PR_SET_MDWE, 1, 0, 0, 0) < 0)
		test_skip("this kernel does not refuse such memory");
	CHECK_TEXT(run("echo fine\n"), "fine\n");
	CHECK(got.ok);
	CHECK_TEXT(why, "");
}

TEST(what_it_said_last_is_shown_safely)
{
	(void)run("printf '\\033[31mred\\n'; exit 1\n");
	CHECK_TEXT(why, "setup.sh ended with status 1; it said last: \\x1b[31mred");
}

TEST(a_script_that_is_killed_fails)
{
	(void)run("kill -SEGV $$\n");
	CHECK(!got.ok);
	CHECK_INT(got.exit, 128 + SIGSEGV);
	CHECK_TEXT(why, "setup.sh was ended by signal 11");
}

TEST(a_plugin_without_a_script_fails)
{
	begin("");
	CHECK(unlink("work/tree/setup.sh") == 0);
	start();
	loop_run(&loop);
	CHECK(!got.ok);
	CHECK_INT(got.exit, 127);
	end();
}

TEST(a_script_that_hangs_is_killed_with_all_it_has_started)
{
	const char *said;
	char *at;

	timeout_ms = 4000;
	said = run("trap '' TERM HUP; echo $$; sleep 1000 & echo $!\n"
		   "setsid sh -c 'sleep 1001 & echo $!; wait' &\n"
		   "setsid -f sh -c 'setsid -f sh -c \"echo \\$\\$; exec sleep 1002\"'\n"
		   "sleep 1003\n");
	CHECK(!got.ok && got.timed_out);
	CHECK_INT(got.exit, 128 + SIGKILL);
	CHECK(strstr(why, "setup.sh did not end within 4s, and was killed; it said last: "));
	for (int i = 0; i < 4; i++) {
		CHECK(is_dead((pid_t)strtol(said, &at, 10)));
		said = at;
	}
}

TEST(what_it_leaves_behind_does_not_stay)
{
	const char *said =
		run("setsid -f sh -c 'echo $$; exec sleep 1000'\n"
		    "while [ ! -s \"$TMPDIR/../setup.log\" ]; do sleep 0.01; done 2>/dev/null &\n"
		    "sleep 0.3; exit 0\n");

	CHECK(got.ok);
	CHECK(got.killed >= 1);
	CHECK(is_dead(atoi(said)));
}

/*
 * Twenty at a time, which the kernel counts: each has a byte locked. As long as there is
 * one of them they fork, each into a session of its own - or until there is no use in it.
 */
static const char bomb[] = "exec /usr/bin/python3 -c '\n"
			   "import fcntl, os, signal, time\n"
			   "places = open(\"places\", \"w\")\n"
			   "def has_place():\n"
			   "  for place in range(20):\n"
			   "    try: fcntl.lockf(places, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)\n"
			   "    except OSError: continue\n"
			   "    return True\n"
			   "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
			   "end = time.monotonic() + 10\n"
			   "while time.monotonic() < end:\n"
			   "  if os.fork() == 0:\n"
			   "    os.setsid()\n"
			   "    if not has_place(): os._exit(0)'\n";

TEST(it_cannot_outrun_who_kills_it)
{
	timeout_ms = 1000;
	(void)run(bomb);
	CHECK(!got.ok && got.timed_out);
	CHECK_INT(got.exit, 128 + SIGKILL);
	CHECK(children_list(&(pid_t){ 0 }, 1) == 0);
}

TEST(it_has_a_limit_of_processes)
{
	CHECK(strtol(run("ulimit -u; ulimit -Hu\n"), NULL, 10) <= 4096);
	CHECK(!strstr(read_text(log_path), "unlimited"));
}

TEST(it_may_say_a_gigabyte_and_is_not_held_up)
{
	struct stat st;

	(void)run("head -c 1073741824 /dev/zero; echo; echo done\n");
	CHECK(got.ok);
	CHECK(stat(log_path, &st) == 0);
	CHECK_INT(st.st_size, SETUP_LOG_MAX);
}

TEST(it_writes_nowhere_else)
{
	const char *said;

	need_landlock(1);
	said = run("for f in ../outside ../../outside /tmp/outside-$$ /var/tmp/outside-$$; do\n"
		   "echo x >$f && echo wrote $f; done 2>/dev/null; echo y >inside; exit 0\n");
	CHECK_TEXT(said, "");
	CHECK(got.ok && got.landlock > 0);
	CHECK(exists("work/tree/inside"));
	CHECK(!exists("work/outside") && !exists("outside"));
}

TEST(it_reads_the_system_and_not_the_state)
{
	const char *said;

	need_landlock(1);
	said = run(
		"cat /etc/passwd >/dev/null && /bin/ls /usr >/dev/null && echo system\n"
		"cat ../../token ../setup.log /proc/$PPID/environ /proc/1/environ\n"
		"ls ../.. /root /home\n"
		"[ ! -e /etc/ssl/certs ] || ls /etc/ssl/certs >/dev/null && echo authorities\n"
		"cat /etc/shadow /etc/gshadow- && echo passwords; ls /etc/ssl/private && echo keys\n"
		"exit 0\n");
	CHECK(strncmp(said, "system\n", 7) == 0);
	CHECK(!strstr(said, "canary"));
	CHECK(strstr(said, "authorities\n"));
	CHECK(!strstr(said, "passwords\n") && !strstr(said, "keys\n"));
	CHECK(strstr(said, "cat: ../../token: Permission denied"));
	CHECK(strstr(said, "ls: cannot open directory '../..': Permission denied"));
}

TEST(it_cannot_speak_to_the_daemon)
{
	(void)run("exec /usr/bin/python3 -c '\n"
		  "import socket\n"
		  "socket.socketpair()\n"
		  "socket.socket(socket.AF_INET)\n"
		  "try: socket.socket(socket.AF_UNIX)\n"
		  "except PermissionError: print(\"refused\")'\n");
	CHECK(got.ok);
	CHECK_TEXT(read_text(log_path), "refused\n");
}

TEST(it_cannot_kill_its_keeper_nor_the_daemon)
{
	(void)run("read -r p c s daemon rest </proc/$PPID/stat\n"
		  "kill -9 $PPID; kill -9 $daemon; kill -9 -1; exit 0\n");
	CHECK(got.ok);
}

/* As a kernel that has none. */
static void do_without_landlock(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_LEN(lines), .filter = lines };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *stay(void *nothing)
{
	(void)pause();
	return nothing;
}

/* What it could do to the daemon, which is this process, and what it may do to itself. */
static const char reaching_out[] =
	"exec /usr/bin/python3 -c '\n"
	"import fcntl, os, resource, signal, subprocess\n"
	"keeper = os.getppid()\n"
	"daemon = int(open(f\"/proc/{keeper}/stat\").read().rsplit(\")\")[1].split()[1])\n"
	"def attempt(name, do):\n"
	"  try: do()\n"
	"  except (OSError, subprocess.CalledProcessError): return\n"
	"  print(name)\n"
	"for who in keeper, daemon:\n"
	"  attempt(\"group\", lambda: os.kill(-os.getpgid(who), 0))\n"
	"  for task in map(int, os.listdir(f\"/proc/{who}/task\")):\n"
	"    attempt(\"thread\", lambda: os.kill(task, 0))\n"
	"  attempt(\"directory\", lambda: signal.pidfd_send_signal(\n"
	"    os.open(f\"/proc/{who}\", os.O_RDONLY), 0))\n"
	"  attempt(\"owner\", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, who))\n"
	"  attempt(\"limit\", lambda: resource.prlimit(who, resource.RLIMIT_NOFILE, (64, 64)))\n"
	"  attempt(\"processor\", lambda: os.sched_setaffinity(who, {0}))\n"
	"  attempt(\"scheduler\", lambda: os.sched_setscheduler(\n"
	"    who, os.SCHED_IDLE, os.sched_param(0)))\n"
	"  attempt(\"priority\", lambda: os.setpriority(os.PRIO_PROCESS, who, 19))\n"
	"  attempt(\"disk\", lambda: subprocess.run(\n"
	"    [\"ionice\", \"-c3\", f\"-p{who}\"], check=True, stderr=subprocess.DEVNULL))\n"
	"attempt(\"user\", lambda: os.setpriority(os.PRIO_USER, 0, 19))\n"
	"resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
	"os.sched_setaffinity(0, os.sched_getaffinity(0))\n"
	"os.setpriority(os.PRIO_PROCESS, 0, 19)\n"
	"os.kill(os.getpid(), 0)'\n";

TEST(it_cannot_meddle_with_the_daemon)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, stay, NULL) == 0);
	CHECK_TEXT(run(reaching_out), "");
	CHECK(got.ok);
}

TEST(it_cannot_meddle_with_the_daemon_without_landlock_either)
{
	pthread_t thread;

	do_without_landlock();
	CHECK(pthread_create(&thread, NULL, stay, NULL) == 0);
	CHECK_TEXT(run(reaching_out), "");
	CHECK(got.ok && !got.landlock);
}

/* Every way to change a mode, and what comes of it. */
static const char modes[] =
	"cd $TMPDIR; mkdir -p d; echo x >a; echo x >d/b; ln -s ../../../token link\n"
	"chmod 600 a d/b && cd d && chmod 640 b && chmod 604 ../a && cd .. && chmod 711 $PLUGIN_DIR\n"
	"stat -c %a a d/b $PLUGIN_DIR\n"
	"token=$PLUGIN_DIR/../../token\n"
	"chmod 666 $token; chmod 666 link; chmod 777 $PLUGIN_DIR/.. ../../..; chmod 666 nothing\n"
	"exec /usr/bin/python3 -c '\n"
	"import ctypes, os, sys\n"
	"token = sys.argv[1]\n"
	"def attempt(*args, **more):\n"
	"  try: os.chmod(*args, **more)\n"
	"  except OSError as error: print(type(error).__name__)\n"
	"  else: print(\"changed\")\n"
	"a = os.open(\"a\", os.O_RDONLY)\n"
	"attempt(a, 0o601)\n"
	"attempt(\"b\", 0o602, dir_fd=os.open(\"d\", os.O_RDONLY))\n"
	"attempt(f\"/proc/self/fd/{a}\", 0o600)\n"
	"attempt(f\"/proc/self/fd/{os.open(token, os.O_PATH)}\", 0o666)\n"
	"attempt(os.path.basename(token), 0o666, dir_fd=os.open(os.path.dirname(token), os.O_PATH))\n"
	"try: os.setxattr(token, \"user.x\", b\"y\"); print(\"labelled\")\n"
	"except OSError: pass\n"
	"try: os.truncate(token, 0); print(\"cut\")\n"
	"except OSError: pass\n"
	"attempt(1 << 20, 0o600)\n"
	"attempt(\"x\" * 5000, 0o600)' $token 2>/dev/null\n";

TEST(it_opens_nothing_of_ours_to_others)
{
	struct stat st;
	const char *said;

	need_landlock(1);
	said = run(modes);
	CHECK(got.ok);
	CHECK(stat("token", &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	CHECK_INT(st.st_size, 7);
	CHECK(stat("work", &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK(strncmp(said, "604\n640\n711\n", 12) == 0);
	CHECK(strstr(said, "chmod: cannot access 'nothing': No such file or directory\n"));
	CHECK_TEXT(strstr(said, "changed"), "changed\nchanged\nchanged\nPermissionError\n"
					    "PermissionError\nOSError\nOSError\n");
}

TEST(it_gains_no_privileges)
{
	const char *said =
		run("grep -E '^(NoNewPrivs|Seccomp|CapEff|CapPrm):' /proc/self/status\n");

	CHECK_TEXT(said, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
			 "NoNewPrivs:\t1\nSeccomp:\t2\n");
}

TEST(it_makes_no_program_that_runs_with_our_rights)
{
	const char *said = run("umask 0; cp /bin/true a && chmod u+s a && echo user\n"
			       "chmod g+s a && echo group\n"
			       "exec /usr/bin/python3 -c '\n"
			       "import os\n"
			       "for mode in 0o4755, 0o2755:\n"
			       "  try: os.open(\"b\", os.O_CREAT | os.O_RDWR, mode); print(mode)\n"
			       "  except PermissionError: pass' 2>&1\n");

	CHECK(!strstr(said, "user\n") && !strstr(said, "group\n"));
	CHECK(got.ok && !strstr(said, "0o"));
	CHECK(!exists("work/tree/b"));
}

TEST(what_it_makes_can_be_read_by_others)
{
	struct stat st;

	(void)umask(0077);
	(void)run("echo x >made; mkdir folder\n");
	CHECK(stat("work/tree/made", &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	CHECK(stat("work/tree/folder", &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0755);
}

TEST(nobody_hears_of_one_that_was_stopped)
{
	pid_t script;

	begin("echo $$ >pid; mv pid ready; sleep 1000\n");
	start();
	while (!exists("work/tree/ready"))
		(void)ev_run(loop.ev, EVRUN_NOWAIT);
	script = atoi(read_text("work/tree/ready"));
	setup_stop(&setup);
	end();
	wait_until_dead(script);
	CHECK_INT(n_ends, 0);
}

TEST(it_does_not_outlive_a_daemon_that_was_killed)
{
	pid_t daemon, script;

	begin("trap '' TERM HUP PIPE; echo $$ >pid; mv pid ready; setsid sleep 1000\n");
	daemon = fork();
	if (daemon == 0) {
		start();
		for (;;)
			(void)pause();
	}
	while (!exists("work/tree/ready"))
		(void)usleep(5000);
	script = atoi(read_text("work/tree/ready"));
	CHECK(kill(daemon, SIGKILL) == 0 && waitpid(daemon, NULL, 0) == daemon);
	wait_until_dead(script);
}

TEST(a_program_that_is_missing_is_told)
{
	begin("");
	CHECK(setenv("MOLECULE_SETUP", "/nonexistent/molecule-setup", 1) == 0);
	start();
	loop_run(&loop);
	CHECK(!got.ok);
	CHECK_INT(got.exit, -1);
	CHECK_TEXT(why, "setup.sh could not be run: cannot run /nonexistent/molecule-setup: "
			"No such file or directory");
	end();
}
