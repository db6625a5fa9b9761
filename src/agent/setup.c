/* SPDX-License-Identifier: MIT */
/*
 * Starts molecule-setup, and reads the one line that it says.
 */

#include "agent/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/helper-program.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "config-build.h"

/* It kills what the script has started before it goes itself. */
#define GRACE_MS 15000

#define SAID_MAX 16384

/* As a service's MemoryDenyWriteExecute= has it, for all that the service starts. */
#define NO_CODE_MEMORY " (here Node.js and Java do not run: see molecule-setup(8))"

static const char *program(void)
{
	return helper_program("MOLECULE_SETUP", LIBEXECDIR "/molecule-setup");
}

/* Its last word is an object with one member, "done" or "failed". */
static struct json_object *last_word(const struct setup *setup)
{
	struct json_object *object = NULL;

	(void)json_parse(buffer_at(&setup->said), buffer_len(&setup->said), &object, NULL);
	return object;
}

static void judge_done(const struct setup *setup, const struct json_object *done,
		       struct setup_result *result, char *why, size_t why_size)
{
	int64_t status = -1, signal = 0, killed = 0, landlock = 0;
	const char *last = json_get_string(done, "last");
	bool code_memory = true;
	char for_how_long[32];

	(void)json_get_int64(done, "exit", &status);
	(void)json_get_int64(done, "signal", &signal);
	(void)json_get_int64(done, "killed", &killed);
	(void)json_get_int64(done, "landlock", &landlock);
	(void)json_get_bool(done, "code_memory", &code_memory);
	result->killed = (unsigned)killed;
	result->landlock = (int)landlock;
	result->exit = (int)(signal ? 128 + signal : status);
	result->ok = !result->timed_out && status == 0 && !signal;

	if (result->timed_out)
		(void)snprintf(
			why, why_size, "setup.sh did not end within %s, and was killed",
			format_duration(for_how_long, sizeof(for_how_long), setup->timeout_ms));
	else if (signal)
		(void)snprintf(why, why_size, "setup.sh was ended by signal %d", (int)signal);
	else if (status)
		(void)snprintf(why, why_size, "setup.sh ended with status %d", (int)status);
	/* Programs that need it die without a word about it. */
	if (!result->ok && !result->timed_out && !code_memory)
		(void)snprintf(why + strlen(why), why_size - strlen(why), "%s", NO_CODE_MEMORY);
	/* It quoted that itself. */
	if (!result->ok && last && last[0])
		(void)snprintf(why + strlen(why), why_size - strlen(why), "; it said last: %s",
			       last);
}

static void judge(const struct setup *setup, const struct process_end *end,
		  struct setup_result *result, char *why, size_t why_size)
{
	AUTO(json_object_put) struct json_object *said = last_word(setup);
	struct json_object *done = json_get_object(said, "done");
	const char *message = json_get_string(json_get_object(said, "failed"), "message");
	char shown[200] = "molecule-setup gave no reason";

	*result = (struct setup_result){
		.timed_out = end->timed_out,
		.exit = -1,
		.log = setup->log,
		.why = why,
	};
	why[0] = '\0';
	if (done && end->status == 0) {
		judge_done(setup, done, result, why, why_size);
		return;
	}

	if (message)
		(void)error_quote(shown, sizeof(shown), message, strlen(message));
	else if (end->never_ran)
		(void)snprintf(shown, sizeof(shown), "cannot run %s: %s", program(),
			       strerror(-end->never_ran));
	else if (end->timed_out)
		(void)snprintf(shown, sizeof(shown), "it did not end, and could not be killed");
	else if (end->signal)
		(void)snprintf(shown, sizeof(shown), "molecule-setup was ended by signal %d",
			       end->signal);
	(void)snprintf(why, why_size, "setup.sh could not be run: %s", shown);
}

static void setup_on_output(struct process *process, int fd, const char *bytes, size_t len)
{
	(void)buffer_append(&container_of(process, struct setup, process)->said, bytes, len);
}

static void setup_on_end(struct process *process, const struct process_end *end)
{
	struct setup *setup = container_of(process, struct setup, process);
	struct setup_result result;
	char why[ERROR_TEXT_MAX], *log;

	judge(setup, end, &result, why, sizeof(why));
	if (result.exit >= 0 && !result.landlock)
		log_warning("setup.sh of plugin %s ran unconfined: there is no Landlock here",
			    setup->name);
	if (result.killed && !result.timed_out)
		log_notice("killed what setup.sh of plugin %s had left running; processes: %u",
			   setup->name, result.killed);

	log = TAKE(setup->log);
	buffer_fini(&setup->said);
	setup->on_end(setup, &result);
	/* Careful: the setup may be gone. */
	free(log);
}

static const struct process_callbacks setup_callbacks = {
	.on_end = setup_on_end,
	.on_output = setup_on_output,
};

void setup_init(struct setup *setup, setup_fn on_end)
{
	*setup = (struct setup){ .on_end = on_end };
	process_init(&setup->process, &setup_callbacks);
}

/* One of an earlier try goes. */
static int open_log(const struct setup *setup, int work, int *ret_fd, struct error *err)
{
	int fd;

	(void)unlinkat(work, SETUP_LOG, 0);
	fd = openat(work, SETUP_LOG, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, file_error_kind(errno), errno,
				 "cannot open a log for setup.sh of plugin %s: %m", setup->name);

	*ret_fd = fd;
	return 0;
}

/* Where it is, for people; not knowing that hinders nothing. */
static char *path_of(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path));
	return strndup(path, len > 0 ? (size_t)len : 0);
}

int setup_start(struct setup *setup, struct reaper *reaper, const struct setup_ask *ask,
		struct error *err)
{
	AUTO(fd_close) int log = -1;
	struct helper_environment environment;
	char what[128], log_max[24];
	const char *argv[] = { program(),    "--name", ask->name,
			       "--log-max",  log_max,  ask->configs ? "--configs" : NULL,
			       ask->configs, NULL };
	struct process_spec spec = {
		.what = what,
		.argv = argv,
		.environment = environment.list,
		.dirfd = -1,
		.fds = { [1] = { PROCESS_FD_OUTPUT },
			 [2] = { PROCESS_FD_GIVEN, STDERR_FILENO },
			 [3] = { PROCESS_FD_GIVEN, ask->tree },
			 [5] = { PROCESS_FD_GIVEN, ask->work } },
		.timeout_ms = ask->timeout_ms > 0 ? ask->timeout_ms : SETUP_TIMEOUT_MS,
		.grace_ms = GRACE_MS,
	};
	int r;

	(void)snprintf(setup->name, sizeof(setup->name), "%s", ask->name);
	(void)snprintf(what, sizeof(what), "run setup.sh of plugin %s", setup->name);
	(void)snprintf(log_max, sizeof(log_max), "%d", SETUP_LOG_MAX);
	helper_environment_fill(&environment);
	setup->timeout_ms = spec.timeout_ms;
	buffer_init(&setup->said, SAID_MAX);

	r = open_log(setup, ask->work, &log, err);
	if (r < 0)
		return r;

	setup->log = path_of(log);
	if (!setup->log)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot %s: %m", what);

	spec.fds[4] = (struct process_fd){ PROCESS_FD_GIVEN, log };
	r = process_start(&setup->process, reaper, &spec, err);
	if (r < 0)
		free(TAKE(setup->log));
	return r;
}

void setup_stop(struct setup *setup)
{
	process_stop(&setup->process);
	buffer_fini(&setup->said);
	free(TAKE(setup->log));
}

bool setup_is_running(const struct setup *setup)
{
	return process_is_running(&setup->process);
}
