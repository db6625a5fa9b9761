/* SPDX-License-Identifier: MIT */
/*
 * A child's life: its pipes, its deadline, and the order of its last words.
 */

#include "io/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "io/launch.h"

static void output_close(struct process_output *output)
{
	if (output->fd < 0)
		return;

	ev_io_stop(output->process->loop->ev, &output->io);
	(void)close(output->fd);
	output->fd = -1;
}

static void process_close_input(struct process *process)
{
	if (process->input_fd < 0)
		return;

	ev_io_stop(process->loop->ev, &process->writable);
	(void)close(process->input_fd);
	process->input_fd = -1;
	buffer_fini(&process->input);
}

/* Back to rest: it may be started again or freed. The child is no longer known. */
static void process_clear(struct process *process)
{
	for (unsigned i = 0; i < process->n_outputs; i++)
		output_close(&process->outputs[i]);
	process_close_input(process);
	timer_stop(&process->deadline);
	loop_work_cancel(&process->settle);
	process->loop = NULL;
}

/* --- what it says --- */

/* Reads once. The process may be gone when this returns. */
static void output_read(struct process_output *output)
{
	struct process *process = output->process;
	size_t max =
		process->child ? PROCESS_READ_MAX : MIN(output->left, (size_t)PROCESS_READ_MAX);
	char bytes[PROCESS_READ_MAX];
	ssize_t n;

	n = read(output->fd, bytes, max);
	if (n < 0 && (errno == EINTR || (errno == EAGAIN && process->child)))
		return;

	if (n <= 0)
		output_close(output);
	else if (!process->child)
		output->left -= (size_t)n;
	process->callbacks->on_output(process, output->number, bytes, n > 0 ? (size_t)n : 0);
}

static void output_on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
	output_read(container_of(io, struct process_output, io));
	/* Careful: the process may be gone. */
}

void process_pause(struct process *process)
{
	process->paused = true;
	for (unsigned i = 0; i < process->n_outputs; i++)
		ev_io_stop(process->loop->ev, &process->outputs[i].io);
}

void process_resume(struct process *process)
{
	process->paused = false;
	if (!process->child) {
		loop_defer(process->loop, &process->settle);
		return;
	}

	for (unsigned i = 0; i < process->n_outputs; i++)
		if (process->outputs[i].fd >= 0)
			ev_io_start(process->loop->ev, &process->outputs[i].io);
}

/* --- what it hears --- */

/* 0 or -errno; EAGAIN is neither. The buffer keeps what the pipe does not take. */
static int process_flush(struct process *process)
{
	struct buffer *input = &process->input;
	ssize_t n;

	while (buffer_len(input)) {
		n = write(process->input_fd, buffer_at(input), buffer_len(input));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buffer_consume(input, (size_t)n);
	}

	return 0;
}

static void process_on_writable(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct process *process = container_of(io, struct process, writable);

	if (process_flush(process) < 0) {
		process_close_input(process);
	} else if (!buffer_len(&process->input)) {
		ev_io_stop(ev, io);
		if (process->input_ends)
			process_close_input(process);
	} else {
		return;
	}

	if (process->put_off) {
		process->put_off = false;
		process->callbacks->on_room(process);
	}
	/* Careful: the process may be gone. */
}

int process_write(struct process *process, const char *bytes, size_t len)
{
	int r;

	assert(process->loop && !process->input_ends && len <= PROCESS_INPUT_MAX);
	if (process->input_fd < 0)
		return -EPIPE;

	if (buffer_len(&process->input)) {
		process->put_off = true;
		return -EAGAIN;
	}

	r = buffer_append(&process->input, bytes, len);
	if (r < 0)
		return r;

	r = process_flush(process);
	if (r < 0) {
		process_close_input(process);
		return r;
	}

	if (buffer_len(&process->input))
		ev_io_start(process->loop->ev, &process->writable);
	return 0;
}

void process_end_input(struct process *process)
{
	process->input_ends = true;
	if (process->input_fd >= 0 && !buffer_len(&process->input))
		process_close_input(process);
}

/* --- how it ends --- */

/* One callback a turn, since each may be the last that the process hears. */
static void process_on_settle(struct loop_work *work)
{
	struct process *process = container_of(work, struct process, settle);

	if (process->paused)
		return;

	for (unsigned i = 0; i < process->n_outputs; i++) {
		if (process->outputs[i].fd < 0)
			continue;

		loop_defer(process->loop, &process->settle);
		output_read(&process->outputs[i]);
		return;
	}

	process_clear(process);
	process->callbacks->on_end(process, &process->end);
	/* Careful: the process may be gone. */
}

