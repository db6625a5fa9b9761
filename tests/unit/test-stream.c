/* SPDX-License-Identifier: MIT */
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/test.h"

#define MAX_IN 4096
#define MAX_OUT (1024 * 1024)

static struct loop loop;
static struct stream *stream;
static int peer;       /* the other end */
static char order[32]; /* a letter for each callback: input, drained, end, broken */
static char free_at;   /* the callback with this letter frees the stream */
static unsigned n_recv, n_send, n_epoll_ctl;

/* The calls that a stream and libev make are counted on their way to the kernel. */
ssize_t count_recv(int fd, void *bytes, size_t len, int flags) __asm__("recv");
ssize_t count_send(int fd, const void *bytes, size_t len, int flags) __asm__("send");
__attribute__((visibility("default"))) int
count_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) __asm__("epoll_ctl");

ssize_t count_recv(int fd, void *bytes, size_t len, int flags)
{
	n_recv++;
	return syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);
}

ssize_t count_send(int fd, const void *bytes, size_t len, int flags)
{
	n_send++;
	return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

int count_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	n_epoll_ctl++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void note(char letter)
{
	if (strlen(order) < sizeof(order) - 1)
		order[strlen(order)] = letter;

	if (letter == free_at) {
		stream_fini(stream);
		free(TAKE(stream));
	}
}

static void on_input(struct stream *from)
{
	CHECK(from == stream);
	note('i');
}

static void on_drained(struct stream *from)
{
	note('d');
}

static void on_end(struct stream *from)
{
	note('e');
}

static void on_broken(struct stream *from)
{
	note('b');
}

static const struct stream_events events = { on_input, on_drained, on_end, on_broken };

static void start(void)
{
	int fds[2];

	CHECK_INT(loop_init(&loop), 0);
	/* Nothing but MSG_NOSIGNAL shall stand between us and SIGPIPE. */
	CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	peer = fds[1];
	stream = malloc(sizeof(*stream));
	CHECK(stream);
	stream_init(stream, &loop, fds[0], MAX_IN, MAX_OUT, &events);
}

static void stop(void)
{
	stream_fini(stream);
	free(stream);
	loop_fini(&loop);
}

/* Deferred work, then what became ready, and what that deferred. Nothing is waited for. */
static void turn(void)
{
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
	(void)ev_run(loop.ev, EVRUN_NOWAIT);
}

static void peer_says(const char *text)
{
	CHECK_INT(write(peer, text, strlen(text)), strlen(text));
}

/* Fills the socket towards the peer and leaves something over in out. */
static void fill_socket(void)
{
	static const char bytes[MAX_OUT];

	CHECK_INT(buffer_append(&stream->out, bytes, sizeof(bytes)), 0);
	CHECK_INT(stream_write_now(stream), 0);
	CHECK(buffer_len(&stream->out) > 0);
}

/* Reads all that is there now; returns how much. */
static size_t peer_reads(void)
{
	static char bytes[65536];
	size_t len = 0;
	ssize_t n;

	while ((n = read(peer, bytes, sizeof(bytes))) > 0)
		len += (size_t)n;
	return len;
}

TEST(what_the_peer_says_is_in_and_what_is_in_out_goes_to_the_peer)
{
	char answer[8] = "";

	start();
	stream_read(stream, true);
	peer_says("question");
	turn();
	CHECK_INT(buffer_len(&stream->in), 8);
	CHECK(memcmp(buffer_at(&stream->in), "question", 8) == 0);

	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	turn();
	CHECK_INT(read(peer, answer, sizeof(answer)), 6);
	CHECK_TEXT(answer, "answer");
	CHECK_TEXT(order, "id");
	stop();
}

TEST(a_call_costs_one_recv_and_one_send_and_no_epoll_ctl)
{
	char answer[16];

	start();
	stream_read(stream, true);
	turn();
	n_recv = n_send = n_epoll_ctl = 0;
	for (int i = 0; i < 100; i++) {
		peer_says("question");
		turn();
		buffer_consume(&stream->in, buffer_len(&stream->in));
		CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
		stream_flush(stream);
		turn();
		CHECK_INT(read(peer, answer, sizeof(answer)), 6);
	}
	CHECK_INT(n_recv, 100);
	CHECK_INT(n_send, 100);
	CHECK_INT(n_epoll_ctl, 0);
	stop();
}

TEST(the_answers_of_a_turn_are_one_send)
{
	char answers[16] = "";

	start();
	n_send = 0;
	for (int i = 0; i < 3; i++) {
		CHECK_INT(buffer_append_text(&stream->out, "abc"), 0);
		stream_flush(stream);
	}
	CHECK_INT(n_send, 0);
	turn();
	CHECK_INT(n_send, 1);
	CHECK_INT(read(peer, answers, sizeof(answers)), 9);
	CHECK_TEXT(answers, "abcabcabc");
	stop();
}

TEST(what_was_written_now_is_not_written_again)
{
	start();
	CHECK_INT(buffer_append_text(&stream->out, "abc"), 0);
	stream_flush(stream);
	CHECK_INT(stream_write_now(stream), 0);
	n_send = 0;
	turn();
	CHECK_INT(n_send, 0);
	CHECK_INT(peer_reads(), 3);
	CHECK_TEXT(order, "");
	stop();
}

TEST(nothing_is_read_before_it_is_wanted)
{
	start();
	peer_says("question");
	turn();
	CHECK_INT(buffer_len(&stream->in), 0);
	stream_read(stream, true);
	turn();
	CHECK_INT(buffer_len(&stream->in), 8);

	stream_read(stream, false);
	peer_says("question");
	turn();
	CHECK_INT(buffer_len(&stream->in), 8);
	stop();
}

TEST(reading_stops_when_in_is_full_and_goes_on_when_told)
{
	static const char bytes[10000];

	start();
	stream_read(stream, true);
	CHECK_INT(write(peer, bytes, sizeof(bytes)), sizeof(bytes));
	for (int i = 0; i < 10; i++)
		turn();
	CHECK_INT(buffer_len(&stream->in), MAX_IN);
	CHECK(!stream->reading);

	/* Asking for more than fits neither spins nor reads. */
	stream_read(stream, true);
	n_recv = 0;
	for (int i = 0; i < 10; i++)
		turn();
	CHECK_INT(n_recv, 0);
	CHECK_INT(buffer_len(&stream->in), MAX_IN);

	buffer_consume(&stream->in, MAX_IN - 1);
	stream_read(stream, true);
	for (int i = 0; i < 10; i++)
		turn();
	CHECK_INT(buffer_len(&stream->in), MAX_IN);
	stop();
}

TEST(a_peer_that_sends_much_is_read_in_larger_pieces)
{
	static const char bytes[60000];

	start();
	stream->in.limit = 1024 * 1024;
	stream_read(stream, true);
	CHECK_INT(write(peer, bytes, sizeof(bytes)), sizeof(bytes));
	n_recv = 0;
	while (buffer_len(&stream->in) < sizeof(bytes))
		turn();
	/* 1, 2, 4 and 8 KiB, and then 16 KiB each. */
	CHECK_INT(n_recv, 7);
	stop();
}

TEST(a_large_message_does_not_leave_a_large_buffer_behind)
{
	static const char bytes[60000];

	start();
	stream->in.limit = 1024 * 1024;
	stream_read(stream, true);
	CHECK_INT(write(peer, bytes, sizeof(bytes)), sizeof(bytes));
	while (buffer_len(&stream->in) < sizeof(bytes))
		turn();
	CHECK(stream->in.capacity >= sizeof(bytes));

	buffer_consume(&stream->in, sizeof(bytes));
	CHECK_INT(buffer_append(&stream->out, bytes, sizeof(bytes)), 0);
	stream_flush(stream);
	turn();
	CHECK(stream->in.capacity <= 16384);
	CHECK(stream->out.capacity <= 16384);
	stop();
}

TEST(what_the_socket_does_not_take_is_written_when_it_does)
{
	static char bytes[65536];
	uint32_t seen = 0;
	ssize_t n;

	start();
	for (uint32_t i = 0; i < MAX_OUT / sizeof(i); i++)
		CHECK_INT(buffer_append(&stream->out, &i, sizeof(i)), 0);
	stream_flush(stream);
	turn();
	CHECK(buffer_len(&stream->out) > 0);
	CHECK(ev_is_active(&stream->writable));

	for (size_t total = 0; total < MAX_OUT; turn()) {
		n = read(peer, bytes, sizeof(bytes));
		CHECK(n > 0 && n % (ssize_t)sizeof(seen) == 0);
		for (ssize_t at = 0; at < n; at += (ssize_t)sizeof(seen), seen++)
			CHECK(memcmp(bytes + at, &seen, sizeof(seen)) == 0);
		total += (size_t)n;
	}
	CHECK_INT(buffer_len(&stream->out), 0);
	CHECK(!ev_is_active(&stream->writable));
	CHECK(strchr(order, 'd'));
	stop();
}

TEST(a_full_socket_is_not_tried_again_until_it_has_room)
{
	start();
	fill_socket();
	turn();
	n_send = 0;
	stream_flush(stream);
	turn();
	CHECK_INT(n_send, 0);
	CHECK_TEXT(order, "");

	CHECK(peer_reads() > 0);
	turn();
	CHECK_INT(order[0], 'd');
	stop();
}

TEST(descriptors_that_are_passed_along_are_closed)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iovec = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iovec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	int next, fds[2];

	start();
	CHECK_INT(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fds[1], sizeof(int));
	CHECK_INT(sendmsg(peer, &message, 0), 1);
	(void)close(fds[1]);
	CHECK_INT(read(fds[0], &byte, 1), -1); /* the one in flight holds the pipe open */

	next = dup(0);
	(void)close(next);
	stream_read(stream, true);
	turn();
	CHECK_INT(buffer_len(&stream->in), 1);
	CHECK_INT(read(fds[0], &byte, 1), 0); /* nobody can write any more */
	CHECK_INT(dup(0), next);              /* and we were given nothing */
	(void)close(next);
	(void)close(fds[0]);
	stop();
}

