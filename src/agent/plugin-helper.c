/* SPDX-License-Identifier: MIT */
/*
 * Running molecule-unpack, and reading what it says.
 */

#include "agent/plugin-helper.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/helper-program.h"
#include "config-build.h"

#define GRACE_MS 1000 /* between asking it to end and killing it */

static const char *program(void)
{
	return helper_program("MOLECULE_UNPACK", LIBEXECDIR "/molecule-unpack");
}

static enum error_kind kind_named(const char *name)
{
	for (unsigned kind = ERROR_PARSE; name && kind < ERROR_CONFIG; kind++)
		if (strcmp(error_name((enum error_kind)kind), name) == 0)
			return (enum error_kind)kind;

	return ERROR_INTERNAL;
}

/* Why, without the name of the entry that may stand in front of it. */
static const char *reason_of(const char *message, const char *entry)
{
	size_t len = strlen(entry);

	if (len && strncmp(message, entry, len) == 0 && strncmp(message + len, ": ", 2) == 0)
		return message + len + 2;
	return message;
}

/*
 * Its own words about an archive hold names from the archive: it has quoted them. Of
 * a long one only the beginning is told, so that there is room for the reason.
 */
static void note_failure(struct plugin_helper *helper, const struct json_object *value)
{
	const char *message = json_get_string(value, "message");
	const char *entry = json_get_string(value, "entry");
	char said[200], shown[96];

	entry = entry ? entry : "";
	message = reason_of(message ? message : "it gave no reason", entry);
	(void)error_show(said, sizeof(said), message, strlen(message));
	(void)error_show(shown, sizeof(shown), entry, strlen(entry));
	(void)error_set(&helper->failed, kind_named(json_get_string(value, "kind")), 0,
			"cannot %s: %s%s%s", helper->what, shown, shown[0] ? ": " : "", said);
}

static void take_line(struct plugin_helper *helper, const char *line, size_t len)
{
	AUTO(json_object_put) struct json_object *object = NULL;
	struct json_object_iterator first;
	struct json_object *value;
	const char *word;

	if (!len)
		return;

	if (json_parse(line, len, &object, NULL) < 0 ||
	    !json_object_is_type(object, json_type_object) || !json_object_object_length(object)) {
		(void)error_set(&helper->failed, ERROR_INTERNAL, EBADMSG,
				"cannot %s: the helper does not say what it does", helper->what);
		return;
	}

	first = json_object_iter_begin(object);
	word = json_object_iter_peek_name(&first);
	value = json_object_iter_peek_value(&first);
	if (strcmp(word, "failed") == 0)
		note_failure(helper, value);
	else if (strcmp(word, "done") == 0 && !helper->done)
		helper->done = json_object_get(value);
	else if (helper->events->on_word)
		helper->events->on_word(helper, word, value);
}

static void helper_on_output(struct process *process, int fd, const char *bytes, size_t len)
{
	struct plugin_helper *helper = container_of(process, struct plugin_helper, process);
	const char *end;

	(void)buffer_append(&helper->out, bytes, len);
	if (helper->out.failed) {
		(void)error_set(&helper->failed, ERROR_INTERNAL, -helper->out.failed,
				"cannot %s: the helper says too much at once", helper->what);
		buffer_reset(&helper->out);
		return;
	}

	while (buffer_len(&helper->out) &&
	       (end = memchr(buffer_at(&helper->out), '\n', buffer_len(&helper->out)))) {
		size_t line = (size_t)(end - buffer_at(&helper->out));

		take_line(helper, buffer_at(&helper->out), line);
		buffer_consume(&helper->out, line + 1);
	}
}

/* Whatever it said: only one that ends well, having said that it is done, has done it. */
static void judge(struct plugin_helper *helper, const struct process_end *end)
{
	if (helper->failed.kind != ERROR_NONE || (end->status == 0 && helper->done))
		return;

	if (end->never_ran)
		(void)error_set(&helper->failed, ERROR_INTERNAL, -end->never_ran,
				"cannot %s: cannot run %s: %m", helper->what, program());
	else if (end->timed_out)
		(void)error_set(&helper->failed, ERROR_INTERNAL, ETIMEDOUT,
				"cannot %s: the helper did not come to an end", helper->what);
	else if (end->signal)
		(void)error_set(&helper->failed, ERROR_INTERNAL, 0,
				"cannot %s: the helper was ended by signal %d", helper->what,
				end->signal);
	else
		(void)error_set(&helper->failed, ERROR_INTERNAL, 0,
				"cannot %s: the helper ended with status %d and gave no reason",
				helper->what, end->status);
}

static void helper_on_end(struct process *process, const struct process_end *end)
{
	struct plugin_helper *helper = container_of(process, struct plugin_helper, process);
	struct json_object *done;
	struct error failed;

	judge(helper, end);
	failed = helper->failed;
	done = TAKE(helper->done);
	buffer_fini(&helper->out);
	helper->events->on_end(helper, done, failed.kind != ERROR_NONE ? &failed : NULL);
	/* Careful: the run may be gone. */
	(void)json_object_put(done);
}

static void helper_on_room(struct process *process)
{
	struct plugin_helper *helper = container_of(process, struct plugin_helper, process);

	if (helper->events->on_room)
		helper->events->on_room(helper);
}

static const struct process_callbacks helper_callbacks = {
	.on_end = helper_on_end,
	.on_output = helper_on_output,
	.on_room = helper_on_room,
};

void plugin_helper_init(struct plugin_helper *helper, const struct plugin_helper_events *events)
{
	*helper = (struct plugin_helper){ .events = events };
	process_init(&helper->process, &helper_callbacks);
}

int plugin_helper_start(struct plugin_helper *helper, struct reaper *reaper,
			const struct plugin_helper_ask *ask, struct error *err)
{
	const char *argv[PLUGIN_HELPER_ARGS_MAX + 2] = { program() };
	struct helper_environment environment;
	struct process_spec spec = {
		.what = helper->what,
		.argv = argv,
		.environment = environment.list,
		.dirfd = -1,
		.fds = { [1] = { PROCESS_FD_OUTPUT, -1 },
			 [2] = { PROCESS_FD_GIVEN, STDERR_FILENO },
			 [3] = { PROCESS_FD_GIVEN, ask->dirfd } },
		.timeout_ms = ask->timeout_ms,
		.grace_ms = GRACE_MS,
	};

	for (size_t i = 0; ask->args[i]; i++) {
		assert(i < PLUGIN_HELPER_ARGS_MAX);
		argv[i + 1] = ask->args[i];
	}
	helper_environment_fill(&environment);
	if (ask->input)
		spec.fds[0] = (struct process_fd){ PROCESS_FD_INPUT, -1 };

	(void)snprintf(helper->what, sizeof(helper->what), "%s", ask->what);
	helper->failed = (struct error){ 0 };
	buffer_init(&helper->out, PLUGIN_HELPER_LINE_MAX);
	return process_start(&helper->process, reaper, &spec, err);
}

void plugin_helper_stop(struct plugin_helper *helper)
{
	process_stop(&helper->process);
	buffer_fini(&helper->out);
	(void)json_object_put(TAKE(helper->done));
}

bool plugin_helper_is_running(const struct plugin_helper *helper)
{
	return process_is_running(&helper->process);
}

int plugin_helper_write(struct plugin_helper *helper, const char *bytes, size_t len)
{
	return process_write(&helper->process, bytes, len);
}

void plugin_helper_end_input(struct plugin_helper *helper)
{
	process_end_input(&helper->process);
}
