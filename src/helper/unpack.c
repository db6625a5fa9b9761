/* SPDX-License-Identifier: MIT */
#include "helper/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jsontext.h"
#include "base/util.h"
#include "helper/beneath.h"
#include "helper/child.h"
#include "helper/flusher.h"
#include "helper/frame.h"
#include "helper/pluginfile.h"
#include "helper/sandbox.h"
#include "helper/sweep.h"
#include "helper/tree.h"

#define FEED_SIZE (32 * 1024)
#define SETUP_PATH "setup.sh"

struct keeper {
	const struct unpack_request *request; /* borrowed */
	struct say *say;                      /* borrowed */
	struct ledger ledger;
	struct tree tree;
	pid_t reader;
	struct flusher flusher;
	int feed; /* to the reader; -1 once it has everything */
	uint64_t packed;
	struct sha256 tarball;
	uint8_t digest[SHA256_LEN];
	size_t feed_at, feed_len;
	int64_t now;
	bool input_ended, has_pluginfile, has_setup, ended;
	struct pluginfile plugin;
	struct frame_reader frames;
	char feed_bytes[FEED_SIZE];
};

static void close_feed(struct keeper *keeper)
{
	(void)close(keeper->feed);
	keeper->feed = -1;
	keeper->input_ended = true;
}

