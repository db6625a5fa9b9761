/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl join: gathers what it takes, has the daemon join, and stays
 * until the outcome is known.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/jsonscan.h"
#include "base/secret.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/input.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/workspace.h"

#define TOKEN_FILE_MAX 4096

static int dup_option(const struct ctl *ctl, const char *name, char **ret)
{
	const char *value = args_get(&ctl->args, name);

	if (!value)
		return 0;

	*ret = strdup(value);
	return *ret ? 0 : say_no_memory();
}

static int read_token_file(const struct ctl *ctl, struct connection *connection)
{
	const char *path = args_get(&ctl->args, "token-file");
	AUTO(secret_free) char *text = NULL;
	struct error err;
	size_t len;

	if (!path)
		return 0;

	if (file_read_private(AT_FDCWD, path, TOKEN_FILE_MAX, &text, &len, &err) < 0)
		return say_error(&err);

	while (len && strchr("\r\n \t", text[len - 1]))
		len--;
	if (connection_check_token(text, len, &err) < 0) {
		error_prefix(&err, "%s", path);
		return say_error(&err);
	}

	connection->token = strndup(text, len);
	return connection->token ? 0 : say_no_memory();
}

static int read_stdin(struct connection *connection)
{
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	struct error err;
	int status;

	if (isatty(STDIN_FILENO))
		say("paste what the platform gave you, then press Ctrl-D");

	status = input_read_all(&input);
	if (status || !buffer_len(&input))
		return status;

	if (connection_read(connection, buffer_at(&input), buffer_len(&input), &err) < 0)
		return say_error(&err);
	return 0;
}

static int ask_token(struct connection *connection)
{
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	struct error err;
	size_t len;
	int status;

	status = input_ask("Token (not shown; empty for none): ", &input);
	if (status)
		return status;

	len = buffer_len(&input);
	while (len && strchr("\r\n", buffer_at(&input)[len - 1]))
		len--;
	if (!len)
		return 0;

	if (connection_check_token(buffer_at(&input), len, &err) < 0)
		return say_error(&err);

	connection->token = strndup(buffer_at(&input), len);
	return connection->token ? 0 : say_no_memory();
}

/*
 * Options first. Standard input is read when something may still come from it:
 * not when everything was given, since it may be a pipe that never ends.
 */
static int gather(const struct ctl *ctl, struct connection *connection)
{
	bool whole;
	int status;

	status = dup_option(ctl, "url", &connection->platform_url);
	if (!status)
		status = dup_option(ctl, "workspace-id", &connection->workspace_id);
	if (!status)
		status = dup_option(ctl, "name", &connection->name);
	if (!status)
		status = dup_option(ctl, "org-id", &connection->org_id);
	if (!status)
		status = dup_option(ctl, "origin", &connection->origin);
	if (!status)
		status = read_token_file(ctl, connection);
	if (status)
		return status;

	whole = connection->platform_url && connection->workspace_id;
	if (whole && connection->token)
		return 0;
	if (whole && isatty(STDIN_FILENO))
		return ask_token(connection);

	status = read_stdin(connection);
	if (status)
		return status;

	if (!connection->platform_url || !connection->workspace_id)
		return say_usage("join",
				 "%s is missing: name it with --%s, or give the platform's "
				 "reply on standard input",
				 connection->platform_url ? "the workspace's id"
							  : "the platform's URL",
				 connection->platform_url ? "workspace-id" : "url");
	return 0;
}

/* --agent-card: JSON, or the path of a file that holds it. */
static int add_card(const struct ctl *ctl, struct buffer *params)
{
	const char *card = args_get(&ctl->args, "agent-card");
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	struct error err;
	int status;

	if (!card)
		return 0;

	if (card[0] == '{') {
		(void)buffer_append_text(&input, card);
	} else {
		status = input_read_file(card, &input);
		if (status)
			return status;
	}

	if (json_check(buffer_len(&input) ? buffer_at(&input) : "", buffer_len(&input),
		       JSON_DEPTH_MAX - 2, JSON_VALUES_MAX, &err) < 0) {
		error_prefix(&err, "the agent card is not JSON");
		return say_error(&err);
	}
	if (json_text_kind(json_text_from(buffer_at(&input), buffer_len(&input))) != JSON_OBJECT)
		return say_usage("join", "the agent card is not a JSON object");

	(void)buffer_append_char(&input, '\0');
	if (input.failed)
		return say_no_memory();
	params_json(params, "agent_card", buffer_at(&input));
	return 0;
}

static int call_join(struct ctl *ctl, const struct connection *connection, struct answer *ret)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	int status;

	ctl_begin_params(ctl, &params);
	params_string(&params, "platform_url", connection->platform_url);
	params_string(&params, "workspace_id", connection->workspace_id);
	params_string(&params, "token", connection->token);
	params_string(&params, "name", connection->name);
	params_string(&params, "org_id", connection->org_id);
	params_string(&params, "origin", connection->origin);
	params_string(&params, "reported_url", args_get(&ctl->args, "reported-url"));
	status = add_card(ctl, &params);
	if (status)
		return status;

	return ctl_call(ctl, "workspace.join", &params, ret);
}

static bool is_joining(const struct answer *answer)
{
	return json_text_equals(json_text_member(answer->result, "state"), "joining");
}

static int call_about(struct ctl *ctl, const char *method, const char *id, struct answer *ret)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;

	ctl_begin_params(ctl, &params);
	params_string(&params, "workspace", id);
	if (strcmp(method, "events.subscribe") == 0) {
		params_begin_list(&params, "types");
		params_element(&params, "workspace.state");
		params_end_list(&params);
	}
	return ctl_call(ctl, method, &params, ret);
}

/*
 * Until it is no longer joining, or time is up. The subscription comes before
 * the look at the state, so no change falls between them.
 */
static int wait_until_joined(struct ctl *ctl, const char *id, struct answer *answer)
{
	struct mol_agent_error err;
	char *event = NULL;
	int status, r;

	status = call_about(ctl, "events.subscribe", id, NULL);
	for (;;) {
		if (!status)
			status = call_about(ctl, "workspace.status", id, answer);
		if (status || !is_joining(answer))
			return status;

		r = mol_agent_next_event(ctl->agent, ctl_time_left(ctl), &event, &err);
		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return ctl_say_failure(ctl, r, &err);
		mol_agent_free(TAKE(event));
	}
}

static int put_outcome(struct ctl *ctl, const struct answer *answer)
{
	if (ctl->json)
		ctl_put_json(ctl, answer);
	else
		workspace_put_line(ctl, answer->result);

	if (is_joining(answer))
		say("the outcome is not known yet, the daemon goes on trying: "
		    "see 'molecule-agentctl status'");
	return workspace_exit_status(json_text_member(answer->result, "state"));
}

int cmd_join(struct ctl *ctl)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(free) char *id = NULL;
	int status;

	status = gather(ctl, &connection);
	if (status)
		return status;

	status = call_join(ctl, &connection, &answer);
	if (status)
		return status;

	if (is_joining(&answer)) {
		if (json_text_dup(json_text_member(answer.result, "id"), &id) < 0)
			return say_failed(ERROR_INTERNAL, "the daemon's answer has no id");
		status = wait_until_joined(ctl, id, &answer);
		if (status)
			return status;
	}

	return put_outcome(ctl, &answer);
}
