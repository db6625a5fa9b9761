/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"

/* Makes fd standard error. */
static void write_to(int fd)
{
	CHECK(dup2(fd, STDERR_FILENO) == STDERR_FILENO);
}

static int pipe_to_stderr(void)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	write_to(ends[1]);
	(void)close(ends[1]);
	return ends[0];
}

static const char *line_from(int fd)
{
	static char line[4096];
	ssize_t n = read(fd, line, sizeof(line) - 1);

	CHECK(n >= 0);
	line[n] = '\0';
	return line;
}

TEST(a_line_has_its_level_as_systemd_reads_it)
{
	int fd = pipe_to_stderr();

	log_warning("cannot %s", "go");
	CHECK_TEXT(line_from(fd), "<4>cannot go\n");
}

TEST(a_line_names_its_workspace)
{
	int fd = pipe_to_stderr();

	log_event(LOG_NOTICE, "laptop", "state", NULL, "online -> %s", "paused");
	CHECK_TEXT(line_from(fd), "<5>laptop: online -> paused\n");
}

TEST(a_person_at_a_terminal_reads_words)
{
	int master, slave;

	CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
	write_to(slave);
	log_error("no");
	CHECK_TEXT(line_from(master), "error: no\r\n");
}

TEST(the_level_decides_what_is_written)
{
	int fd = pipe_to_stderr();

	log_debug("one");
	log_set_level(LOG_DEBUG);
	CHECK_INT(log_level(), LOG_DEBUG);
	log_debug("two");
	log_set_level(LOG_ERR);
	log_warning("three");
	CHECK_TEXT(line_from(fd), "<7>two\n");
	CHECK_INT(log_lost(), 0);
}

TEST(text_cannot_make_lines_of_its_own)
{
	int fd = pipe_to_stderr();

	log_info("a\n<0>b\x1b[31m\tc\x7f");
	CHECK_TEXT(line_from(fd), "<6>a <0>b [31m c \n");
}

TEST(a_long_line_is_cut_between_characters)
{
	static const char euro[] = "\xe2\x82\xac";
	char message[2701];
	int fd = pipe_to_stderr();
	const char *line;

	/* However many bytes are before them, the line ends with a whole one. */
	for (size_t before = 0; before < 3; before++) {
		memset(message, 'a', before);
		for (size_t i = 0; before + i + 1 < sizeof(message); i++)
			message[before + i] = euro[i % 3];
		message[sizeof(message) - 1] = '\0';
		log_write(&(struct log_record){ .level = LOG_INFO, .message = message });
		line = line_from(fd);
		CHECK(strlen(line) <= LOG_LINE_MAX && strlen(line) > LOG_LINE_MAX - 4);
		CHECK_TEXT(line + strlen(line) - 4, "\xe2\x82\xac\n");
	}
}

TEST(errno_is_there_before_and_after)
{
	int fd = pipe_to_stderr();

	errno = ENOENT;
	log_error("cannot: %m");
	CHECK_INT(errno, ENOENT);
	CHECK_TEXT(line_from(fd), "<3>cannot: No such file or directory\n");
}

TEST(a_reader_that_stopped_costs_lines_and_no_time)
{
	int fd = pipe_to_stderr();
	char message[1000];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	/* A pipe holds 64 KiB. The test hangs here if a line is waited for. */
	for (int i = 0; i < 200; i++)
		log_info("%s", message);
	CHECK(log_lost() > 100 && log_lost() < 200);
	(void)close(fd);
}

TEST(a_reader_that_left_does_not_kill_us)
{
	int ends[2];

	(void)close(pipe_to_stderr());
	log_info("to a broken pipe");
	CHECK_INT(log_lost(), 1);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	write_to(ends[0]);
	(void)close(ends[1]);
	log_info("to a broken socket");
	CHECK_INT(log_lost(), 2);

	(void)close(STDERR_FILENO);
	log_info("to nothing");
	CHECK_INT(log_lost(), 3);
}

TEST(a_socket_and_a_file_take_lines_too)
{
	int ends[2], fd;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	write_to(ends[0]);
	log_info("socket");
	CHECK_TEXT(line_from(ends[1]), "<6>socket\n");

	fd = open("log", O_RDWR | O_CREAT, 0600);
	write_to(fd);
	log_info("file");
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK_TEXT(line_from(fd), "<6>file\n");
	CHECK_INT(log_lost(), 0);
}

static struct log_record caught;
static char caught_message[LOG_LINE_MAX];

static int catch_record(const struct log_record *record)
{
	caught = *record;
	(void)snprintf(caught_message, sizeof(caught_message), "%s", record->message);
	return strcmp(record->message, "lose me") == 0 ? -EIO : 0;
}

TEST(a_sink_gets_the_fields_and_its_losses_are_counted)
{
	int fd = pipe_to_stderr();

	log_set_sink(catch_record);
	log_event(LOG_INFO, "laptop", "paused", "0123456789abcdef0123456789abcdef", "now %d", 1);
	CHECK_INT(caught.level, LOG_INFO);
	CHECK_TEXT(caught.workspace, "laptop");
	CHECK_TEXT(caught.event, "paused");
	CHECK_TEXT(caught.message_id, "0123456789abcdef0123456789abcdef");
	CHECK_TEXT(caught_message, "now 1");
	log_info("lose me");
	CHECK_INT(log_lost(), 1);

	log_set_sink(NULL);
	log_info("back");
	CHECK_TEXT(line_from(fd), "<6>back\n");
}

TEST(a_sink_gets_whole_characters_too)
{
	char text[1100];

	memset(text, 'a', sizeof(text));
	(void)snprintf(text + 1021, sizeof(text) - 1021, "\xe2\x82\xac and more");
	log_set_sink(catch_record);
	log_info("%s", text);
	CHECK_INT(strlen(caught_message), 1021);
}