static int read_input(struct keeper *keeper, struct refusal *refusal)
{
	ssize_t n = read(keeper->request->input, keeper->feed_bytes, sizeof(keeper->feed_bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return refuse(refusal, ERROR_UNAVAILABLE, "cannot read the archive: %m");
	if (n == 0) {
		sha256_end(&keeper->tarball, keeper->digest);
		close_feed(keeper);
		return 0;
	}

	keeper->packed += (size_t)n;
	if (keeper->packed > keeper->request->limits.packed)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "the archive is larger than %" PRIu64 " bytes",
			      keeper->request->limits.packed);

	sha256_add(&keeper->tarball, keeper->feed_bytes, (size_t)n);
	keeper->feed_at = 0;
	keeper->feed_len = (size_t)n;
	return 0;
}

/* The pipe does not block. A reader that has gone will be heard of on the other pipe. */
static void feed_reader(struct keeper *keeper)
{
	ssize_t n = write(keeper->feed, keeper->feed_bytes + keeper->feed_at, keeper->feed_len);

	if (n >= 0) {
		keeper->feed_at += (size_t)n;
		keeper->feed_len -= (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		keeper->feed_len = 0;
		close_feed(keeper);
	}
}

static int distrust(struct refusal *refusal)
{
	return refuse(refusal, ERROR_INTERNAL,
		      "what reads the archive makes no sense: it may have "
		      "been taken over by what it has read");
}

static int on_entry(struct keeper *keeper, const struct frame *frame, const char *name,
		    struct refusal *refusal)
{
	enum entry_kind kind = frame->what;
	struct ledger_entry *entry;
	const char *path;
	size_t len;
	int r;

	if (frame->what > ENTRY_LINK)
		return distrust(refusal);
	r = policy_path(name, frame->len, kind, &path, &len, refusal);
	if (r < 0 || !len)
		return r;

	switch (kind) {
	case ENTRY_FILE: {
		struct tree_file file = {
			.path = path,
			.len = len,
			.mode = policy_mode(frame->mode, kind),
			.size = frame->size,
			.mtime = policy_mtime(frame->mtime, keeper->now),
		};

		if (len == strlen(SETUP_PATH) && memcmp(path, SETUP_PATH, len) == 0)
			keeper->has_setup = true;
		r = tree_add_file(&keeper->tree, &file, refusal);
		break;
	}
	case ENTRY_DIR:
		r = tree_add_dir(&keeper->tree, path, len, policy_mode(frame->mode, kind), refusal);
		break;
	case ENTRY_LINK: {
		char quoted[REFUSAL_ENTRY_MAX];

		say_warning(keeper->say, "%s is a symbolic link, and was left out",
			    error_quote(quoted, sizeof(quoted), path, len));
		r = ledger_add(&keeper->ledger, LEDGER_LINK, path, len, &entry, refusal);
		break;
	}
	}
	return r < 0 ? refusal_name(refusal, path, len) : 0;
}

static int copy_text(char *dst, size_t size, const char *text, size_t len)
{
	if (len >= size || memchr(text, '\0', len))
		return -EPROTO;

	memcpy(dst, text, len);
	dst[len] = '\0';
	return 0;
}

static int on_field(struct keeper *keeper, enum frame_field field, const char *text, size_t len)
{
	struct pluginfile *plugin = &keeper->plugin;

	switch (field) {
	case FRAME_NAME:
		keeper->has_pluginfile = true;
		return copy_text(plugin->name, sizeof(plugin->name), text, len);
	case FRAME_VERSION:
		return copy_text(plugin->version, sizeof(plugin->version), text, len);
	case FRAME_DESCRIPTION:
		return copy_text(plugin->description, sizeof(plugin->description), text, len);
	case FRAME_SHA256:
		return copy_text(plugin->sha256, sizeof(plugin->sha256), text, len);
	case FRAME_RUNTIME:
		if (plugin->n_runtimes == PLUGINFILE_RUNTIMES_MAX)
			return -EPROTO;
		return copy_text(plugin->runtimes[plugin->n_runtimes++], PLUGINFILE_RUNTIME_MAX + 1,
				 text, len);
	}
	return -EPROTO;
}

static int on_failed(const struct frame *frame, const char *payload, struct refusal *refusal)
{
	const char *text = memchr(payload, '\0', frame->len);
	size_t entry_len = text ? (size_t)(text - payload) : 0;

	if (!text || frame->what > ERROR_KIND_LAST)
		return distrust(refusal);

	refusal->err = (struct error){ .kind = frame->what, .errnum = EBADMSG };
	/* Quoted already, if the reader is who it was. */
	(void)error_show(refusal->err.text, sizeof(refusal->err.text), text + 1,
			 frame->len - entry_len - 1);
	(void)error_show(refusal->entry, sizeof(refusal->entry), payload, entry_len);
	return -EBADMSG;
}

static int on_data(struct keeper *keeper, const struct frame *frame, const char *payload,
		   struct refusal *refusal)
{
	const struct ledger_entry *entry;
	int r;

	if (tree_is_between_files(&keeper->tree) || !frame->len || frame->len > keeper->tree.left)
		return distrust(refusal);

	r = tree_write(&keeper->tree, payload, frame->len, refusal);
	entry = &keeper->ledger.entries[keeper->ledger.n_entries - 1];
	return r < 0 ? refusal_name(refusal, ledger_path(&keeper->ledger, entry), entry->path_len)
		     : 0;
}

static int on_frame(struct keeper *keeper, const struct frame *frame, const char *payload,
		    struct refusal *refusal)
{
	/* A file's bytes come whole; only a failure may come in between. */
	if (keeper->ended || (!tree_is_between_files(&keeper->tree) && frame->type != FRAME_DATA &&
			      frame->type != FRAME_FAILED))
		return distrust(refusal);

	switch ((enum frame_type)frame->type) {
	case FRAME_ENTRY:
		return on_entry(keeper, frame, payload, refusal);
	case FRAME_DATA:
		return on_data(keeper, frame, payload, refusal);
	case FRAME_PLUGIN:
		return on_field(keeper, frame->what, payload, frame->len) < 0 ? distrust(refusal)
									      : 0;
	case FRAME_FAILED:
		return on_failed(frame, payload, refusal);
	case FRAME_END:
		keeper->ended = true;
		return keeper->input_ended ? 0 : distrust(refusal);
	}
	return distrust(refusal);
}

/* The reader has gone without a word. */
static int on_reader_lost(struct keeper *keeper, struct refusal *refusal)
{
	int status = 0;
	pid_t pid;

	do
		pid = waitpid(keeper->reader, &status, 0);
	while (pid < 0 && errno == EINTR);
	keeper->reader = 0;
	if (pid >= 0 && WIFEXITED(status))
		return refuse(refusal, ERROR_INTERNAL,
			      "what reads the archive has ended early, with status %d",
			      WEXITSTATUS(status));
	if (pid >= 0 && WTERMSIG(status) == SIGSYS)
		return refuse(refusal, ERROR_INTERNAL,
			      "what reads the archive has tried what it must not, and was ended");

	return refuse(refusal, ERROR_INTERNAL, "what reads the archive was ended by signal %d",
		      pid < 0 ? 0 : WTERMSIG(status));
}

static int read_frames(struct keeper *keeper, struct refusal *refusal)
{
	const char *payload;
	struct frame frame;
	int r;

	r = frame_fill(&keeper->frames);
	if (r < 0)
		return refuse(refusal, ERROR_INTERNAL, "cannot hear what reads the archive: %m");
	if (r == 0)
		return on_reader_lost(keeper, refusal);

	while ((r = frame_next(&keeper->frames, &frame, &payload)) > 0) {
		r = on_frame(keeper, &frame, payload, refusal);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return distrust(refusal);

	flusher_tell(&keeper->flusher, keeper->tree.n_bytes);
	say_progress(keeper->say, keeper->tree.n_files, keeper->tree.n_bytes);
	return 0;
}

/* One turn: whatever can be done without waiting for one of the others. */
static int turn(struct keeper *keeper, struct refusal *refusal)
{
	bool full = keeper->feed_len > 0;
	struct pollfd fds[] = {
		{ .fd = keeper->frames.fd, .events = POLLIN },
		{ .fd = keeper->feed_len ? keeper->feed : -1, .events = POLLOUT },
		{ .fd = keeper->input_ended || full ? -1 : keeper->request->input,
		  .events = POLLIN },
	};
	int r = 0;

	if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
		if (errno == EINTR)
			return 0;
		return refuse(refusal, ERROR_INTERNAL, "cannot wait for the archive: %m");
	}

	if (fds[0].revents)
		r = read_frames(keeper, refusal);
	if (r == 0 && fds[1].revents)
		feed_reader(keeper);
	if (r == 0 && fds[2].revents)
		r = read_input(keeper, refusal);
	return r;
}

static int check_tarball(const struct keeper *keeper, struct refusal *refusal)
{
	char hex[SHA256_HEX_SIZE];

	if (!keeper->request->sha256 ||
	    strcmp(keeper->request->sha256, sha256_hex(hex, keeper->digest)) == 0)
		return 0;
	return refuse(refusal, ERROR_INTEGRITY,
		      "the archive is not the one that was asked for: its SHA-256 is %s", hex);
}

static int check_plugin(const struct keeper *keeper, const char *manifest, struct refusal *refusal)
{
	const struct pluginfile *plugin = &keeper->plugin;

	if (!keeper->has_pluginfile) {
		if (!keeper->request->manifest_required)
			return 0;
		return refuse(refusal, ERROR_INTEGRITY, "there is no plugin.yaml in the archive");
	}

	if (strcmp(plugin->name, keeper->request->name) != 0)
		(void)refuse(refusal, ERROR_INTEGRITY, "it is about the plugin %s, not %s",
			     plugin->name, keeper->request->name);
	else if (plugin->sha256[0] && strcmp(plugin->sha256, manifest) != 0)
		(void)refuse(refusal, ERROR_INTEGRITY,
			     "the sha256 in it is not that of the plugin's files, which is %s",
			     manifest);
	else
		return 0;
	return refusal_name(refusal, PLUGINFILE_PATH, strlen(PLUGINFILE_PATH));
}

static int write_ledger(const struct keeper *keeper, struct error *err)
{
	AUTO(fd_close)
	int fd = beneath_open(keeper->request->staging, LEDGER_FILE, O_WRONLY | O_CREAT | O_EXCL,
			      0644);

	if (fd < 0)
		return error_set(err, file_error_kind(-fd), -fd,
				 "cannot make the list of files: %m");
	return ledger_write(&keeper->ledger, fd, err);
}

/* The daemon only has to rename the directory. */
static int make_last(const struct keeper *keeper, struct error *err)
{
	int r = write_ledger(keeper, err);

	if (r < 0)
		return r;
	if (syncfs(keeper->request->staging) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno,
				 "the plugin's files cannot be brought to the disk: %m");
	return 0;
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int say_done(const struct keeper *keeper, const char *manifest)
{
	const struct pluginfile *plugin = &keeper->plugin;
	struct say *say = keeper->say;
	char hex[SHA256_HEX_SIZE];

	say_more_warnings(say);
	(void)buffer_printf(&say->line,
			    "{\"done\":{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64
			    ",\"packed\":%" PRIu64 ",",
			    keeper->tree.n_files, keeper->tree.n_bytes, keeper->packed);
	say_text(say, "digest", sha256_hex(hex, keeper->digest));
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "manifest", manifest);
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "name", keeper->request->name);
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "version", or_null(plugin->version));
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "description", or_null(plugin->description));
	(void)buffer_append_text(&say->line, ",\"runtimes\":[");
	for (size_t i = 0; i < plugin->n_runtimes; i++) {
		(void)buffer_append_text(&say->line, i ? "," : "");
		(void)json_write_string(&say->line, plugin->runtimes[i],
					strlen(plugin->runtimes[i]));
	}
	(void)buffer_printf(&say->line, "],\"has_setup\":%s}}",
			    keeper->has_setup ? "true" : "false");
	return say_line(say);
}