TEST(a_peer_that_has_finished_sending_still_gets_its_answers)
{
	start();
	stream_read(stream, true);
	peer_says("question");
	CHECK_INT(shutdown(peer, SHUT_WR), 0);
	turn();
	turn();
	CHECK_TEXT(order, "ie");
	CHECK(!stream->reading);

	/* It stays the end, and does not spin. */
	stream_read(stream, true);
	turn();
	CHECK_TEXT(order, "ie");

	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	turn();
	CHECK_INT(peer_reads(), 6);
	CHECK_TEXT(order, "ied");
	stop();
}

TEST(a_peer_that_closes_is_gone_after_what_it_said)
{
	start();
	stream_read(stream, true);
	peer_says("question");
	(void)close(peer);
	turn();
	turn();
	turn();
	CHECK_TEXT(order, "ib");
	CHECK_INT(buffer_len(&stream->in), 8);
	stop();
}

TEST(a_peer_that_closes_without_reading_is_gone)
{
	start();
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	CHECK_INT(stream_write_now(stream), 0);
	stream_read(stream, true);
	(void)close(peer); /* unread bytes make it a reset */
	turn();
	turn();
	CHECK_TEXT(order, "b");
	stop();
}

TEST(writing_to_a_peer_that_is_gone_says_so_once)
{
	start();
	(void)close(peer);
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	turn();
	CHECK_TEXT(order, "b");

	stream_flush(stream);
	stream_read(stream, true);
	turn();
	CHECK_TEXT(order, "b");
	CHECK_INT(stream_write_now(stream), -EPIPE);
	stop();
}

