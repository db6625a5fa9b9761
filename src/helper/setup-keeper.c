/* SPDX-License-Identifier: MIT */
/*
 * Output is read as long as there is any, and kept up to its limit: a script
 * that says too much is not held up, and the disk is not filled.
 */

#include "helper/setup-keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/fd.h"
#include "base/util.h"

#define READ_MAX 65536
#define TAIL_LOOK 1024   /* bytes at the end of a read that the last line is looked for in */
#define ROUND_PAUSE_MS 5 /* for those that were killed to be gone */
#define ROUNDS_MAX 2000  /* ten seconds: what does not die hangs in the kernel */

/* The last line that is not empty, or what of it fits. */
static void note_tail(struct setup_keeper *keeper, const char *bytes, size_t len)
{
	if (len > TAIL_LOOK) {
		bytes += len - TAIL_LOOK;
		len = TAIL_LOOK;
		keeper->tail_ended = true;
	}

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			keeper->tail_ended = true;
			continue;
		}
		if (keeper->tail_ended)
			keeper->tail_len = 0;
		keeper->tail_ended = false;
		if (keeper->tail_len < SETUP_TAIL_MAX)
			keeper->tail[keeper->tail_len++] = bytes[i];
	}
}

static void keep(struct setup_keeper *keeper, const char *bytes, size_t len)
{
	size_t room =
		(size_t)MIN(keeper->log_max - MIN(keeper->n_said, keeper->log_max), (uint64_t)len);

	if (room && fd_write_all(keeper->log, bytes, room) < 0)
		keeper->n_lost += room;
	keeper->n_lost += len - room;
	note_tail(keeper, bytes, len);
	keeper->n_said += len;
}

/* Whether there may be more. */
static bool listen_once(struct setup_keeper *keeper)
{
	static char bytes[READ_MAX];
	ssize_t n = read(keeper->said, bytes, sizeof(bytes));

	if (n > 0)
		keep(keeper, bytes, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

/* One that has ended, and whose pid is still its own; 0: none has. */
static pid_t next_ended(void)
{
	siginfo_t info = { 0 };

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? 0 : info.si_pid;
}

/* Takes those that have ended; whether the script was one of them. */
static bool collect(struct setup_keeper *keeper, bool killing)
{
	bool ended = false;
	siginfo_t info;
	pid_t pid;

	while ((pid = next_ended())) {
		/* Its group goes with it, as long as that is known for sure. */
		if (pid == keeper->script)
			(void)kill(-pid, SIGKILL);
		info = (siginfo_t){ 0 };
		(void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
		if (killing)
			keeper->n_killed++;
		if (pid != keeper->script)
			continue;

		ended = true;
		keeper->script = 0;
		keeper->status = info.si_code == CLD_EXITED ? info.si_status : -1;
		keeper->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	}
	return ended;
}

static bool has_children(void)
{
	siginfo_t info = { 0 };

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void kill_all(struct setup_keeper *keeper)
{
	/* Where the kernel does not list our children, we know of this one. */
	if (keeper->script)
		(void)kill(-keeper->script, SIGKILL);

	for (int i = 0; i < ROUNDS_MAX && has_children(); i++) {
		children_kill(0);
		(void)collect(keeper, true);
		(void)poll(NULL, 0, ROUND_PAUSE_MS);
	}
}

/* Whether the script goes on. */
static bool attend(struct setup_keeper *keeper)
{
	struct pollfd polls[] = {
		{ .fd = keeper->said, .events = POLLIN },
		{ .fd = keeper->signals, .events = POLLIN },
		{ .fd = keeper->boss },
		{ .fd = keeper->warden->fd, .events = POLLIN },
	};
	struct signalfd_siginfo signal;
	bool ended;

	if (poll(polls, ARRAY_LEN(polls), -1) < 0)
		return true;

	if (polls[0].revents && !listen_once(keeper))
		keeper->said = -1;
	if (polls[2].revents)
		keeper->interrupted = true;
	if (polls[3].revents &&
	    (!(polls[3].revents & POLLIN) || !setup_warden_answer(keeper->warden)))
		setup_warden_fini(keeper->warden);
	while (read(keeper->signals, &signal, sizeof(signal)) == sizeof(signal))
		if (signal.ssi_signo != SIGCHLD)
			keeper->interrupted = true;

	ended = collect(keeper, false);
	if (ended)
		keeper->interrupted = false;
	return !ended && !keeper->interrupted;
}

static sigset_t watched_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	return set;
}

int setup_keeper_init(struct setup_keeper *keeper, struct error *err)
{
	sigset_t set = watched_signals();

	(void)signal(SIGPIPE, SIG_IGN);
	keeper->status = -1;
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot watch over setup.sh: %m");

	keeper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signals < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot watch over setup.sh: %m");
	return 0;
}

void setup_keeper_fini(struct setup_keeper *keeper)
{
	fd_close_auto(&keeper->signals);
}

void setup_keeper_release_child(void)
{
	sigset_t set = watched_signals();

	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void setup_keeper_run(struct setup_keeper *keeper)
{
	int said = keeper->said;

	while (attend(keeper))
		;
	kill_all(keeper);

	/* What is left in the pipe; nobody can add to it. */
	keeper->said = said;
	(void)fd_set_nonblocking(said);
	while (listen_once(keeper))
		;
}
