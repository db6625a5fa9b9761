/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl token set, token rotate
 */

#include <string.h>

#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/input.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"

static void put_prefix(struct ctl *ctl, const struct answer *answer, const char *what)
{
	if (ctl->json) {
		ctl_put_json(ctl, answer);
		return;
	}

	(void)buffer_append_text(&ctl->out, what);
	(void)buffer_append_text(&ctl->out, ", the new one begins with ");
	show_member(&ctl->out, answer->result, "prefix");
	(void)buffer_append_char(&ctl->out, '\n');
}

/* The token, NUL-terminated, in input. */
static int read_token(struct buffer *input)
{
	struct error err;
	size_t len;
	int status;

	status = isatty(STDIN_FILENO) ? input_ask("Token (not shown): ", input)
				      : input_read_all(input);
	if (status)
		return status;

	len = buffer_len(input);
	while (len && strchr("\r\n", buffer_at(input)[len - 1]))
		len--;
	if (connection_check_token(len ? buffer_at(input) : "", len, &err) < 0)
		return say_error(&err);

	buffer_truncate(input, len);
	return buffer_append_char(input, '\0') < 0 ? say_no_memory() : 0;
}

int cmd_token_set(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	status = read_token(&input);
	if (status)
		return status;

	ctl_begin_params(ctl, &params);
	params_string(&params, "token", buffer_at(&input));
	status = ctl_call(ctl, "token.set", &params, &answer);
	if (status)
		return status;

	put_prefix(ctl, &answer, "token set");
	return 0;
}

int cmd_token_rotate(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, "token.rotate", &params, &answer);
	if (status)
		return status;

	put_prefix(ctl, &answer, "token rotated");
	return 0;
}