TEST(writing_now_tells_only_the_caller)
{
	start();
	stream_read(stream, true);
	(void)close(peer);
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	CHECK_INT(stream_write_now(stream), -EPIPE);
	turn();
	CHECK_TEXT(order, "");
	stop();
}

TEST(it_may_be_freed_when_input_comes)
{
	start();
	free_at = 'i';
	stream_read(stream, true);
	peer_says("question");
	turn();
	CHECK_TEXT(order, "i");
	CHECK(!stream);
	stop();
}

TEST(it_may_be_freed_when_it_drains)
{
	start();
	free_at = 'd';
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	turn();
	CHECK_TEXT(order, "d");
	stop();
}

TEST(it_may_be_freed_when_a_full_socket_drains)
{
	start();
	fill_socket();
	turn();
	free_at = 'd';
	stream_read(stream, true);
	peer_says("question");
	CHECK(peer_reads() > 0);
	turn();
	CHECK(strchr(order, 'd') && !stream);
	stop();
}

TEST(it_may_be_freed_when_the_peer_ends)
{
	start();
	free_at = 'e';
	stream_read(stream, true);
	CHECK_INT(shutdown(peer, SHUT_WR), 0);
	turn();
	CHECK_TEXT(order, "e");
	stop();
}

TEST(it_may_be_freed_when_the_peer_closes)
{
	start();
	free_at = 'b';
	fill_socket();
	stream_read(stream, true);
	turn();
	(void)close(peer);
	turn();
	CHECK_TEXT(order, "b");
	stop();
}

TEST(it_may_be_freed_when_the_peer_cannot_be_written_to)
{
	start();
	free_at = 'b';
	(void)close(peer);
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	turn();
	CHECK_TEXT(order, "b");
	stop();
}

TEST(it_may_be_freed_with_a_flush_to_come)
{
	start();
	CHECK_INT(buffer_append_text(&stream->out, "answer"), 0);
	stream_flush(stream);
	stream_fini(stream);
	turn();
	CHECK_TEXT(order, "");
	stop();
}