static int conclude(struct keeper *keeper, struct refusal *refusal)
{
	char manifest[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];
	int r;

	r = check_tarball(keeper, refusal);
	if (r == 0)
		r = ledger_settle(&keeper->ledger, refusal);
	if (r < 0)
		return r;

	if (ledger_manifest(&keeper->ledger, digest, &refusal->err) < 0)
		return -EBADMSG;
	r = check_plugin(keeper, sha256_hex(manifest, digest), refusal);
	if (r < 0)
		return r;
	if (make_last(keeper, &refusal->err) < 0)
		return -EBADMSG;
	if (say_done(keeper, manifest) < 0)
		return refuse(refusal, ERROR_INTERNAL, "nobody hears that the plugin is unpacked");

	return 0;
}

static int keep(struct keeper *keeper, struct refusal *refusal)
{
	const struct unpack_request *request = keeper->request;
	struct sandbox_keeper sandbox = {
		.directory = request->staging,
		.children = { keeper->reader, keeper->flusher.pid },
		.file_size = request->limits.unpacked,
	};
	int r;

	if (sandbox_keeper(&sandbox, &refusal->err) < 0)
		return -EBADMSG;
	if (tree_init(&keeper->tree, request->staging, &keeper->ledger, request->limits.unpacked,
		      &refusal->err) < 0)
		return -EBADMSG;

	do
		r = turn(keeper, refusal);
	while (r == 0 && !keeper->ended);
	if (r == 0)
		r = conclude(keeper, refusal);
	return r;
}

