/* SPDX-License-Identifier: MIT */
/*
 * Log records as datagrams for journald. Nothing is allocated or copied: a
 * record is a vector of pieces, and one sendmsg().
 */

#include "io/journal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define IDENTIFIER "molecule-agentd"
#define FIELDS_MAX 8
#define PIECES_PER_FIELD 5 /* name, newline, length, value, newline */

static const char *socket_path = JOURNAL_SOCKET;
static int socket_fd = -1; /* for the life of the process; not connected: journald may restart */

struct datagram {
	struct iovec pieces[FIELDS_MAX * PIECES_PER_FIELD];
	uint64_t lengths[FIELDS_MAX];
	size_t n_pieces, n_lengths;
};

/* sendmsg() only reads, but iovec has no const. */
static void datagram_add_bytes(struct datagram *datagram, const void *bytes, size_t len)
{
	union {
		const void *in;
		void *out;
	} base = { .in = bytes };

	datagram->pieces[datagram->n_pieces++] = (struct iovec){ base.out, len };
}

static void datagram_add_text(struct datagram *datagram, const char *text)
{
	datagram_add_bytes(datagram, text, strlen(text));
}

/*
 * NAME=value and a newline; a value with a newline in it is instead led in by
 * its length, as 64 bits in little-endian order.
 */
static void datagram_add(struct datagram *datagram, const char *name, const char *value)
{
	uint64_t *length;

	if (!value)
		return;

	datagram_add_text(datagram, name);
	if (strchr(value, '\n')) {
		length = &datagram->lengths[datagram->n_lengths++];
		*length = htole64(strlen(value));
		datagram_add_text(datagram, "\n");
		datagram_add_bytes(datagram, length, sizeof(*length));
	} else {
		datagram_add_text(datagram, "=");
	}
	datagram_add_text(datagram, value);
	datagram_add_text(datagram, "\n");
}

static int journal_open(void)
{
	if (socket_fd >= 0)
		return 0;

	socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return socket_fd < 0 ? -errno : 0;
}

static int journal_send(struct datagram *datagram)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct msghdr message = {
		.msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = datagram->pieces,
		.msg_iovlen = datagram->n_pieces,
	};
	size_t len = strlen(socket_path);
	int r;

	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, len);

	r = journal_open();
	if (r < 0)
		return r;

	if (sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;

	return 0;
}

bool journal_is_ours(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[2 * 20 + 2];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;

	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

int journal_sink(const struct log_record *record)
{
	struct datagram datagram = { .n_pieces = 0 };
	char priority[12], named[LOG_LINE_MAX + 80];
	const char *message = record->message;

	(void)snprintf(priority, sizeof(priority), "%d", record->level);
	/* For those who read lines; machines have the field. */
	if (record->workspace) {
		(void)snprintf(named, sizeof(named), "%s: %s", record->workspace, message);
		message = named;
	}
	datagram_add(&datagram, "MESSAGE", message);
	datagram_add(&datagram, "PRIORITY", priority);
	datagram_add(&datagram, "SYSLOG_IDENTIFIER", IDENTIFIER);
	datagram_add(&datagram, "MOLECULE_WORKSPACE", record->workspace);
	datagram_add(&datagram, "MOLECULE_EVENT", record->event);
	datagram_add(&datagram, "MESSAGE_ID", record->message_id);
	/* These are fields already, a line each. */
	if (record->extra && record->extra[0]) {
		datagram_add_text(&datagram, record->extra);
		datagram_add_text(&datagram, "\n");
	}

	return journal_send(&datagram);
}

void journal_set_socket(const char *path)
{
	socket_path = path ? path : JOURNAL_SOCKET;
}
