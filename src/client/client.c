/* SPDX-License-Identifier: MIT */
/*
 * One connection, one call at a time. Everything that waits goes through
 * client_turn(), which writes what is to be written and reads what is to be
 * read, whichever comes first: a daemon that stops reading until we have read
 * its answers must not find us waiting for the opposite.
 *
 * The daemon ends each message with one newline and writes none inside, so a
 * line is a message.
 */

#include <molecule/agent.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "client/failure.h"

#define MESSAGE_MAX ((size_t)16 << 20) /* the daemon's own cap for an answer is 4 MiB */
#define EVENTS_MAX ((size_t)4 << 20)   /* as much as the daemon itself would keep for us */
#define READ_SIZE 16384
#define CONNECT_TIMEOUT_S 10
#define SYSTEM_SOCKET "/run/molecule.sock"

struct answer {
	bool there;
	int r;
	char *result; /* owned */
};

struct mol_agent {
	int fd; /* -1: lost */
	uint64_t last_id;
	bool waiting; /* for the answer to last_id */
	bool events_lost;
	size_t scanned; /* bytes of in without a newline */
	struct buffer in, out, events;
	struct answer answer;
	struct mol_agent_error answer_err;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When a call that begins now must have ended; negative: never. */
static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
}

static int time_left(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms < 0)
		return -1;

	left = deadline_ms - clock_ms();
	return (int)MAX((int64_t)0, MIN(left, (int64_t)INT_MAX));
}

void mol_agent_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static int pick_path(const char *path, struct sockaddr_un *address, struct mol_agent_error *err)
{
	const char *given = path ? path : secure_getenv("MOLECULE_SOCKET");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	size_t size = sizeof(address->sun_path);

	if (given && given[0]) {
		if (strlen(given) >= size)
			return failure_set(err, ERROR_INVALID_PARAMS, ENAMETOOLONG,
					   "a socket's path has at most %zu bytes", size - 1);
		(void)snprintf(address->sun_path, size, "%s", given);
		return 0;
	}

	if (runtime && runtime[0] == '/' &&
	    (size_t)snprintf(address->sun_path, size, "%s/molecule.sock", runtime) < size &&
	    access(address->sun_path, F_OK) == 0)
		return 0;

	(void)snprintf(address->sun_path, size, "%s", SYSTEM_SOCKET);
	return 0;
}

static enum error_kind kind_of_connect(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
		return ERROR_FORBIDDEN;
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
	case EAGAIN:
	case EPROTOTYPE:
	case ENOTSOCK:
		return ERROR_UNAVAILABLE;
	default:
		return ERROR_INTERNAL;
	}
}

