/* SPDX-License-Identifier: MIT */
/*
 * Serving, parking and answering calls. The answer is composed in place, at the
 * end of what already waits to be sent: what fails is cut off again.
 */

#include "rpc/call.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "base/jsonrpc.h"
#include "base/log.h"
#include "rpc/writer.h"

#define NOTE_MAX ((size_t)1 << 20)

/* A call that waits, with its own copy of what it still needs of the request. */
struct parked {
	struct list node; /* in the caller's */
	struct waiter waiter;
	struct timer deadline;
	call_resume_fn resume;
	struct call call;
	char workspace[WORKSPACE_NAME_MAX + 1]; /* it may go while we wait */
	size_t text_len;
	char text[]; /* id and params: may hold a token, so it is wiped */
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void count(const struct call *call, enum error_kind kind)
{
	struct stats *stats = &call->hub->stats;

	if (call->ordinal < 0) {
		stats->nonsense[kind]++;
		return;
	}

	stats->calls[call->ordinal][kind]++;
	histogram_observe(&stats->latency, (double)(now_ns() - call->began_ns) / 1e9);
}

struct buffer *call_result(struct call *call)
{
	assert(!call->begun);
	call->begun = true;
	call->start = buffer_len(call->sink->out);
	(void)jsonrpc_begin_result(call->sink->out, call->id);
	return call->sink->out;
}

static bool fits(const struct sink *sink)
{
	return !sink->out->failed && buffer_len(sink->out) <= sink->max;
}

static void write_error(const struct call *call, const struct error *err)
{
	struct buffer *out = call->sink->out;

	buffer_truncate(out, call->start);
	if (call->silent)
		return;

	(void)jsonrpc_begin_error(out, call->id, err);
	if (call->message_id)
		writer_text(out, "message_id", call->message_id);
	(void)jsonrpc_end_error(out);
}

/* The answer did not fit. Says so, unless what is in the way are answers nobody reads. */
static enum error_kind overflow(const struct call *call)
{
	struct sink *sink = call->sink;
	struct error err;

	if (sink->out->failed == -ENOMEM)
		(void)error_set(&err, ERROR_INTERNAL, ENOMEM, "no memory for the answer");
	else
		(void)error_set(&err, ERROR_TOO_LARGE, EMSGSIZE,
				"the answer is longer than max_output_bytes (%zu)", sink->max);

	if (err.kind == ERROR_TOO_LARGE && call->start > sink->high) {
		buffer_truncate(sink->out, call->start);
		sink->on_overflow(sink);
		return err.kind;
	}

