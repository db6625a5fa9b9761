/* SPDX-License-Identifier: MIT */
/*
 * molecule-setup: runs a plugin's setup.sh for molecule-agentd, confined, and
 * stays until nothing of it is left. Nobody else calls it; molecule-setup(8) says
 * how it is called and what it answers.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jsontext.h"
#include "base/parse.h"
#include "config-build.h"
#include "helper/say.h"
#include "helper/setup-keeper.h"
#include "helper/setup-sandbox.h"
#include "helper/sweep.h"

/* What we are started with, beside the usual three. */
#define TREE_FD 3
#define LOG_FD 4
#define WORK_FD 5

#define TEMPORARY "tmp"
#define LOG_MAX (INT64_C(1) << 30)
#define VARIABLES 8

/* What people who look for a reason should know; nobody says so to the script. */
#define NO_CODE_MEMORY                                                                           \
	"molecule-setup: there is no memory here that is both writable and executable, without " \
	"which Node.js and Java do not run (MemoryDenyWriteExecute= of the service): "           \
	"see molecule-setup(8)\n"

struct setup {
	const char *name, *configs; /* borrowed */
	int64_t log_max;
	int temporary; /* owned; -1: not made */
	pid_t daemon;
	char tree_path[PATH_MAX], temporary_path[PATH_MAX];
	struct setup_keeper keeper;
	struct setup_warden warden;
	bool code_memory; /* both writable and executable is to be had */
};

/* --- what the script is given --- */

static int path_of(int fd, char path[static PATH_MAX], struct error *err)
{
	char link[32];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX);
	if (len < 0 || len >= PATH_MAX || path[0] != '/')
		return error_set(err, ERROR_INTERNAL, len < 0 ? errno : ENAMETOOLONG,
				 "cannot tell where the plugin is: %m");

	path[len] = '\0';
	return 0;
}

