/* SPDX-License-Identifier: MIT */
#include "helper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "helper/frame.h"
#include "helper/gunzip.h"
#include "helper/reader.h"
#include "helper/sandbox.h"

/* A pipe holds 64 KiB unless it is asked to hold more: fewer turns for both. */
#define PIPE_SIZE (256 * 1024)

/* Where the child has its two ends, and nothing else but standard error. */
#define READ_FD 0
#define WRITE_FD 1

struct telling {
	struct reader_sink sink;
	struct frame_writer frames;
};

/* The keeper has gone, or has had enough: there is nobody to tell. */
static int unheard(struct refusal *refusal)
{
	return refuse(refusal, ERROR_INTERNAL, "nobody hears what is in the archive");
}

static int tell_entry(struct reader_sink *sink, const struct reader_entry *entry,
		      struct refusal *refusal)
{
	struct telling *telling = container_of(sink, struct telling, sink);
	struct frame frame = {
		.type = FRAME_ENTRY,
		.what = (uint16_t)entry->kind,
		.mode = entry->mode,
		.size = entry->size,
		.mtime = entry->mtime,
	};

	/* Longer than any name may be, and cut: the keeper will refuse it as too long. */
	if (frame_write(&telling->frames, &frame, entry->name,
			MIN(entry->name_len, (size_t)FRAME_PAYLOAD_MAX)) < 0)
		return unheard(refusal);
	return 0;
}

static int tell_data(struct reader_sink *sink, const void *bytes, size_t len,
		     struct refusal *refusal)
{
	struct telling *telling = container_of(sink, struct telling, sink);
	struct frame frame = { .type = FRAME_DATA };

	if (len && frame_write(&telling->frames, &frame, bytes, len) < 0)
		return unheard(refusal);
	return 0;
}

static int tell_field(struct telling *telling, enum frame_field field, const char *text)
{
	struct frame frame = { .type = FRAME_PLUGIN, .what = (uint16_t)field };

	return frame_write(&telling->frames, &frame, text, strlen(text));
}

static int tell_plugin(struct reader_sink *sink, const struct pluginfile *file,
		       struct refusal *refusal)
{
	struct telling *telling = container_of(sink, struct telling, sink);
	int r;

	r = tell_field(telling, FRAME_NAME, file->name);
	if (r == 0)
		r = tell_field(telling, FRAME_VERSION, file->version);
	if (r == 0)
		r = tell_field(telling, FRAME_DESCRIPTION, file->description);
	if (r == 0)
		r = tell_field(telling, FRAME_SHA256, file->sha256);
	for (size_t i = 0; i < file->n_runtimes && r == 0; i++)
		r = tell_field(telling, FRAME_RUNTIME, file->runtimes[i]);
	return r < 0 ? unheard(refusal) : 0;
}

static void tell_failed(struct telling *telling, const struct refusal *refusal)
{
	struct frame frame = { .type = FRAME_FAILED, .what = (uint16_t)refusal->err.kind };
	char payload[REFUSAL_ENTRY_MAX + ERROR_TEXT_MAX];
	size_t entry_len = strlen(refusal->entry), text_len = strlen(refusal->err.text);

	memcpy(payload, refusal->entry, entry_len + 1);
	memcpy(payload + entry_len + 1, refusal->err.text, text_len);
	(void)frame_write(&telling->frames, &frame, payload, entry_len + 1 + text_len);
}

static int fill(void *source, char *bytes, size_t size, size_t *ret_len, struct refusal *refusal)
{
	return gunzip_fill(source, bytes, size, ret_len, refusal);
}

static int read_archive(struct telling *telling, const struct policy_limits *limits,
			struct refusal *refusal)
{
	AUTO(free) struct gunzip *gunzip = malloc(sizeof(*gunzip));
	int r;

	if (!gunzip)
		return refuse(refusal, ERROR_INTERNAL, "no memory to unpack the archive");

	gunzip_init(gunzip, READ_FD, limits);
	r = reader_run(fill, gunzip, limits->unpacked, &telling->sink, refusal);
	gunzip_fini(gunzip);
	return r;
}

static int child_run(const struct policy_limits *limits)
{
	AUTO(free) struct telling *telling = calloc(1, sizeof(*telling));
	struct refusal refusal = { 0 };
	struct frame end = { .type = FRAME_END };

	if (!telling)
		return 1;

	telling->sink = (struct reader_sink){ tell_entry, tell_data, tell_plugin };
	telling->frames.fd = WRITE_FD;
	if (sandbox_reader(READ_FD, WRITE_FD, &refusal.err) < 0 ||
	    read_archive(telling, limits, &refusal) < 0)
		tell_failed(telling, &refusal);
	else
		(void)frame_write(&telling->frames, &end, NULL, 0);

	return frame_flush(&telling->frames) < 0;
}

/* In this order nothing is closed that is still wanted: what is given is above what is kept. */
static int settle(int in, int out, int n_kept, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		return -1;
	if (dup2(in, READ_FD) < 0)
		return -1;
	if (out < 0)
		(void)close(WRITE_FD);
	else if (dup2(out, WRITE_FD) < 0)
		return -1;
	return close_range((unsigned)n_kept, ~0u, 0);
}

pid_t child_fork(int in, int out, int n_kept)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0 && settle(in, out, n_kept, parent) < 0)
		_exit(1);
	return pid;
}

void child_end(pid_t pid)
{
	if (pid <= 0)
		return;

	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int child_start(const struct policy_limits *limits, struct child *ret, struct error *err)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "cannot make a pipe: %m");
	if (pipe2(out, O_CLOEXEC) < 0) {
		int errnum = errno;

		(void)close(in[0]);
		(void)close(in[1]);
		return error_set(err, ERROR_INTERNAL, errnum, "cannot make a pipe: %m");
	}
	(void)fcntl(in[1], F_SETPIPE_SZ, PIPE_SIZE);
	(void)fcntl(out[1], F_SETPIPE_SZ, PIPE_SIZE);

	pid = child_fork(in[0], out[1], STDERR_FILENO + 1);
	if (pid == 0)
		_exit(child_run(limits));

	(void)close(in[0]);
	(void)close(out[1]);
	if (pid < 0 || fd_set_nonblocking(in[1]) < 0) {
		int errnum = errno;

		child_end(pid);
		(void)close(in[1]);
		(void)close(out[0]);
		return error_set(err, ERROR_INTERNAL, errnum,
				 "cannot start what reads the archive: %m");
	}

	*ret = (struct child){ .pid = pid, .feed = in[1], .frames = out[0] };
	return 0;
}
