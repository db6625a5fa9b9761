/* SPDX-License-Identifier: MIT */
/*
 * a2a.*: talking to peers.
 */

#include <errno.h>
#include <string.h>

#include "agent/courier.h"
#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/peerarg.h"
#include "rpc/writer.h"

enum {
	SEND_WORKSPACE,
	SEND_TO,
	SEND_TEXT,
	SEND_MESSAGE,
	SEND_ROUTE,
	SEND_MESSAGE_ID,
	SEND_TIMEOUT
};

/* What of a call can be wrong whoever the peer is. */
struct letter {
	enum courier_route route;
	char message_id[A2A_ID_MAX + 1];
};

static int read_route(const struct call *call, enum courier_route *ret, struct error *err)
{
	static const char *const names[] = {
		[COURIER_AUTO] = "auto",
		[COURIER_DIRECT] = "direct",
		[COURIER_PROXY] = "proxy",
	};
	struct json_text text = call->args[SEND_ROUTE].text;

	*ret = COURIER_AUTO;
	if (!text.len)
		return 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (json_text_equals(text, names[i])) {
			*ret = (enum courier_route)i;
			return 0;
		}

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "route must be \"auto\", \"direct\" or \"proxy\"");
}

static int read_message(const struct call *call, char message_id[static A2A_ID_MAX + 1],
			struct error *err)
{
	struct json_text message = call->args[SEND_MESSAGE].text;
	bool has_text = arg_given(&call->args[SEND_TEXT]);
	int r;

	if (has_text == (message.len > 0))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "give one of text and message, %s",
				 has_text ? "not both" : "for something has to be said");

	r = message.len ? a2a_message_check(message, err) : 0;
	if (r < 0)
		return r;

	return a2a_message_id(message, call->args[SEND_MESSAGE_ID].text, message_id, err);
}

static int read_letter(const struct call *call, struct letter *ret, struct error *err)
{
	int r;

	r = read_route(call, &ret->route, err);
	return r < 0 ? r : read_message(call, ret->message_id, err);
}

static int write_answer(struct call *call)
{
	const struct courier *courier = call->errand;
	const struct a2a_answer *answer = courier->answer;
	bool queued = answer->kind == A2A_QUEUED;
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_text(out, "outcome", queued ? "queued" : "answered");
	writer_text(out, "route", courier->route == A2A_DIRECT ? "direct" : "proxy");
	writer_text(out, "message_id", courier->message_id);
	(void)buffer_append_text(out, ",\"text\":");
	(void)a2a_answer_write_text(answer, out);
	(void)buffer_append_text(out, ",\"response\":");
	(void)a2a_answer_write_response(answer, out);
	writer_text(out, "queue_id", queued && answer->queue_id[0] ? answer->queue_id : NULL);
	writer_close(out, '}');
	return 0;
}

static int answered(struct call *call, const struct error *failed, struct error *err)
{
	return failed ? error_copy(err, failed) : write_answer(call);
}

/* It is clear who is meant, or it may be found out from the list that is there. */
static int send_out(struct call *call, const struct letter *letter, struct error *err)
{
	struct workspace *workspace = call->workspace;
	char to[UUID_LEN + 1];
	struct courier_spec spec = {
		.member = &workspace->membership,
		.book = workspace_peerbook(workspace, err),
		.uid = call->caller->uid,
		.to = to,
		.route = letter->route,
		.message_id = letter->message_id,
		.timeout_ms = COURIER_TIMEOUT_MS,
		.max_reply = MIN(COURIER_REPLY_MAX, call->hub->settings.max_output_bytes),
	};
	struct courier *courier;
	struct waiter *waiter;
	int r;

	if (!spec.book)
		return -ENOMEM;

	r = peerarg_id(call, SEND_TO, to, err);
	if (r < 0)
		return r;

	if (arg_given(&call->args[SEND_TIMEOUT]))
		spec.timeout_ms = call->args[SEND_TIMEOUT].integer;

	waiter = call_park(&call, answered, err);
	if (!waiter)
		return -ENOMEM;

	/* In the copy that waits, not in what was read from the client. */
	spec.text = call->args[SEND_TEXT].text;
	spec.message = call->args[SEND_MESSAGE].text;
	r = courier_new(&spec, waiter, &courier, err);
	if (r < 0)
		return r;

	call->errand = courier;
	call->message_id = courier->message_id;
	return CALL_PARKED;
}

static int found(struct call *call, const struct error *failed, struct error *err)
{
	struct letter letter;
	int r;

	r = peerarg_awaited(call, failed, err);
	if (r == 0)
		r = workspace_may_call(call->workspace, err);
	if (r == 0)
		r = read_letter(call, &letter, err);
	return r < 0 ? r : send_out(call, &letter, err);
}

/* What is wrong with the call is said before anybody is asked anything. */
static int a2a_send(struct call *call, struct error *err)
{
	struct letter letter;
	int r;

	r = read_letter(call, &letter, err);
	if (r == 0)
		r = workspace_may_call(call->workspace, err);
	if (r == 0)
		r = peerarg_await_id(call, SEND_TO, found, err);
	return r ? r : send_out(call, &letter, err);
}

const struct method methods_a2a[] = {
	{ "a2a.send", POLICY_USE, a2a_send, "send a peer a message and wait for its answer",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "to", FIELD_STRING, FIELD_REQUIRED,
		   .help = "the peer's id, or a name only one has" },
		 { "text", FIELD_STRING, .help = "what to say" },
		 { "message", FIELD_OBJECT, .help = "a whole A2A message instead" },
		 { "route", FIELD_STRING, .help = "\"auto\" (default), \"direct\" or \"proxy\"" },
		 { "message_id", FIELD_STRING,
		   .help = "the same for the same message, when it is sent again" },
		 { "timeout_ms", FIELD_INTEGER, .min = 1, .max = COURIER_TIMEOUT_MAX_MS,
		   .help = "for all of it; 360000 unless given" }),
	  FIELDS({ "outcome", FIELD_STRING, .help = "\"answered\" or \"queued\"" },
		 { "route", FIELD_STRING, .help = "\"direct\" or \"proxy\"" },
		 { "message_id", FIELD_STRING, .help = "the one that was sent" },
		 { "text", FIELD_STRING, FIELD_NULLABLE, .help = "the first text of the answer" },
		 { "response", FIELD_OBJECT, FIELD_NULLABLE,
		   .help = "the peer's whole answer, as it came" },
		 { "queue_id", FIELD_STRING, FIELD_NULLABLE,
		   .help = "what the platform queued it as" }) },
	{ 0 },
};
