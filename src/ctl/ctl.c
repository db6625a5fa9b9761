/* SPDX-License-Identifier: MIT */
/*
 * The connection and the output of a command, and the sentences about a daemon
 * that is not there.
 */

#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/parse.h"
#include "base/unique.h"
#include "ctl/params.h"
#include "ctl/say.h"

#define DEFAULT_TIMEOUT_MS 30000
#define OUT_MAX ((size_t)128 << 20) /* a few times the largest table */
#define EX_IOERR 74

static int64_t clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wants_colour(const struct ctl *ctl)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (ctl->json || args_has(&ctl->args, "no-color") || (no_color && no_color[0]))
		return false;

	return isatty(STDOUT_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

int ctl_init(struct ctl *ctl, int argc, char *argv[])
{
	const char *timeout;
	int status;

	*ctl = (struct ctl){ .timeout_ms = DEFAULT_TIMEOUT_MS, .out = BUFFER_INIT(OUT_MAX) };
	status = args_parse(&ctl->args, argc, argv);
	if (status)
		return status;

	timeout = args_get(&ctl->args, "timeout");
	if (timeout && (parse_duration_ms(timeout, &ctl->timeout_ms) < 0 || ctl->timeout_ms <= 0))
		return say_usage(NULL, "'%s' is no time for --timeout: write 500ms, 30s or 2min",
				 timeout);

	if (args_has(&ctl->args, "user") && args_has(&ctl->args, "socket"))
		return say_usage(NULL, "--user and --socket exclude each other");

	ctl->json = args_has(&ctl->args, "json");
	ctl->coloured = wants_colour(ctl);
	return 0;
}

void ctl_fini(struct ctl *ctl)
{
	ctl_close(ctl);
	buffer_fini(&ctl->out);
	args_fini(&ctl->args);
}

int ctl_time_left(const struct ctl *ctl)
{
	int64_t left = ctl->deadline_ms - clock_ms();

	return (int)MAX((int64_t)0, MIN(left, (int64_t)INT_MAX));
}

const char *ctl_socket(const struct ctl *ctl, char path[static CTL_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (!args_has(&ctl->args, "user"))
		return args_get(&ctl->args, "socket");

	if (runtime && runtime[0] == '/')
		(void)snprintf(path, CTL_PATH_MAX, "%s/molecule.sock", runtime);
	else
		(void)snprintf(path, CTL_PATH_MAX, "/run/user/%u/molecule.sock", getuid());
	return path;
}

int ctl_try_open(struct ctl *ctl, struct mol_agent_error *err)
{
	char path[CTL_PATH_MAX];

	if (ctl->agent)
		return 0;

	ctl->deadline_ms = clock_ms() + ctl->timeout_ms;
	return mol_agent_open(ctl_socket(ctl, path), &ctl->agent, err);
}

void ctl_close(struct ctl *ctl)
{
	mol_agent_close(TAKE(ctl->agent));
}

static void say_how_to_start(const struct ctl *ctl)
{
	const char *socket = getenv("MOLECULE_SOCKET");

	if (args_has(&ctl->args, "user"))
		say("start your daemon with 'systemctl --user start molecule-agentd'");
	else if (args_has(&ctl->args, "socket") || (socket && socket[0]))
		say("is molecule-agentd running, and is that its socket?");
	else
		say("start the daemon with 'systemctl start molecule-agentd', "
		    "or talk to your own with --user");
}

int ctl_open(struct ctl *ctl)
{
	struct mol_agent_error err;
	int status, r;

	r = ctl_try_open(ctl, &err);
	if (r == 0)
		return 0;

	status = ctl_say_failure(ctl, r, &err);
	if (status == error_exit_status(ERROR_UNAVAILABLE))
		say_how_to_start(ctl);
	else if (r == -EACCES)
		say("the socket's group may use it: see 'ls -l' on it, and 'id'");
	return status;
}

/*
 * Losing the answer to a question is no more than that. Only where something
 * may have been done is the outcome unknown.
 */
static enum error_kind kind_of(const struct ctl *ctl, int r, const struct mol_agent_error *err)
{
	enum error_kind kind = error_from_code(err->code);
	const struct command *command = ctl->args.command;

	if (r == -EREMOTEIO || kind != ERROR_UNKNOWN_OUTCOME || !command || command->changes)
		return kind;

	return r == -ETIMEDOUT ? ERROR_TIMEOUT : ERROR_UNAVAILABLE;
}

int ctl_say_failure(const struct ctl *ctl, int r, const struct mol_agent_error *err)
{
	enum error_kind kind = kind_of(ctl, r, err);
	char wait[64];

	if (err->retry_after_ms > 0)
		return say_failed(kind, "%s (try again in %s)", err->message,
				  format_duration(wait, sizeof(wait), err->retry_after_ms));

	return say_failed(kind, "%s", err->message);
}

int ctl_choose_id(const struct ctl *ctl, const char *option, char dst[static CTL_ID_SIZE],
		  const char **ret)
{
	int r = 0;

	*ret = args_get(&ctl->args, option);
	if (*ret)
		return 0;

	r = unique_uuid(dst);
	if (r < 0)
		return say_failed(ERROR_INTERNAL, "no random numbers for an id: %s", strerror(-r));

	*ret = dst;
	return 0;
}

void ctl_begin_params(const struct ctl *ctl, struct buffer *params)
{
	params_begin(params);
	params_string(params, "workspace", args_get(&ctl->args, "workspace"));
}

void answer_fini(struct answer *answer)
{
	mol_agent_free(TAKE(answer->text));
	answer->result = (struct json_text){ NULL, 0 };
}

int ctl_try_call(struct ctl *ctl, const char *method, struct buffer *params, struct answer *ret,
		 struct mol_agent_error *err)
{
	const char *text = NULL;
	char *result;
	int r;

	if (params) {
		text = params_end(params);
		if (!text) {
			*err = (struct mol_agent_error){ .code = error_code(ERROR_INTERNAL) };
			(void)snprintf(err->message, sizeof(err->message), "out of memory");
			return -ENOMEM;
		}
	}

	r = mol_agent_call(ctl->agent, method, text, ctl_time_left(ctl), &result, err);
	if (params)
		buffer_reset(params);
	if (r < 0)
		return r;

	if (!ret) {
		mol_agent_free(result);
		return 0;
	}

	answer_fini(ret);
	ret->text = result;
	ret->result = json_text_from(result, strlen(result));
	return 0;
}

int ctl_call(struct ctl *ctl, const char *method, struct buffer *params, struct answer *ret)
{
	struct mol_agent_error err;
	int status, r;

	status = ctl_open(ctl);
	if (status)
		return status;

	r = ctl_try_call(ctl, method, params, ret, &err);
	return r < 0 ? ctl_say_failure(ctl, r, &err) : 0;
}

int ctl_call_long(struct ctl *ctl, const char *method, int64_t ms, struct buffer *params,
		  struct answer *ret)
{
	int status;

	status = ctl_open(ctl);
	if (status)
		return status;

	ctl->deadline_ms = clock_ms() + ctl->timeout_ms + ms;
	return ctl_call(ctl, method, params, ret);
}

void ctl_put_json(struct ctl *ctl, const struct answer *answer)
{
	(void)buffer_append(&ctl->out, answer->result.at, answer->result.len);
	(void)buffer_append_char(&ctl->out, '\n');
}

int ctl_flush(struct ctl *ctl)
{
	int r;

	if (ctl->out.failed)
		return say_no_memory();

	if (!buffer_len(&ctl->out))
		return 0;

	r = fd_write_all(STDOUT_FILENO, buffer_at(&ctl->out), buffer_len(&ctl->out));
	buffer_reset(&ctl->out);
	if (r < 0) {
		say("cannot write to standard output: %s", strerror(-r));
		return EX_IOERR;
	}
	return 0;
}
