/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A child process on the loop.
 *
 * It begins with what it is given and nothing else: its arguments, environment,
 * directory and descriptors (all others are closed, whatever they are), no
 * blocked and no ignored signal, a session and a process group of its own. The
 * memory of this process, which holds secrets, is never copied for it.
 *
 * A child that runs is its struct: stopping it kills its whole group and has it
 * reaped, and no callback comes after that. Callbacks come from the loop, never
 * from inside another function here, and may start, stop or free any process.
 *
 * What a child leaves behind dies with it: its group when the child has ended
 * or is killed, and whoever left the group, once its parents are gone: this
 * process takes in orphans and kills them (see io/reaper.h for when it cannot).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/loop.h"
#include "io/reaper.h"

#define PROCESS_FDS 6           /* 0 .. 5 in the child */
#define PROCESS_INPUT_MAX 65536 /* a pipe holds as much once more */
#define PROCESS_READ_MAX 16384  /* of one pipe, in one turn */

struct process;

enum process_fd_kind {
	PROCESS_FD_NONE,   /* 0, 1 and 2: /dev/null; the others are closed */
	PROCESS_FD_GIVEN,  /* that descriptor of ours */
	PROCESS_FD_INPUT,  /* a pipe for process_write(); at most one */
	PROCESS_FD_OUTPUT, /* a pipe whose bytes come to on_output */
};

struct process_fd {
	enum process_fd_kind kind;
	int fd; /* of GIVEN: borrowed until process_start() returns */
};

/* Everything is borrowed until process_start() returns. */
struct process_spec {
	const char *what;               /* for sentences: "unpack pdf-tools" */
	const char *const *argv;        /* argv[0] is the path of the program */
	const char *const *environment; /* "NAME=value", ended by NULL */
	int dirfd;                      /* where it runs; -1: the root directory */
	struct process_fd fds[PROCESS_FDS];
	int64_t timeout_ms; /* then its group gets SIGTERM; 0: never */
	int64_t grace_ms;   /* and so much later SIGKILL */
};

struct process_end {
	int never_ran;  /* -errno: the program could not be run; all else says nothing then */
	bool timed_out; /* whatever it said then */
	int status;     /* its exit status, or -1 */
	int signal;     /* that killed it, or 0 */
};

/*
 * Comes once, when the child has been reaped and its output has been read: of a
 * pipe that others hold open, what is in it by then. Or when it could not be
 * born.
 */
typedef void (*process_end_fn)(struct process *process, const struct process_end *end);

/*
 * Output, as it comes; fd is the child's number. len 0: nothing more comes of
 * this one.
 */
typedef void (*process_output_fn)(struct process *process, int fd, const char *bytes, size_t len);

/* All that was written is in the pipe, after a process_write() that was put off. */
typedef void (*process_room_fn)(struct process *process);

struct process_callbacks {
	process_end_fn on_end;
	process_output_fn on_output; /* may be NULL when there is no OUTPUT */
	process_room_fn on_room;     /* likewise, no INPUT */
};

struct process_output {
	struct process *process; /* borrowed */
	struct ev_io io;
	int fd;      /* owned; -1: closed */
	int number;  /* in the child */
	size_t left; /* when the child has ended: what is to be read yet */
};

struct process {
	const struct process_callbacks *callbacks; /* borrowed */
	struct loop *loop;                         /* borrowed; NULL: does not run */
	struct reaper_child *child;                /* owned by the reaper, until it has ended */
	struct process_output outputs[PROCESS_FDS];
	unsigned n_outputs;
	int input_fd; /* owned; -1: closed */
	struct ev_io writable;
	struct buffer input;
	bool input_ends; /* with the last byte in the buffer */
	bool put_off;    /* on_room is owed */
	bool paused;
	struct timer deadline;
	int64_t grace_ms;
	struct loop_work settle; /* reads the rest when it has ended, then tells */
	struct process_end end;
};

void process_init(struct process *process, const struct process_callbacks *callbacks);
/*
 * 0, or an error that says why there is no such child (no callback comes). Waits
 * for nothing: that a program is not there or cannot be executed is told as its
 * end. Until it is born what is written waits for it, and so do signals.
 */
int process_start(struct process *process, struct reaper *reaper, const struct process_spec *spec,
		  struct error *err);
void process_stop(struct process *process); /* takes one that does not run */
bool process_is_running(const struct process *process);

/* A signal for the whole group: SIGTERM to ask. No news when it has ended already. */
void process_kill(struct process *process, int signal);

/*
 * Writes to the INPUT. 0: all of it was taken. -EAGAIN: none of it; try again
 * when on_room comes. -EPIPE: the child reads no more. Anything else: part of it
 * is lost, and the child should be stopped. len is at most PROCESS_INPUT_MAX.
 */
int process_write(struct process *process, const char *bytes, size_t len);
/* End of file for the child, after what was written. */
void process_end_input(struct process *process);

/*
 * No more output for now, of any pipe: the child is held up when they are full,
 * and on_end is, too.
 */
void process_pause(struct process *process);
void process_resume(struct process *process);