	write_error(call, &err);
	if (sink->out->failed) {
		buffer_truncate(sink->out, call->start);
		sink->on_overflow(sink);
	}
	return err.kind;
}

/* Completes the answer of a call that returned r. The sink may be gone afterwards. */
static void answer(struct call *call, int r, const struct error *err)
{
	struct sink *sink = call->sink;
	enum error_kind kind = ERROR_NONE;

	if (!call->begun)
		call->start = buffer_len(sink->out);

	if (r < 0) {
		kind = err->kind;
		write_error(call, err);
	} else if (call->silent) {
		buffer_truncate(sink->out, call->start);
	} else {
		assert(call->begun);
		(void)jsonrpc_end_result(sink->out);
	}

	if (!fits(sink))
		kind = overflow(call);
	count(call, kind);
	sink->on_answer(sink, call->start);
}

static int find_workspace(struct call *call, const struct arg *arg, struct error *err)
{
	char text[WORKSPACE_NAME_MAX + 1], shown[WORKSPACE_NAME_MAX + 4];

	if (!arg_given(arg)) {
		call->workspace = agent_only(call->hub->host.agent, err);
		return call->workspace ? 0 : -ENOENT;
	}

	if (json_text_cstring(arg->text, text, sizeof(text)) == 0)
		call->workspace = agent_find(call->hub->host.agent, text);
	if (call->workspace)
		return 0;

	return error_set(err, ERROR_NOT_FOUND, ENOENT, "there is no workspace %s",
			 error_quote(shown, sizeof(shown), arg->text.at, arg->text.len));
}

static int find_workspace_param(struct call *call, struct error *err)
{
	field_for_each(field, call->method->params) if (
		field->type ==
		FIELD_WORKSPACE) return find_workspace(call,
						       &call->args[field - call->method->params],
						       err);

	return 0;
}

static int refuse(const struct call *call, struct error *err)
{
	const struct caller *caller = call->caller;
	struct peercred peer = { .uid = caller->uid,
				 .gid = caller->gid,
				 .pid = caller->pid,
				 .fd = caller->outlet.stream->fd };
	char unit[128];
	uint64_t untold;

	if (account_tells(caller->account, loop_now_ms(call->hub->host.loop), &untold))
		log_warning("refused %s to uid %u (pid %d, unit %s), %" PRIu64
			    " more since the last such line",
			    call->method->name, caller->uid, caller->pid,
			    peercred_unit(&peer, unit, sizeof(unit)), untold);

	return policy_refuse(&call->hub->policy, caller->uid, caller->classes, call->method->name,
			     err);
}

static int begin(struct call *call, struct json_text text, struct error *err)
{
	struct jsonrpc_request request;
	struct hub *hub = call->hub;
	int r;

	r = jsonrpc_parse(text, &request, err);
	call->id = request.id;
	call->params = request.params;
	/* What is no request is no notification either, and is answered; a response never is. */
	call->silent = r == -EALREADY ||
		       (!request.id.len && (r == 0 || err->kind != ERROR_INVALID_REQUEST));
	if (r < 0)
		return r;

	call->ordinal = schema_find(&hub->schema, request.method);
	if (call->ordinal < 0) {
		char name[64];

		return error_set(
			err, ERROR_METHOD_NOT_FOUND, ENOSYS, "there is no method %s",
			error_quote(name, sizeof(name), request.method.at, request.method.len));
	}

	call->method = hub->schema.list[call->ordinal];
	if (!(call->caller->classes & call->method->class))
		return refuse(call, err);

	r = schema_read_args(call->method, request.params, call->args, err);
	if (r < 0)
		return r;

	return find_workspace_param(call, err);
}

static void parked_free(struct parked *parked)
{
	list_remove(&parked->node);
	waiter_cancel(&parked->waiter);
	timer_stop(&parked->deadline);
	parked->call.caller->n_in_flight--;
	parked->call.hub->n_in_flight--;
	buffer_fini(&parked->call.note);
	explicit_bzero(parked->text, parked->text_len);
	free(parked);
}

static void parked_end(struct parked *parked, int r, const struct error *err)
{
	struct caller *caller = parked->call.caller;

	answer(&parked->call, r, err);
	parked_free(parked);
	caller->on_answer(caller);
}

void call_serve(struct caller *caller, struct sink *sink, struct json_text text)
{
	struct call call = {
		.caller = caller,
		.hub = caller->hub,
		.sink = sink,
		.ordinal = -1,
		.began_ns = caller->hub->host.loop->turn_began_ns,
		.note = BUFFER_INIT(NOTE_MAX),
	};
	struct error err = { .kind = ERROR_NONE };
	int r;

	r = begin(&call, text, &err);
	if (r == 0)
		r = call.method->fn(&call, &err);
	if (r == CALL_PARKED)
		return;

	/* It was about to wait, and then could not. */
	if (call.parked)
		parked_end(call.parked, r, &err);
	else
		answer(&call, r, &err);
}

void call_complain(struct caller *caller, struct sink *sink, const struct error *err)
{
	struct call call = { .caller = caller, .hub = caller->hub, .sink = sink, .ordinal = -1 };

	answer(&call, -EBADMSG, err);
}

/* Whether the workspace is still there: others may have left it meanwhile. */
static bool parked_is_homeless(const struct parked *parked)
{
	const struct call *call = &parked->call;

	return call->workspace &&
	       agent_find(call->hub->host.agent, parked->workspace) != call->workspace;
}

static void parked_resume(struct parked *parked, const struct error *failed)
{
	struct error err = { .kind = ERROR_NONE };
	int r;

	timer_stop(&parked->deadline);
	waiter_cancel(&parked->waiter);
	if (parked_is_homeless(parked))
		r = error_set(&err, ERROR_NOT_FOUND, ENOENT, "workspace %s has left this host",
			      parked->workspace);
	else
		r = parked->resume(&parked->call, failed, &err);
	if (r != CALL_PARKED)
		parked_end(parked, r, &err);
}

static void on_waited(struct waiter *waiter, const struct error *err)
{
	/* Resuming may end what the error is part of. */
	struct error copy = err ? *err : (struct error){ .kind = ERROR_NONE };

	parked_resume(container_of(waiter, struct parked, waiter), err ? &copy : NULL);
}

static void on_deadline(struct timer *timer)
{
	struct error err;

	(void)error_set(&err, ERROR_TIMEOUT, ETIMEDOUT, "it takes longer than the call may wait");
	parked_resume(container_of(timer, struct parked, deadline), &err);
}

/* Where a span of the request is once its id and params have been copied. */
static struct json_text moved(struct json_text span, struct json_text from, const char *to)
{
	return (struct json_text){ .at = span.len ? to + (span.at - from.at) : NULL,
				   .len = span.len };
}

static struct parked *parked_new(const struct call *call)
{
	size_t text_len = call->id.len + call->params.len;
	struct caller *caller = call->caller;
	struct parked *parked;
	char *params;

