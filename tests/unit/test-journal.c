/* SPDX-License-Identifier: MIT */
#include "io/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/test.h"

static int journald = -1;
static char datagram[65536];

static void start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "j" };

	journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(journald, (const struct sockaddr *)&address, sizeof(address)), 0);
	journal_set_socket("j");
}

static ssize_t receive(void)
{
	ssize_t n = recv(journald, datagram, sizeof(datagram) - 1, 0);

	datagram[n < 0 ? 0 : n] = '\0';
	return n;
}

TEST(a_record_is_fields_that_machines_can_filter_by)
{
	const struct log_record full = {
		.level = LOG_NOTICE,
		.message = "online -> paused",
		.workspace = "alpha",
		.event = "state",
		.message_id = "0123456789abcdef0123456789abcdef",
		.extra = "MOLECULE_PEER_UID=1000\nMOLECULE_METHOD=secrets.get",
	};
	const struct log_record bare = { .level = LOG_ERR, .message = "x" };

	start();
	CHECK_INT(journal_sink(&full), 0);
	(void)receive();
	CHECK_TEXT(datagram, "MESSAGE=alpha: online -> paused\n"
			     "PRIORITY=5\n"
			     "SYSLOG_IDENTIFIER=molecule-agentd\n"
			     "MOLECULE_WORKSPACE=alpha\n"
			     "MOLECULE_EVENT=state\n"
			     "MESSAGE_ID=0123456789abcdef0123456789abcdef\n"
			     "MOLECULE_PEER_UID=1000\n"
			     "MOLECULE_METHOD=secrets.get\n");

	CHECK_INT(journal_sink(&bare), 0);
	(void)receive();
	CHECK_TEXT(datagram, "MESSAGE=x\nPRIORITY=3\nSYSLOG_IDENTIFIER=molecule-agentd\n");
}

TEST(a_value_with_newlines_is_led_in_by_its_length)
{
	const struct log_record record = {
		.level = LOG_INFO,
		.message = "a\nPRIORITY=0",
		.workspace = "b\n",
	};
	static const char expected[] = "MESSAGE\n\x10\0\0\0\0\0\0\0"
				       "b\n: a\nPRIORITY=0\n"
				       "PRIORITY=6\nSYSLOG_IDENTIFIER=molecule-agentd\n"
				       "MOLECULE_WORKSPACE\n\x02\0\0\0\0\0\0\0b\n\n";

	start();
	CHECK_INT(journal_sink(&record), 0);
	CHECK_INT(receive(), sizeof(expected) - 1);
	CHECK(memcmp(datagram, expected, sizeof(expected) - 1) == 0);
}

TEST(a_journal_that_does_not_read_loses_lines_and_holds_nobody_up)
{
	const struct log_record record = { .level = LOG_INFO, .message = "x" };
	int r = 0;

	start();
	for (int i = 0; i < 100000 && r == 0; i++)
		r = journal_sink(&record);
	CHECK_INT(r, -EAGAIN);

	while (receive() > 0)
		;
	CHECK_INT(journal_sink(&record), 0);
}

TEST(a_journal_that_restarts_is_found_again)
{
	const struct log_record record = { .level = LOG_INFO, .message = "x" };

	start();
	CHECK_INT(journal_sink(&record), 0);
	(void)close(journald);
	CHECK_INT(journal_sink(&record), -ECONNREFUSED);
	CHECK_INT(unlink("j"), 0);
	CHECK_INT(journal_sink(&record), -ENOENT);
	start();
	CHECK_INT(journal_sink(&record), 0);
	CHECK(receive() > 0);
}

TEST(a_record_too_large_for_a_datagram_is_lost)
{
	char *message = malloc(8 << 20);
	const struct log_record record = { .level = LOG_INFO, .message = message };

	CHECK(message);
	memset(message, 'x', (8 << 20) - 1);
	message[(8 << 20) - 1] = '\0';
	start();
	CHECK_INT(journal_sink(&record), -EMSGSIZE);
	free(message);
}

static void point_stderr_at(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	(void)close(fd);
}

TEST(the_journal_is_ours_only_while_standard_error_is_its)
{
	char stream[64];
	struct stat st;

	CHECK_INT(unsetenv("JOURNAL_STREAM"), 0);
	CHECK(!journal_is_ours());

	point_stderr_at("a");
	CHECK_INT(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	CHECK_INT(setenv("JOURNAL_STREAM", stream, 1), 0);
	CHECK(journal_is_ours());

	/* Somebody redirected us and left the variable behind. */
	point_stderr_at("b");
	CHECK(!journal_is_ours());

	CHECK_INT(setenv("JOURNAL_STREAM", "nonsense", 1), 0);
	CHECK(!journal_is_ours());
}