static int start_reader(struct keeper *keeper, struct refusal *refusal)
{
	struct child child;

	if (child_start(&keeper->request->limits, &child, &refusal->err) < 0)
		return -EBADMSG;

	keeper->reader = child.pid;
	keeper->feed = child.feed;
	keeper->frames.fd = child.frames;
	flusher_start(&keeper->flusher, keeper->request->staging);
	return 0;
}

int unpack(const struct unpack_request *request, struct say *say, struct refusal *refusal)
{
	AUTO(free) struct keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	*refusal = (struct refusal){ 0 };
	if (!keeper)
		return refuse(refusal, ERROR_INTERNAL, "no memory to unpack the archive");

	keeper->request = request;
	keeper->say = say;
	keeper->feed = keeper->frames.fd = keeper->flusher.wake = -1;
	keeper->now = time(NULL);
	keeper->tree = (struct tree){ .root = -1, .parent = -1, .file = -1 };
	ledger_init(&keeper->ledger, request->limits.files);
	sha256_begin(&keeper->tarball);
	r = start_reader(keeper, refusal);
	if (r == 0)
		r = keep(keeper, refusal);

	child_end(keeper->reader);
	flusher_stop(&keeper->flusher);
	tree_fini(&keeper->tree);
	if (r < 0)
		(void)sweep(request->staging, NULL);
	ledger_fini(&keeper->ledger);
	return r;
}