	parked = calloc(1, sizeof(*parked) + text_len);
	if (!parked)
		return NULL;

	parked->text_len = text_len;
	parked->call = *call;
	parked->call.parked = parked;
	timer_init(&parked->deadline, call->hub->host.loop, on_deadline);

	params = parked->text + call->id.len;
	if (call->id.len)
		(void)memcpy(parked->text, call->id.at, call->id.len);
	if (call->params.len)
		(void)memcpy(params, call->params.at, call->params.len);
	parked->call.id = moved(call->id, call->id, parked->text);
	parked->call.params = moved(call->params, call->params, params);
	for (size_t i = 0; i < SCHEMA_PARAMS_MAX; i++)
		parked->call.args[i].text = moved(call->args[i].text, call->params, params);

	list_init(&parked->node);
	list_append(&caller->calls, &parked->node);
	caller->n_in_flight++;
	call->hub->n_in_flight++;
	return parked;
}

struct waiter *call_park(struct call **call, call_resume_fn resume, struct error *err)
{
	struct parked *parked = (*call)->parked;

	assert(!(*call)->begun);
	if (!parked)
		parked = parked_new(*call);
	if (!parked) {
		(void)error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a call that waits");
		return NULL;
	}

	if (parked->call.workspace)
		(void)memcpy(parked->workspace, parked->call.workspace->settings.name,
			     sizeof(parked->workspace));
	parked->resume = resume;
	waiter_init(&parked->waiter, on_waited);
	(*call)->parked = parked;
	*call = &parked->call;
	return &parked->waiter;
}

struct waiter *call_park_asking(struct call **call, call_resume_fn resume, struct error *err)
{
	if (workspace_may_call((*call)->workspace, err) < 0)
		return NULL;

	return call_park(call, resume, err);
}

void call_set_deadline(struct call *call, int64_t after_ms)
{
	timer_start(&call->parked->deadline, after_ms);
}

/* Ids are compared as they were written: 1 and 1.0 are two, as in an answer. */
static bool is_same_id(struct json_text a, struct json_text b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

bool call_cancel(struct caller *caller, struct json_text id)
{
	struct error err;

	list_for_each (node, &caller->calls) {
		struct parked *parked = list_entry(node, struct parked, node);

		if (!is_same_id(parked->call.id, id))
			continue;

		(void)error_set(&err, ERROR_CANCELLED, ECANCELED, "the client cancelled the call");
		parked_end(parked, -ECANCELED, &err);
		return true;
	}

	return false;
}

void call_end_all(struct caller *caller, const struct error *err)
{
	/* An answer to one may end others: a full buffer dooms them all, but frees none. */
	while (!list_empty(&caller->calls)) {
		struct parked *parked = list_entry(caller->calls.next, struct parked, node);

		if (err)
			parked_end(parked, -ECANCELED, err);
		else
			parked_free(parked);
	}
}

void call_for_each(struct hub *hub, method_fn fn, const struct workspace *workspace,
		   void (*visit)(struct call *call, void *data), void *data)
{
	list_for_each (caller_node, &hub->callers) {
		struct caller *caller = list_entry(caller_node, struct caller, node);

		list_for_each (node, &caller->calls) {
			struct call *call = &list_entry(node, struct parked, node)->call;

			if (call->method->fn == fn && call->workspace == workspace)
				visit(call, data);
		}
	}
}

int call_text(const struct call *call, unsigned index, char *dst, size_t dst_size,
	      struct error *err)
{
	const char *name = call->method->params[index].name;
	int r;

	dst[0] = '\0';
	if (!arg_given(&call->args[index]))
		return 0;

	r = json_text_cstring(call->args[index].text, dst, dst_size);
	if (r == -ENOBUFS)
		return error_set(err, ERROR_INVALID_PARAMS, E2BIG, "%s must have at most %zu bytes",
				 name, dst_size - 1);
	if (r < 0)
		return error_set(err, ERROR_INVALID_PARAMS, -r, "%s must not hold a NUL", name);

	return 0;
}
