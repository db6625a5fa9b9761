/* SPDX-License-Identifier: MIT */
/*
 * A child that draws. It ends when its parent says so, or has ended itself: an
 * interrupt is for both, and the bar is wiped all the same.
 */

#include "ctl/progress.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ctl/params.h"
#include "ctl/show.h"

#define LINE_MAX_LEN 512
#define BAR_WIDTH 30
#define WIDTH_DEFAULT 80

struct drawing {
	struct ctl *ctl;
	const char *plugin;
	int fd;         /* hangs up when it is over */
	bool bar;       /* not lines */
	char phase[16]; /* the last one that was told of */
};

static void put(const struct buffer *line)
{
	if (!line->failed && buffer_len(line))
		(void)fd_write_all(STDERR_FILENO, buffer_at(line), buffer_len(line));
}

static size_t terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col
									   : WIDTH_DEFAULT;
}

static int64_t number_of(struct json_text data, const char *name)
{
	int64_t value = -1;

	(void)json_text_int64(json_text_member(data, name), &value);
	return value;
}

static void show_bar(struct buffer *line, int64_t bytes, int64_t total)
{
	int64_t done = total > 0 ? MIN(bytes, total) * BAR_WIDTH / total : 0;

	(void)buffer_append_text(line, " [");
	for (int64_t i = 0; i < BAR_WIDTH; i++)
		(void)buffer_append_char(line, i < done ? '#' : '-');
	(void)buffer_printf(line, "] %3d%%",
			    (int)(MIN(bytes, total) * 100 / MAX(total, (int64_t)1)));
}

/* "pdf-tools: download [####----]  42%  5.1 MiB of 12.0 MiB" */
static void show_line(struct buffer *line, const struct drawing *drawing, struct json_text data)
{
	int64_t bytes = number_of(data, "bytes"), total = number_of(data, "total");
	int64_t files = number_of(data, "files");
	bool downloads = strcmp(drawing->phase, "download") == 0;

	(void)buffer_printf(line, "%s: %s", drawing->plugin, drawing->phase);
	if (drawing->bar && downloads && total > 0)
		show_bar(line, bytes, total);
	if (bytes > 0 && (drawing->bar || !downloads)) {
		(void)buffer_append_text(line, "  ");
		show_size(line, bytes);
	}
	if (drawing->bar && downloads && total > 0) {
		(void)buffer_append_text(line, " of ");
		show_size(line, total);
	}
	if (files > 0)
		(void)buffer_printf(line, ", %lld files", (long long)files);
}

static void draw(struct drawing *drawing, struct json_text data)
{
	AUTO(buffer_fini) struct buffer line = BUFFER_INIT(LINE_MAX_LEN);
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(LINE_MAX_LEN);
	char phase[sizeof(drawing->phase)];

	if (!json_text_equals(json_text_member(data, "name"), drawing->plugin) ||
	    json_text_cstring(json_text_member(data, "phase"), phase, sizeof(phase)) < 0)
		return;
	/* What came of it is the caller's to say. */
	if (strcmp(phase, "done") == 0 || strcmp(phase, "failed") == 0)
		return;
	if (!drawing->bar && strcmp(phase, drawing->phase) == 0)
		return;

	(void)snprintf(drawing->phase, sizeof(drawing->phase), "%s", phase);
	show_line(&line, drawing, data);
	if (line.failed)
		return;

	/* A line that is wrapped cannot be drawn over. */
	if (drawing->bar)
		buffer_truncate(&line, MIN(buffer_len(&line), terminal_width() - 1));
	(void)buffer_append_text(&out, drawing->bar ? "\r\033[K" : "");
	(void)buffer_append(&out, buffer_at(&line), buffer_len(&line));
	(void)buffer_append_text(&out, drawing->bar ? "" : "\n");
	put(&out);
}

static int subscribe(struct drawing *drawing)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	struct mol_agent_error err;
	int r;

	r = ctl_try_open(drawing->ctl, &err);
	if (r < 0)
		return r;

	ctl_begin_params(drawing->ctl, &params);
	params_begin_list(&params, "types");
	params_element(&params, "plugin.progress");
	params_end_list(&params);
	return ctl_try_call(drawing->ctl, "events.subscribe", &params, NULL, &err);
}

/* All events that have come; false when no more will. */
static bool draw_events(struct drawing *drawing)
{
	struct mol_agent_error err;
	char *text;
	int r;

	while ((r = mol_agent_next_event(drawing->ctl->agent, 0, &text, &err)) == 0) {
		draw(drawing, json_text_member(json_text_from(text, strlen(text)), "data"));
		mol_agent_free(text);
	}
	return r == -ETIMEDOUT || r == -EINTR;
}

static void draw_until_over(struct drawing *drawing)
{
	struct pollfd polls[2] = { { .fd = drawing->fd } };
	bool hears = true;

	while (!polls[0].revents) {
		hears = hears && draw_events(drawing);
		polls[1] = (struct pollfd){
			.fd = hears ? mol_agent_fd(drawing->ctl->agent) : -1,
			.events = POLLIN,
		};
		if (poll(polls, ARRAY_LEN(polls), -1) < 0)
			polls[0].revents = 0;
	}
	if (hears)
		(void)draw_events(drawing);
}

/* A line can be drawn over; on others, as on Emacs's, what does that is seen as it is. */
static bool can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

static _Noreturn void run_child(struct ctl *ctl, const char *plugin, int fd)
{
	struct drawing drawing = {
		.ctl = ctl,
		.plugin = plugin,
		.fd = fd,
		.bar = can_draw(),
	};

	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	if (subscribe(&drawing) == 0) {
		(void)fd_write_all(fd, "", 1);
		draw_until_over(&drawing);
		if (drawing.bar)
			(void)fd_write_all(STDERR_FILENO, "\r\033[K", 4);
	}
	_exit(0);
}

void progress_start(struct progress *progress, struct ctl *ctl, const char *plugin)
{
	int ends[2];
	char ready;

	*progress = (struct progress){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return;

	progress->pid = fork();
	if (progress->pid == 0) {
		(void)close(ends[0]);
		run_child(ctl, plugin, ends[1]);
	}
	(void)close(ends[1]);
	progress->fd = ends[0];
	if (progress->pid < 0)
		progress->pid = 0;
	else
		(void)!read(progress->fd, &ready, 1);
}

void progress_stop(struct progress *progress)
{
	fd_close_auto(&progress->fd);
	progress->fd = -1;
	if (progress->pid)
		(void)waitpid(progress->pid, NULL, 0);
	progress->pid = 0;
}
