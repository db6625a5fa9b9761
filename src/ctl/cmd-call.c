/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl call: any method, with the parameters as they are.
 */

#include <string.h>

#include "base/jsonscan.h"
#include "ctl/ctl.h"
#include "ctl/input.h"
#include "ctl/say.h"

/* What other processes can read in our arguments must not be a token. */
static int check_argument(const char *json)
{
	struct json_text text = json_text_from(json, strlen(json));

	if (json_text_kind(json_text_member(text, "token")) == JSON_NONE)
		return 0;

	return say_usage("call", "a token is not taken from the arguments, where every process on "
				 "this machine can read it: use - and standard input");
}

/* The parameters, NUL-terminated, in input; nothing when there are none. */
static int read_params(const struct ctl *ctl, struct buffer *input)
{
	const char *json = ctl->args.words[1];
	enum json_kind kind;
	struct error err;
	int status = 0;

	if (!json)
		return 0;

	if (strcmp(json, "-") == 0)
		status = input_read_all(input);
	else
		(void)buffer_append_text(input, json);
	if (status || buffer_append_char(input, '\0') < 0)
		return status ? status : say_no_memory();

	if (json_check(buffer_at(input), buffer_len(input) - 1, JSON_DEPTH_MAX, JSON_VALUES_MAX,
		       &err) < 0) {
		error_prefix(&err, "the parameters are not JSON");
		return say_error(&err);
	}

	kind = json_text_kind(json_text_from(buffer_at(input), buffer_len(input) - 1));
	if (kind != JSON_OBJECT && kind != JSON_ARRAY)
		return say_usage("call", "parameters are an object or an array, not %s",
				 json_kind_name(kind));

	return strcmp(json, "-") == 0 ? 0 : check_argument(json);
}

int cmd_call(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	struct mol_agent_error err;
	struct answer answer;
	int status, r;

	status = read_params(ctl, &input);
	if (!status)
		status = ctl_open(ctl);
	if (status)
		return status;

	r = mol_agent_call(ctl->agent, ctl->args.words[0],
			   buffer_len(&input) ? buffer_at(&input) : NULL, ctl_time_left(ctl),
			   &answer.text, &err);
	if (r < 0)
		return ctl_say_failure(ctl, r, &err);

	answer.result = json_text_from(answer.text, strlen(answer.text));
	ctl_put_json(ctl, &answer);
	answer_fini(&answer);
	return 0;
}