static int make_temporary(struct setup *setup, struct error *err)
{
	if (mkdirat(WORK_FD, TEMPORARY, 0700) < 0)
		return error_set(err, file_error_kind(errno), errno,
				 "cannot make a directory for temporary files: %m");

	setup->temporary =
		openat(WORK_FD, TEMPORARY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (setup->temporary < 0)
		return error_set(err, file_error_kind(errno), errno,
				 "cannot open the directory for temporary files: %m");

	return path_of(setup->temporary, setup->temporary_path, err);
}

static void remove_temporary(struct setup *setup)
{
	if (setup->temporary < 0)
		return;

	(void)sweep(setup->temporary, NULL);
	(void)close(setup->temporary);
	(void)unlinkat(WORK_FD, TEMPORARY, AT_REMOVEDIR);
}

/* The whole of it: nothing is handed down. The texts live as long as the process. */
static int fill_environment(const struct setup *setup, char *environment[static VARIABLES])
{
	int r = 0;

	r |= asprintf(&environment[0], "PATH=%s",
		      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	r |= asprintf(&environment[1], "HOME=%s", setup->temporary_path);
	r |= asprintf(&environment[2], "TMPDIR=%s", setup->temporary_path);
	r |= asprintf(&environment[3], "PLUGIN_DIR=%s", setup->tree_path);
	r |= asprintf(&environment[4], "PLUGIN_NAME=%s", setup->name);
	r |= asprintf(&environment[5], "CONFIGS_DIR=%s",
		      setup->configs ? setup->configs : setup->tree_path);
	r |= asprintf(&environment[6], "LC_ALL=C.UTF-8");
	environment[7] = NULL;
	return r < 0 ? -ENOMEM : 0;
}

static int run_shell(const struct setup *setup, struct error *err)
{
	static const char *const shells[] = { "/bin/bash", "/bin/sh" };
	char script[] = "./setup.sh", *environment[VARIABLES];
	int r;

	r = fill_environment(setup, environment);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot run setup.sh: %m");

	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		char *argv[] = { strdup(shells[i]), script, NULL };

		if (argv[0])
			(void)execve(argv[0], argv, environment);
		free(argv[0]);
	}
	return error_set(err, ERROR_INTERNAL, errno, "cannot run a shell for setup.sh: %m");
}

/* In the child. Returns only when it cannot become the script. */
static int become_script(const struct setup *setup, int said, int warden, pid_t keeper,
			 struct error *err)
{
	const struct setup_sandbox sandbox = {
		.tree = TREE_FD,
		.temporary = setup->temporary,
		.keeper = keeper,
		.daemon = setup->daemon,
		.warden = warden,
	};

	(void)setsid();
	/* What it makes is for the agents of other users, too, as is the plugin. */
	(void)umask(022);
	setup_keeper_release_child();
	/* It is not to run without its keeper, who may have been killed just now. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
		return error_set(err, ERROR_INTERNAL, ESRCH, "cannot be watched over");

	if (fchdir(TREE_FD) < 0 || dup2(said, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot prepare for setup.sh: %m");

	if (setup_sandbox_enter(&sandbox, err) < 0)
		return -1;
	return run_shell(setup, err);
}

/* The sentence of a child that could not become the script; nothing when it could. */
static int hear_failure(int fd, struct error *err)
{
	char text[ERROR_TEXT_MAX];
	size_t len = 0;

	if (fd_read_all(fd, text, sizeof(text) - 1, &len) < 0 || !len)
		return 0;

	text[len] = '\0';
	return error_set(err, ERROR_INTERNAL, 0, "%s", text);
}

/* A pipe between the child, which has the second end, and us. */
static int open_pipe(int ends[static 2], struct error *err)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot run setup.sh: %m");
	return 0;
}

static int start_script(struct setup *setup, struct error *err)
{
	int said[2], failure[2], warden[2], r;
	pid_t keeper = getpid(), pid;

	r = open_pipe(said, err);
	if (r == 0)
		r = open_pipe(failure, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, warden) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot run setup.sh: %m");

	pid = fork();
	if (pid < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot run setup.sh: %m");
	if (pid == 0) {
		struct error why = { 0 };

		(void)become_script(setup, said[1], warden[1], keeper, &why);
		(void)fd_write_all(failure[1], why.text, strlen(why.text));
		_exit(1);
	}

	(void)close(said[1]);
	(void)close(failure[1]);
	(void)close(warden[1]);
	setup->keeper.script = pid;
	setup->keeper.said = said[0];
	r = hear_failure(failure[0], err);
	if (r == 0)
		r = setup_warden_receive(&setup->warden, warden[0], err);
	(void)close(failure[0]);
	(void)close(warden[0]);
	return r;
}

/* A service may be kept from it, and all that it starts with it. */
static bool has_code_memory(void)
{
	const size_t len = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return false;

	(void)munmap(memory, len);
	return true;
}

/* Such programs die without a word that would tell why. */
static void explain_failure(const struct setup *setup)
{
	bool failed = setup->keeper.status != 0 && !setup->keeper.interrupted;

	if (failed && !setup->code_memory)
		(void)fd_write_all(LOG_FD, NO_CODE_MEMORY, strlen(NO_CODE_MEMORY));
}

/* --- the whole --- */

static int check_descriptors(struct error *err)
{
	struct stat st;

	for (int fd = STDIN_FILENO; fd <= WORK_FD; fd++)
		if (fcntl(fd, F_SETFD, fd < TREE_FD ? 0 : FD_CLOEXEC) < 0)
			return error_set(err, ERROR_INTERNAL, EBADF,
					 "molecule-setup lacks file descriptor %d", fd);

	if (fstat(TREE_FD, &st) < 0 || !S_ISDIR(st.st_mode) || fstat(WORK_FD, &st) < 0 ||
	    !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INTERNAL, ENOTDIR,
				 "molecule-setup was not given the plugin's directories");
	if (fstat(LOG_FD, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INTERNAL, EINVAL,
				 "molecule-setup was not given a file to log to");

	if (syscall(SYS_close_range, WORK_FD + 1u, ~0u, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot close what is not for us: %m");
	return 0;
}

static int parse_options(int argc, char *argv[], struct setup *setup, struct error *err)
{
	static const struct option known[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "configs", required_argument, NULL, 'c' },
		{ "log-max", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};

	opterr = 0;
	for (;;) {
		switch (getopt_long(argc, argv, "", known, NULL)) {
		case 'n':
			setup->name = optarg;
			continue;
		case 'c':
			setup->configs = optarg;
			continue;
		case 'l':
			if (parse_int64(optarg, 0, LOG_MAX, &setup->log_max) == 0)
				continue;
			break;
		case -1:
			if (optind == argc && setup->name)
				return 0;
			break;
		default:
			break;
		}
		return error_set(err, ERROR_INTERNAL, EINVAL,
				 "molecule-setup was not called as it should be: see "
				 "molecule-setup(8)");
	}
}

static int run(struct setup *setup, struct error *err)
{
	int r;

	setup->keeper.log = LOG_FD;
	setup->keeper.boss = STDOUT_FILENO;
	setup->keeper.warden = &setup->warden;
	setup->warden.places[0] = setup->tree_path;
	setup->warden.places[1] = setup->temporary_path;
	setup->keeper.log_max = (uint64_t)setup->log_max;
	setup->code_memory = has_code_memory();
	r = setup_keeper_init(&setup->keeper, err);
	if (r == 0)
		r = path_of(TREE_FD, setup->tree_path, err);
	if (r == 0)
		r = make_temporary(setup, err);
	if (r == 0)
		r = start_script(setup, err);
	if (r == 0 || setup->keeper.script)
		setup_keeper_run(&setup->keeper);
	if (r == 0)
		explain_failure(setup);
	remove_temporary(setup);
	return r;
}

static void say_done(struct say *say, const struct setup *setup)
{
	const struct setup_keeper *keeper = &setup->keeper;
	char last[SETUP_TAIL_MAX * 4 + 1];

	(void)error_quote(last, sizeof(last), keeper->tail, keeper->tail_len);
	(void)buffer_printf(&say->line,
			    "{\"done\":{\"exit\":%d,\"signal\":%d,\"interrupted\":%s,"
			    "\"killed\":%u,\"said\":%" PRIu64 ",\"lost\":%" PRIu64
			    ",\"landlock\":%d,\"code_memory\":%s,",
			    keeper->status, keeper->signal, keeper->interrupted ? "true" : "false",
			    keeper->n_killed, keeper->n_said, keeper->n_lost,
			    setup_sandbox_landlock_version(),
			    setup->code_memory ? "true" : "false");
	say_text(say, "last", last);
	(void)buffer_append_text(&say->line, "}}");
	(void)say_line(say);
}

int main(int argc, char *argv[])
{
	struct setup setup = { .log_max = 1 << 20,
			       .temporary = -1,
			       .daemon = getppid(),
			       .keeper.signals = -1,
			       .warden.fd = -1 };
	struct refusal refusal = { 0 };
	struct say say;
	int r;

	say_init(&say, STDOUT_FILENO);
	r = parse_options(argc, argv, &setup, &refusal.err);
	if (r == 0)
		r = check_descriptors(&refusal.err);
	if (r == 0)
		r = run(&setup, &refusal.err);

	if (r < 0)
		say_failed(&say, &refusal);
	else
		say_done(&say, &setup);
	setup_keeper_fini(&setup.keeper);
	setup_warden_fini(&setup.warden);
	say_fini(&say);
	return r < 0;
}
