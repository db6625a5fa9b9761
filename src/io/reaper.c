/* SPDX-License-Identifier: MIT */
/*
 * Children and orphans.
 *
 * A pid means its process until we have reaped it, which nobody else does: so
 * signals are sent to pids and groups, and the pidfd only tells of the end.
 */

#include "io/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/fd.h"
#include "base/util.h"

/* Between looks at what cannot tell us of its end: orphans, and children without a pidfd. */
#define LOOK_MS 20

#define SWEEP_MAX 256 /* children in one look; there are a handful */

/* At the end: what was killed is gone after a moment, unless a disk holds it up. */
#define LAST_WAIT_MS 2000

struct reaper_child {
	struct reaper *reaper; /* borrowed */
	struct list node;
	struct ev_io io;
	pid_t pid;                          /* 0: it is being born */
	int signal;                         /* that it gets then; 0: none */
	int pidfd;                          /* owned; -1: none */
	const struct reaper_events *events; /* borrowed; NULL: abandoned */
	void *context;                      /* borrowed */
};

struct reaper {
	struct loop *loop; /* borrowed */
	struct list children;
	unsigned n_births;  /* children whose launch has not come back */
	int births, report; /* the ends of the pipe that they come back by; owned */
	struct ev_io on_birth;
	struct timer look;
	bool adopts; /* orphans */
};

static struct reaper_child *reaper_find(const struct reaper *reaper, pid_t pid)
{
	list_for_each (node, &reaper->children) {
		struct reaper_child *child = list_entry(node, struct reaper_child, node);

		if (child->pid == pid)
			return child;
	}

	return NULL;
}

/*
 * Kills and reaps whoever is our child and was not started here. Returns how
 * many there were: killing one may make us the parent of its children. While
 * one is being born nobody can be told from it: that counts as one, too.
 */
static unsigned reaper_sweep(const struct reaper *reaper)
{
	pid_t pids[SWEEP_MAX];
	unsigned n = 0;
	int n_pids;

	if (!reaper->adopts)
		return 0;
	if (reaper->n_births)
		return 1;

	n_pids = children_list(pids, SWEEP_MAX);
	for (int i = 0; i < n_pids; i++) {
		if (reaper_find(reaper, pids[i]))
			continue;

		children_kill(pids[i]);
		(void)waitid(P_PID, (id_t)pids[i], &(siginfo_t){ 0 }, WEXITED | WNOHANG);
		n++;
	}
	return n;
}

static void child_free(struct reaper_child *child)
{
	if (child->pidfd >= 0) {
		ev_io_stop(child->reaper->loop->ev, &child->io);
		(void)close(child->pidfd);
	}
	list_remove(&child->node);
	free(child);
}

static bool child_has_ended(const struct reaper_child *child)
{
	siginfo_t info = { 0 };

	/* An error is ECHILD: it is gone already. */
	return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	       info.si_pid == child->pid;
}

/* The child is dead, and its pid still its own. It is forgotten when this returns. */
static void child_end(struct reaper_child *child)
{
	struct reaper *reaper = child->reaper;
	const struct reaper_events *events = child->events;
	void *context = child->context;
	siginfo_t info = { 0 };

	(void)kill(-child->pid, SIGKILL);
	(void)waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG);
	child_free(child);
	if (reaper_sweep(reaper) > 0 && !timer_is_running(&reaper->look))
		timer_start(&reaper->look, LOOK_MS);

	if (events)
		events->on_end(context, &info);
	/* Careful: the reaper may be gone. */
}

static void child_on_end(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct reaper_child *child = container_of(io, struct reaper_child, io);

	if (child_has_ended(child))
		child_end(child);
}

/* Ends one of those that have no pidfd; whether there is another one that has none. */
static bool reaper_look_at_children(struct reaper *reaper)
{
	struct reaper_child *ended = NULL;
	bool more = false;

	list_for_each (node, &reaper->children) {
		struct reaper_child *child = list_entry(node, struct reaper_child, node);

		if (!child->pid || child->pidfd >= 0)
			continue;
		if (!ended && child_has_ended(child))
			ended = child;
		else
			more = true;
	}

	if (more)
		timer_start(&reaper->look, LOOK_MS);
	if (ended)
		child_end(ended);
	/* Careful: the reaper may be gone. */
	return more;
}

static void reaper_on_look(struct timer *timer)
{
	struct reaper *reaper = container_of(timer, struct reaper, look);

	if (reaper_sweep(reaper) > 0)
		timer_start(&reaper->look, LOOK_MS);
	(void)reaper_look_at_children(reaper);
}

/* --- births --- */