static int open_socket(const struct sockaddr_un *address, int *ret_fd, struct mol_agent_error *err)
{
	const struct timeval patience = { .tv_sec = CONNECT_TIMEOUT_S };
	AUTO(fd_close) int fd = -1;
	int r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failure_set(err, ERROR_INTERNAL, errno, "cannot make a socket: %m");

	/* connect() waits for room in the daemon's queue, and for this long. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	do
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return failure_set(err, kind_of_connect(errno), errno, "cannot connect to %s: %m",
				   address->sun_path);

	r = fd_set_nonblocking(fd);
	if (r < 0)
		return failure_set(err, ERROR_INTERNAL, -r, "cannot set up a socket: %m");

	*ret_fd = fd;
	fd = -1;
	return 0;
}

int mol_agent_open(const char *path, struct mol_agent **ret_agent, struct mol_agent_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO(fd_close) int fd = -1;
	struct mol_agent *agent;
	int r;

	r = pick_path(path, &address, err);
	if (r < 0)
		return r;

	r = open_socket(&address, &fd, err);
	if (r < 0)
		return r;

	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return failure_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a connection");

	agent->fd = fd;
	fd = -1;
	buffer_init(&agent->in, MESSAGE_MAX + READ_SIZE);
	buffer_init(&agent->out, MESSAGE_MAX);
	buffer_init(&agent->events, EVENTS_MAX);
	*ret_agent = agent;
	return 0;
}

static void client_lose(struct mol_agent *agent)
{
	if (agent->fd >= 0)
		(void)close(agent->fd);
	agent->fd = -1;
}

void mol_agent_close(struct mol_agent *agent)
{
	if (!agent)
		return;

	client_lose(agent);
	buffer_fini(&agent->in);
	buffer_fini(&agent->out);
	buffer_fini(&agent->events);
	mol_agent_free(agent->answer.result);
	free(agent);
}

int mol_agent_fd(const struct mol_agent *agent)
{
	return agent->fd;
}

static void keep_event(struct mol_agent *agent, struct json_text params)
{
	size_t before = buffer_len(&agent->events);

	if (agent->events_lost || json_text_kind(params) != JSON_OBJECT)
		return;

	(void)buffer_append(&agent->events, params.at, params.len);
	(void)buffer_append_char(&agent->events, '\n');
	if (agent->events.failed) {
		buffer_truncate(&agent->events, before);
		agent->events_lost = true;
	}
}

/* Whether it answers the call we wait for. A call that was not understood is answered with id null.
 */
static bool is_awaited(const struct mol_agent *agent, struct json_text id)
{
	int64_t value;

	if (!agent->waiting || agent->answer.there)
		return false;

	if (json_text_kind(id) == JSON_NULL)
		return true;

	return json_text_kind(id) == JSON_NUMBER && json_text_int64(id, &value) == 0 &&
	       (uint64_t)value == agent->last_id;
}

static int keep_answer(struct mol_agent *agent, struct json_text message)
{
	struct json_text error = json_text_member(message, "error");
	struct json_text result = json_text_member(message, "result");
	struct answer *answer = &agent->answer;

	if (json_text_kind(error) == JSON_OBJECT) {
		answer->there = true;
		answer->r = failure_from_answer(&agent->answer_err, error);
		return 0;
	}

	if (json_text_kind(result) == JSON_NONE)
		return -EBADMSG;

	answer->there = true;
	answer->r = 0;
	answer->result = strndup(result.at, result.len);
	if (!answer->result)
		answer->r = failure_set(&agent->answer_err, ERROR_INTERNAL, ENOMEM,
					"no memory for an answer of %zu bytes", result.len);
	return 0;
}

/* -EBADMSG: this is no daemon of ours. */
static int take_line(struct mol_agent *agent, const char *line, size_t len)
{
	struct json_text message, id;

	if (json_check(line, len, JSON_DEPTH_MAX, UINT32_MAX, NULL) < 0)
		return -EBADMSG;

	message = json_text_from(line, len);
	if (json_text_kind(message) != JSON_OBJECT)
		return -EBADMSG;

	if (json_text_equals(json_text_member(message, "method"), "event")) {
		keep_event(agent, json_text_member(message, "params"));
		return 0;
	}

	id = json_text_member(message, "id");
	return is_awaited(agent, id) ? keep_answer(agent, message) : 0;
}

static int take_lines(struct mol_agent *agent)
{
	struct buffer *in = &agent->in;
	const char *line, *end;
	size_t len;
	int r;

	while (buffer_len(in) > agent->scanned) {
		line = buffer_at(in);
		end = memchr(line + agent->scanned, '\n', buffer_len(in) - agent->scanned);
		if (!end) {
			agent->scanned = buffer_len(in);
			return agent->scanned > MESSAGE_MAX ? -EMSGSIZE : 0;
		}

		len = (size_t)(end - line);
		r = take_line(agent, line, len);
		agent->scanned = 0;
		buffer_consume(in, len + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_some(struct mol_agent *agent)
{
	size_t room_len;
	char *room;
	ssize_t n;
	int r;

	r = buffer_reserve(&agent->in, READ_SIZE, &room, &room_len);
	if (r < 0)
		return r;

	n = recv(agent->fd, room, room_len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (n == 0)
		return -ECONNRESET;

	buffer_commit(&agent->in, (size_t)n);
	return take_lines(agent);
}

static int write_some(struct mol_agent *agent)
{
	ssize_t n;

	if (!buffer_len(&agent->out))
		return 0;

	n = send(agent->fd, buffer_at(&agent->out), buffer_len(&agent->out), MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;

	buffer_consume(&agent->out, (size_t)n);
	return 0;
}

/* Waits until something can be read or written and does it: 0, -ETIMEDOUT, -EINTR, or fatal. */
static int client_turn(struct mol_agent *agent, int64_t deadline_ms)
{
	struct pollfd poller = { .fd = agent->fd, .events = POLLIN };
	int r, w = 0;

	if (buffer_len(&agent->out))
		poller.events |= POLLOUT;

	r = poll(&poller, 1, time_left(deadline_ms));
	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;

	/* A daemon that has closed may still have said why: read before giving up. */
	if (poller.revents & POLLOUT)
		w = write_some(agent);
	if (poller.revents & (POLLIN | POLLHUP | POLLERR))
		return read_some(agent);

	return w;
}

static int not_connected(struct mol_agent_error *err)
{
	return failure_set(err, ERROR_UNAVAILABLE, ENOTCONN,
			   "the connection to the daemon was lost before");
}

/* On one line: in checked JSON a newline is white space, wherever it stands. */
static void append_params(struct buffer *out, const char *params_json)
{
	size_t len;

	(void)buffer_append_text(out, ",\"params\":");
	for (; *params_json; params_json += len) {
		len = strcspn(params_json, "\r\n");
		(void)buffer_append(out, params_json, len);
		len += strspn(params_json + len, "\r\n");
	}
}

static int append_call(struct mol_agent *agent, const char *method, const char *params_json)
{
	struct buffer *out = &agent->out;

	(void)buffer_printf(out,
			    "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":", agent->last_id);
	(void)json_write_string(out, method, strlen(method));
	if (params_json)
		append_params(out, params_json);
	(void)buffer_append_text(out, "}\n");
	return out->failed;
}

static int begin_call(struct mol_agent *agent, const char *method, const char *params_json,
		      struct mol_agent_error *err)
{
	size_t before = buffer_len(&agent->out);
	enum json_kind kind;
	struct error why;
	int r;

	if (params_json) {
		r = json_check(params_json, strlen(params_json), JSON_DEPTH_MAX, UINT32_MAX, &why);
		if (r < 0)
			return failure_set(err, ERROR_INVALID_PARAMS, EINVAL,
					   "the parameters are not JSON: %s", why.text);
		kind = json_text_kind(json_text_from(params_json, strlen(params_json)));
		if (kind != JSON_OBJECT && kind != JSON_ARRAY)
			return failure_set(err, ERROR_INVALID_PARAMS, EINVAL,
					   "the parameters are neither an object nor an array");
	}

	agent->last_id++;
	r = append_call(agent, method, params_json);
	if (r < 0) {
		buffer_truncate(&agent->out, before);
		return r == -EMSGSIZE
			       ? failure_set(err, ERROR_TOO_LARGE, EMSGSIZE,
					     "a call has at most %zu bytes", MESSAGE_MAX)
			       : failure_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a call");
	}

	agent->answer = (struct answer){ .there = false };
	agent->waiting = true;
	return 0;
}

/*
 * No answer in time. A call of which nothing was written is taken back; one that
 * was written in part cannot be, and the daemon must never see its end.
 */
static int call_timed_out(struct mol_agent *agent, size_t call_len, const char *method,
			  struct mol_agent_error *err)
{
	size_t unsent = buffer_len(&agent->out);

	if (unsent == 0) {
		(void)buffer_printf(&agent->out,
				    "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\","
				    "\"params\":{\"id\":%" PRIu64 "}}\n",
				    agent->last_id);
		(void)write_some(agent);
		return failure_set(err, ERROR_UNKNOWN_OUTCOME, ETIMEDOUT,
				   "the daemon did not answer %s in time, it may have done it",
				   method);
	}

	if (unsent >= call_len)
		buffer_truncate(&agent->out, unsent - call_len);
	else
		client_lose(agent);
	return failure_set(err, ERROR_TIMEOUT, ETIMEDOUT,
			   "the daemon does not read what it is told");
}

static int connection_failed(struct mol_agent *agent, int r, bool sent, struct mol_agent_error *err)
{
	client_lose(agent);

	switch (r) {
	case -EBADMSG:
		return failure_set(err, ERROR_INTERNAL, EBADMSG,
				   "what answers on the socket does not speak JSON-RPC");
	case -EMSGSIZE:
		return failure_set(err, ERROR_TOO_LARGE, EMSGSIZE,
				   "the daemon's answer has more than %zu bytes", MESSAGE_MAX);
	case -ENOMEM:
		return failure_set(err, ERROR_INTERNAL, ENOMEM, "no memory for an answer");
	default:
		break;
	}

	if (sent)
		return failure_set(err, ERROR_UNKNOWN_OUTCOME, ECONNRESET,
				   "the daemon closed the connection before it answered");
	return failure_set(err, ERROR_UNAVAILABLE, ECONNRESET, "the daemon closed the connection");
}

static int call_answered(struct mol_agent *agent, char **ret_result_json,
			 struct mol_agent_error *err)
{
	struct answer *answer = &agent->answer;

	if (answer->r < 0) {
		if (err)
			*err = agent->answer_err;
		return answer->r;
	}

	if (ret_result_json)
		*ret_result_json = TAKE(answer->result);
	mol_agent_free(TAKE(answer->result));
	return 0;
}

int mol_agent_call(struct mol_agent *agent, const char *method, const char *params_json,
		   int timeout_ms, char **ret_result_json, struct mol_agent_error *err)
{
	int64_t deadline_ms = deadline_of(timeout_ms);
	size_t call_len;
	int r;

	if (agent->fd < 0)
		return not_connected(err);

	call_len = buffer_len(&agent->out);
	r = begin_call(agent, method, params_json, err);
	if (r < 0)
		return r;
	call_len = buffer_len(&agent->out) - call_len;

	do
		r = client_turn(agent, deadline_ms);
	while ((r == 0 || r == -EINTR) && !agent->answer.there);
	agent->waiting = false;

	/* An answer counts, even when the connection ended behind it. */
	if (r < 0 && r != -ETIMEDOUT && r != -EINTR && agent->answer.there)
		client_lose(agent);
	if (agent->answer.there)
		return call_answered(agent, ret_result_json, err);

	if (r == -ETIMEDOUT)
		return call_timed_out(agent, call_len, method, err);

	return connection_failed(agent, r, buffer_len(&agent->out) == 0, err);
}

/* 1: there was one. */
static int take_event(struct mol_agent *agent, char **ret_event_json, struct mol_agent_error *err)
{
	struct buffer *events = &agent->events;
	const char *end;
	size_t len;
	char *event;

	if (!buffer_len(events) && !agent->events_lost)
		return 0;

	if (!buffer_len(events)) {
		event = strdup("{\"type\":\"overflow\"}");
		len = 0;
	} else {
		end = memchr(buffer_at(events), '\n', buffer_len(events));
		len = (size_t)(end - buffer_at(events));
		event = strndup(buffer_at(events), len++);
	}
	if (!event)
		return failure_set(err, ERROR_INTERNAL, ENOMEM, "no memory for an event");

	if (len)
		buffer_consume(events, len);
	else
		agent->events_lost = false;
	*ret_event_json = event;
	return 1;
}

int mol_agent_next_event(struct mol_agent *agent, int timeout_ms, char **ret_event_json,
			 struct mol_agent_error *err)
{
	int64_t deadline_ms = deadline_of(timeout_ms);
	int lost = 0, r;

	for (;;) {
		r = take_event(agent, ret_event_json, err);
		if (r != 0)
			return r < 0 ? r : 0;
		if (lost)
			return connection_failed(agent, lost, false, err);
		if (agent->fd < 0)
			return not_connected(err);

		r = client_turn(agent, deadline_ms);
		if (r == -ETIMEDOUT)
			return failure_set(err, ERROR_TIMEOUT, ETIMEDOUT, "no event came in time");
		if (r == -EINTR)
			return failure_set(err, ERROR_CANCELLED, EINTR, "a signal came first");
		lost = r;
	}
}
