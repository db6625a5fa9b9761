/* SPDX-License-Identifier: MIT */
/*
 * molecule-unpack: unpacks, verifies, switches and removes plugins for
 * molecule-agentd, in a sandbox. Nobody else calls it; molecule-unpack(8) says how it is called and
 * what it answers.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "config-build.h"
#include "helper/options.h"
#include "helper/sandbox.h"
#include "helper/sweep.h"
#include "helper/unpack.h"
#include "helper/verify.h"
#include "helper/versions.h"

#define STAGING_FD 3

static int check_descriptors(struct error *err)
{
	struct stat st;

	for (int fd = STDIN_FILENO; fd < STAGING_FD; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return error_set(err, ERROR_INTERNAL, EBADF,
					 "molecule-unpack lacks file descriptor %d", fd);

	if (fstat(STAGING_FD, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INTERNAL, ENOTDIR,
				 "molecule-unpack was given no directory as file descriptor %d",
				 STAGING_FD);
	return 0;
}

/* A line a plugin, with the records as they are on disk. */
static void say_version(struct say *say, const char *name, const struct version *version)
{
	(void)buffer_printf(&say->line, ",\"%s\":", name);
	if (!version) {
		(void)buffer_append_text(&say->line, "null");
		return;
	}

	(void)buffer_append_text(&say->line, "{");
	say_text(say, "dir", version->dir);
	(void)buffer_printf(&say->line, ",\"record\":%s}",
			    version->record ? version->record : "null");
}

static int say_plugin(void *data, const char *name, const struct version *current,
		      const struct version *before)
{
	struct say *say = data;

	(void)buffer_append_text(&say->line, "{\"plugin\":{");
	say_text(say, "name", name);
	say_version(say, "current", current);
	say_version(say, "previous", before);
	(void)buffer_append_text(&say->line, "}}");
	return say_line(say);
}

static int activate(const struct options *options, struct error *err)
{
	char record[VERSIONS_RECORD_MAX];
	size_t len;
	int r;

	r = fd_read_all(STDIN_FILENO, record, sizeof(record), &len);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot read a plugin's record: %m");

	return versions_activate(STAGING_FD,
				 &(struct versions_switch){
					 .name = options->request.name,
					 .to = options->to,
					 .record = record,
					 .len = len,
					 .sync = options->sync,
				 },
				 err);
}

static int keep_versions(const struct options *options, struct say *say, struct refusal *refusal)
{
	struct error *err = &refusal->err;
	int r = -EINVAL;

	if (options->task == TASK_LIST)
		r = versions_list(STAGING_FD, say_plugin, say, err);
	else if (options->task == TASK_ACTIVATE)
		r = activate(options, err);
	else if (options->task == TASK_RETIRE)
		r = versions_retire(STAGING_FD, options->request.name, options->as, err);
	else if (options->task == TASK_TIDY)
		r = versions_tidy(STAGING_FD, err);
	if (r < 0)
		return -EBADMSG;

	(void)buffer_append_text(&say->line, "{\"done\":{}}");
	return say_line(say);
}

static int remove_content(struct say *say, struct refusal *refusal)
{
	if (sweep(STAGING_FD, &refusal->err) < 0)
		return -EBADMSG;

	(void)buffer_append_text(&say->line, "{\"done\":{}}");
	return say_line(say);
}

/* Nobody waits for what is removed. A service may not be allowed to give way: then it does not. */
static void give_way(void)
{
	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		      IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

/* All but unpack read nothing but directories and files of ours: they need no second process. */
static int run_alone(const struct options *options, struct say *say, struct refusal *refusal)
{
	enum task task = options->task;
	struct sandbox_keeper sandbox = {
		.directory = STAGING_FD,
		.moves = task == TASK_REMOVE || task == TASK_TIDY,
		.links = task != TASK_REMOVE && task != TASK_VERIFY,
		.file_size = task == TASK_ACTIVATE ? VERSIONS_RECORD_MAX : 0,
	};

	if (sandbox.moves)
		give_way();
	if (sandbox_keeper(&sandbox, &refusal->err) < 0)
		return -EBADMSG;
	if (task == TASK_VERIFY)
		return verify(STAGING_FD, say, refusal);
	if (task == TASK_REMOVE)
		return remove_content(say, refusal);
	return keep_versions(options, say, refusal);
}

static bool may_need_rights(enum task task)
{
	return task == TASK_REMOVE || task == TASK_TIDY;
}

static int run(int argc, char *argv[], struct say *say, struct refusal *refusal)
{
	struct options options;

	if (options_parse(argc, argv, &options, &refusal->err) < 0)
		return -EBADMSG;
	if (options.task == TASK_VERSION) {
		(void)buffer_append_text(&say->line, "molecule-unpack " MOLECULE_VERSION);
		return say_line(say);
	}

	/* What another user's process has made in a plugin is removed all the same. */
	if (check_descriptors(&refusal->err) < 0 ||
	    sandbox_begin(STAGING_FD + 1, may_need_rights(options.task), &refusal->err) < 0)
		return -EBADMSG;
	if (options.task != TASK_UNPACK)
		return run_alone(&options, say, refusal);

	options.request.input = STDIN_FILENO;
	options.request.staging = STAGING_FD;
	return unpack(&options.request, say, refusal);
}

int main(int argc, char *argv[])
{
	struct refusal refusal = { 0 };
	struct say say;
	int r;

	say_init(&say, STDOUT_FILENO);
	r = run(argc, argv, &say, &refusal);
	if (r < 0)
		say_failed(&say, &refusal);
	say_fini(&say);

	/* Not exit(): what libraries would do at the end is not allowed any more. */
	_exit(r < 0);
}