/* There is no child any more: what it has said is all. */
static void process_settle(struct process *process)
{
	process->child = NULL;
	timer_stop(&process->deadline);
	process_close_input(process);
	for (unsigned i = 0; i < process->n_outputs; i++) {
		struct process_output *output = &process->outputs[i];
		int left = 0;

		if (output->fd < 0)
			continue;
		ev_io_stop(process->loop->ev, &output->io);
		(void)ioctl(output->fd, FIONREAD, &left);
		output->left = (size_t)left;
	}
	loop_defer(process->loop, &process->settle);
}

static void process_on_child_end(void *context, const siginfo_t *info)
{
	struct process *process = context;

	process->end.status = info->si_code == CLD_EXITED ? info->si_status : -1;
	process->end.signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
	process_settle(process);
}

static void process_on_child_failed(void *context, int r)
{
	struct process *process = context;

	process->end.never_ran = r;
	process->end.status = -1;
	process_settle(process);
}

static const struct reaper_events child_events = {
	.on_failed = process_on_child_failed,
	.on_end = process_on_child_end,
};

static void process_on_deadline(struct timer *timer)
{
	struct process *process = container_of(timer, struct process, deadline);

	if (process->end.timed_out || process->grace_ms <= 0) {
		process_kill(process, SIGKILL);
	} else {
		process_kill(process, SIGTERM);
		timer_start(&process->deadline, process->grace_ms);
	}
	process->end.timed_out = true;
}

/* --- how it begins --- */

void process_init(struct process *process, const struct process_callbacks *callbacks)
{
	*process = (struct process){ .callbacks = callbacks, .input_fd = -1 };
	loop_work_init(&process->settle, process_on_settle);
}

static int process_add_output(struct process *process, int number, int fd)
{
	struct process_output *output = &process->outputs[process->n_outputs++];

	*output = (struct process_output){ .process = process, .fd = fd, .number = number };
	ev_io_init(&output->io, output_on_readable, fd, EV_READ);
	return fd_set_nonblocking(fd);
}

static int process_set_input(struct process *process, int fd)
{
	assert(process->input_fd < 0);
	process->input_fd = fd;
	buffer_init(&process->input, PROCESS_INPUT_MAX);
	ev_io_init(&process->writable, process_on_writable, fd, EV_WRITE);
	return fd_set_nonblocking(fd);
}

/* What the child gets as that number; *ret_theirs is to be closed when it has it. */
static int process_wire(struct process *process, const struct process_fd *wanted, int number,
			int *ret_fd, int *ret_theirs)
{
	int ends[2];

	*ret_fd = wanted->kind == PROCESS_FD_GIVEN ? wanted->fd : -1;
	if (wanted->kind == PROCESS_FD_NONE || wanted->kind == PROCESS_FD_GIVEN)
		return 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;

	if (wanted->kind == PROCESS_FD_INPUT) {
		*ret_fd = *ret_theirs = ends[0];
		return process_set_input(process, ends[1]);
	}
	*ret_fd = *ret_theirs = ends[1];
	return process_add_output(process, number, ends[0]);
}

static int process_spawn(struct process *process, struct reaper *reaper,
			 const struct process_spec *spec)
{
	int fds[PROCESS_FDS], theirs[PROCESS_FDS];
	struct launch_spec birth = {
		.argv = spec->argv,
		.environment = spec->environment,
		.dirfd = spec->dirfd,
		.fds = fds,
		.n_fds = PROCESS_FDS,
	};
	int r = 0;

	for (int i = 0; i < PROCESS_FDS; i++)
		theirs[i] = -1;
	for (int i = 0; r == 0 && i < PROCESS_FDS; i++)
		r = process_wire(process, &spec->fds[i], i, &fds[i], &theirs[i]);
	if (r == 0)
		r = reaper_launch(reaper, &birth, &child_events, process, &process->child);

	for (int i = 0; i < PROCESS_FDS; i++)
		fd_close_auto(&theirs[i]);
	return r;
}

int process_start(struct process *process, struct reaper *reaper, const struct process_spec *spec,
		  struct error *err)
{
	int r;

	assert(!process->loop);
	process_init(process, process->callbacks);
	process->loop = reaper_loop(reaper);
	timer_init(&process->deadline, process->loop, process_on_deadline);
	r = process_spawn(process, reaper, spec);
	if (r < 0) {
		process_clear(process);
		return error_set(err, ERROR_INTERNAL, -r, "cannot %s: cannot run %s: %m",
				 spec->what, spec->argv[0]);
	}

	process->grace_ms = spec->grace_ms;
	if (spec->timeout_ms > 0)
		timer_start(&process->deadline, spec->timeout_ms);
	process_resume(process);
	return 0;
}

void process_stop(struct process *process)
{
	if (!process->loop)
		return;

	if (process->child)
		reaper_abandon(TAKE(process->child));
	process_clear(process);
}

bool process_is_running(const struct process *process)
{
	return process->loop;
}

void process_kill(struct process *process, int signal)
{
	if (process->child)
		reaper_kill(process->child, signal);
}
