/* SPDX-License-Identifier: MIT */
/*
 * Reading from people and scripts.
 */

#include "ctl/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "base/util.h"
#include "ctl/say.h"

#define READ_SIZE 4096

/* 1: some, 0: the end. */
static int read_some(int fd, struct buffer *input)
{
	size_t room_len;
	char *room;
	ssize_t n;
	int r;

	r = buffer_reserve(input, READ_SIZE, &room, &room_len);
	if (r < 0)
		return r;

	do
		n = read(fd, room, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;

	buffer_commit(input, (size_t)n);
	return buffer_len(input) > INPUT_MAX ? -EMSGSIZE : 1;
}

static int read_to_end(int fd, const char *what, struct buffer *input)
{
	int r;

	do
		r = read_some(fd, input);
	while (r > 0);

	if (r == -EMSGSIZE)
		return say_failed(ERROR_TOO_LARGE, "%s has more than %zu bytes", what, INPUT_MAX);
	if (r < 0)
		return say_failed(ERROR_NOT_FOUND, "cannot read %s: %s", what, strerror(-r));
	return 0;
}

int input_read_all(struct buffer *input)
{
	return read_to_end(STDIN_FILENO, "standard input", input);
}

static bool is_utf8(const char *text, size_t len)
{
	uint32_t c;

	while (len) {
		size_t used = utf8_next(text, len, &c);

		if (used == 1 && (unsigned char)*text >= 0x80)
			return false;
		text += used;
		len -= used;
	}
	return true;
}

int input_read_text(const char *topic, const char *what, const char *word, struct buffer *input)
{
	int status = 0;

	if (strcmp(word, "-") == 0)
		status = input_read_all(input);
	else
		(void)buffer_append_text(input, word);
	if (status)
		return status;

	if (!buffer_len(input))
		return say_usage(topic, "%s is empty", what);
	if (memchr(buffer_at(input), '\0', buffer_len(input)))
		return say_failed(ERROR_PARSE, "%s has a NUL in it", what);
	/* On its way into JSON it would be changed, and nobody would be told. */
	if (!is_utf8(buffer_at(input), buffer_len(input)))
		return say_failed(ERROR_PARSE, "%s is not UTF-8; convert it, as with iconv(1)",
				  what);

	return buffer_append_char(input, '\0') < 0 ? say_no_memory() : 0;
}

int input_read_file(const char *path, struct buffer *input)
{
	AUTO(fd_close) int fd = -1;

	if (strcmp(path, "-") == 0)
		return input_read_all(input);

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return say_failed(ERROR_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));

	return read_to_end(fd, path, input);
}

/*
 * A line from the terminal. A signal that would end us is only seen to be
 * there: it is delivered when the terminal is as it was.
 */
static int read_line(int signal_fd, struct buffer *input)
{
	struct pollfd pollers[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	int r;

	do
		r = poll(pollers, ARRAY_LEN(pollers), -1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (pollers[1].revents)
		return -EINTR;

	return read_some(STDIN_FILENO, input);
}

static int read_hidden(const char *question, const sigset_t *signals, struct buffer *input)
{
	AUTO(fd_close) int signal_fd = -1;
	struct termios before, hidden;
	int r;

	signal_fd = signalfd(-1, signals, SFD_CLOEXEC);
	if (signal_fd < 0 || tcgetattr(STDIN_FILENO, &before) < 0)
		return -errno;

	hidden = before;
	hidden.c_lflag &= (tcflag_t) ~(ECHO | ECHOE | ECHOK);
	hidden.c_lflag |= ECHONL | ICANON | ISIG;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
		return -errno;

	/* Asked only now: what is typed ahead of the question would be shown, and dropped. */
	(void)fd_write_all(STDERR_FILENO, question, strlen(question));
	r = read_line(signal_fd, input);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	return r;
}

int input_ask(const char *question, struct buffer *input)
{
	sigset_t signals, before;
	int r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGQUIT);
	(void)sigaddset(&signals, SIGTSTP);
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	r = read_hidden(question, &signals, input);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);

	if (r < 0)
		return say_failed(ERROR_CANCELLED, "nothing was read from the terminal: %s",
				  strerror(-r));
	return 0;
}
