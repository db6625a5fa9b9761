/* SPDX-License-Identifier: MIT */
/*
 * Log records: the level decides whether there is one, the sink where it goes.
 * Any thread may log; the sink and the level are set while there is only one.
 */

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int log_to_stderr(const struct log_record *record);

static log_sink_fn log_sink = log_to_stderr;
static atomic_int log_threshold = LOG_INFO;
static atomic_uint_fast64_t log_n_lost;

static const char *const level_words[] = {
	[LOG_EMERG] = "emergency", [LOG_ALERT] = "alert",     [LOG_CRIT] = "critical",
	[LOG_ERR] = "error",       [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",       [LOG_DEBUG] = "debug",
};

/*
 * A record is one line whatever its text holds: a newline in it would let the
 * text write records of its own, an escape would let it write to the terminal.
 */
static void flatten(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
}

/* The length without a character at the end that was cut in the middle. */
static size_t whole_characters(const char *line, size_t len)
{
	size_t lead = len, need;
	unsigned char c;

	while (lead > 0 && len - lead < 3 && ((unsigned char)line[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (!lead)
		return len;

	c = (unsigned char)line[lead - 1];
	need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
	return len - (lead - 1) < need ? lead - 1 : len;
}

static size_t format_line(char line[static LOG_LINE_MAX], const struct log_record *record,
			  bool for_person)
{
	const char *workspace = record->workspace;
	char prefix[16];
	int len;

	/* systemd reads "<4>" as the level of what a service writes to standard error. */
	if (for_person)
		(void)snprintf(prefix, sizeof(prefix), "%s: ", level_words[record->level & 7]);
	else
		(void)snprintf(prefix, sizeof(prefix), "<%d>", record->level & 7);

	len = snprintf(line, LOG_LINE_MAX, "%s%s%s%s", prefix, workspace ? workspace : "",
		       workspace ? ": " : "", record->message);
	if (len < 0)
		len = 0;
	if (len >= LOG_LINE_MAX)
		len = (int)whole_characters(line, LOG_LINE_MAX - 1);

	flatten(line, (size_t)len);
	line[len] = '\n';
	return (size_t)len + 1;
}

static int log_to_stderr(const struct log_record *record)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LOG_LINE_MAX];
	size_t len;
	ssize_t n;

	/* Who reads standard error may have stopped to; we do not stop with them. */
	if (poll(&ready, 1, 0) <= 0)
		return -EAGAIN;

	if (!(ready.revents & POLLOUT) || (ready.revents & (POLLERR | POLLNVAL)))
		return -EPIPE;

	len = format_line(line, record, isatty(STDERR_FILENO) == 1);
	n = send(STDERR_FILENO, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, line, len);
	if (n < 0)
		return -errno;

	return (size_t)n == len ? 0 : -EIO;
}

void log_set_sink(log_sink_fn sink)
{
	log_sink = sink ? sink : log_to_stderr;
}

void log_set_level(int level)
{
	atomic_store(&log_threshold, level);
}

int log_level(void)
{
	return atomic_load(&log_threshold);
}

uint64_t log_lost(void)
{
	return atomic_load(&log_n_lost);
}

void log_write(const struct log_record *record)
{
	int saved = errno;

	if (record->level <= log_level() && log_sink(record) < 0)
		atomic_fetch_add(&log_n_lost, 1);

	/* Whoever logs before looking at errno must still find it. */
	errno = saved;
}

PRINTF(2, 0)
static void format_message(char message[static LOG_LINE_MAX], const char *format, va_list args)
{
	int len = vsnprintf(message, LOG_LINE_MAX, format, args);

	if (len >= LOG_LINE_MAX)
		message[whole_characters(message, LOG_LINE_MAX - 1)] = '\0';
}

void log_text(int level, const char *format, ...)
{
	char message[LOG_LINE_MAX];
	va_list args;

	if (level > log_level())
		return;

	va_start(args, format);
	format_message(message, format, args);
	va_end(args);
	log_write(&(struct log_record){ .level = level, .message = message });
}

void log_event(int level, const char *workspace, const char *event, const char *message_id,
	       const char *format, ...)
{
	char message[LOG_LINE_MAX];
	va_list args;

	if (level > log_level())
		return;

	va_start(args, format);
	format_message(message, format, args);
	va_end(args);
	log_write(&(struct log_record){ .level = level,
					.message = message,
					.workspace = workspace,
					.event = event,
					.message_id = message_id });
}