static void child_is_born(struct reaper_child *child, pid_t pid)
{
	child->pid = pid;
	if (child->signal)
		(void)kill(-pid, child->signal);

	child->pidfd = pidfd_open(pid, 0);
	if (child->pidfd < 0) {
		timer_start(&child->reaper->look, LOOK_MS);
		return;
	}

	ev_io_init(&child->io, child_on_end, child->pidfd, EV_READ);
	ev_io_start(child->reaper->loop->ev, &child->io);
}

/* Whether one has come back. */
static bool reaper_take_birth(struct reaper *reaper)
{
	struct launch *launch = launch_receive(reaper->births);
	const struct reaper_events *events;
	struct reaper_child *child;
	void *context;
	pid_t outcome;

	if (!launch)
		return false;

	child = launch_context(launch);
	outcome = launch_outcome(launch);
	launch_free(launch);
	reaper->n_births--;
	if (outcome > 0) {
		child_is_born(child, outcome);
		return true;
	}

	events = child->events;
	context = child->context;
	child_free(child);
	if (events)
		events->on_failed(context, (int)outcome);
	/* Careful: the reaper may be gone. */
	return true;
}

static void reaper_on_birth(struct ev_loop *ev, struct ev_io *io, int events)
{
	(void)reaper_take_birth(container_of(io, struct reaper, on_birth));
}

int reaper_launch(struct reaper *reaper, const struct launch_spec *spec,
		  const struct reaper_events *events, void *context, struct reaper_child **ret)
{
	struct reaper_child *child = calloc(1, sizeof(*child));
	int r;

	if (!child)
		return -ENOMEM;

	child->reaper = reaper;
	child->pidfd = -1;
	child->events = events;
	child->context = context;
	r = launch_start(spec, reaper->report, child);
	if (r < 0) {
		free(child);
		return r;
	}

	list_append(&reaper->children, &child->node);
	reaper->n_births++;
	*ret = child;
	return 0;
}

/* --- the reaper --- */

static int reaper_open_births(struct reaper *reaper)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;

	reaper->births = ends[0];
	reaper->report = ends[1];
	ev_io_init(&reaper->on_birth, reaper_on_birth, reaper->births, EV_READ);
	return fd_set_nonblocking(reaper->births);
}

int reaper_new(struct loop *loop, struct reaper **ret)
{
	struct reaper *reaper = calloc(1, sizeof(*reaper));
	pid_t pid;
	int r;

	if (!reaper)
		return -ENOMEM;

	r = reaper_open_births(reaper);
	if (r < 0) {
		free(reaper);
		return r;
	}

	/* Were it ignored, as we may have been started, the kernel would reap them itself. */
	(void)signal(SIGCHLD, SIG_DFL);
	reaper->adopts = getpid() != 1 && children_list(&pid, 1) == 0 &&
			 prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;

	reaper->loop = loop;
	list_init(&reaper->children);
	timer_init(&reaper->look, loop, reaper_on_look);
	ev_io_start(loop->ev, &reaper->on_birth);
	*ret = reaper;
	return 0;
}

/* Ends those that have ended; whether all have. */
static bool reaper_collect(struct reaper *reaper)
{
	while (reaper_take_birth(reaper))
		;
	list_for_each_safe (node, &reaper->children) {
		struct reaper_child *child = list_entry(node, struct reaper_child, node);

		if (child->pid && child_has_ended(child))
			child_end(child);
	}

	return reaper_sweep(reaper) == 0 && list_empty(&reaper->children);
}

void reaper_free(struct reaper *reaper)
{
	int64_t until_ms;

	if (!reaper)
		return;

	until_ms = loop_now_ms(reaper->loop) + LAST_WAIT_MS;
	list_for_each (node, &reaper->children)
		reaper_abandon(list_entry(node, struct reaper_child, node));
	while (!reaper_collect(reaper) && loop_now_ms(reaper->loop) < until_ms)
		(void)poll(NULL, 0, 1);

	list_for_each_safe (node, &reaper->children)
		child_free(list_entry(node, struct reaper_child, node));
	timer_stop(&reaper->look);
	ev_io_stop(reaper->loop->ev, &reaper->on_birth);
	/* A thread that waits for its child yet will write there, unless the program ends first. */
	if (!reaper->n_births) {
		(void)close(reaper->births);
		(void)close(reaper->report);
	}
	free(reaper);
}

struct loop *reaper_loop(const struct reaper *reaper)
{
	return reaper->loop;
}

void reaper_kill(struct reaper_child *child, int signal)
{
	if (child->pid)
		(void)kill(-child->pid, signal);
	else if (child->signal != SIGKILL)
		child->signal = signal;
}

void reaper_abandon(struct reaper_child *child)
{
	child->events = NULL;
	reaper_kill(child, SIGKILL);
}

pid_t reaper_pid(const struct reaper_child *child)
{
	return child->pid;
}
