/* SPDX-License-Identifier: MIT */
/*
 * delegation.*: tasks for others, handed to the platform until it has them, and
 * followed until they end.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/peerarg.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define LIST_DEFAULT 50
#define WAIT_MAX_MS 3600000
/* How long a creation waits to hear what the platform says; it goes on by itself. */
#define TRY_WAIT_MS 5000
#define ID_MAX 64

enum {
	CREATE_WORKSPACE,
	CREATE_TO,
	CREATE_TASK,
	CREATE_KEY
};
enum {
	ONE_WORKSPACE,
	ONE_ID,
	ONE_WAIT_MS
};
enum {
	LIST_WORKSPACE,
	LIST_STATUS,
	LIST_LIMIT,
	LIST_BEFORE
};

static struct outbox *outbox_of(struct call *call, struct error *err)
{
	return workspace_outbox(call->workspace, err);
}

/* What the outbox tells just now, if it is one; NULL: there is none. */
static const struct delegation *told(const struct call *call)
{
	const struct outbox *outbox = call->workspace->outbox;

	return outbox && outbox->told.n ? &outbox->told.rows[0] : NULL;
}

/* --- delegation.create --- */

/*
 * Once the platform can be expected to take it sooner or later. What an operator
 * has to mend first, and what is over, is said at once.
 */
static int may_create(const struct workspace *workspace, struct error *err)
{
	struct error why;

	if (workspace_may_call(workspace, &why) == 0 ||
	    (why.kind == ERROR_UNAVAILABLE && workspace->state != LIFECYCLE_LEAVING))
		return 0;

	return error_copy(err, &why);
}

static int read_key(const struct call *call, char dst[static OUTBOX_KEY_MAX + 1], const char **ret,
		    struct error *err)
{
	int r;

	*ret = NULL;
	if (!arg_given(&call->args[CREATE_KEY]))
		return 0;

	r = call_text(call, CREATE_KEY, dst, OUTBOX_KEY_MAX + 1, err);
	if (r < 0)
		return r;

	if (!dst[0])
		return error_set(
			err, ERROR_INVALID_PARAMS, EINVAL,
			"idempotency_key must not be empty; leave it out for a random one");

	*ret = dst;
	return 0;
}

static int read_task(const struct call *call, char **ret, struct error *err)
{
	int r;

	r = json_text_dup(call->args[CREATE_TASK].text, ret);
	if (r == -EINVAL)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "task must not hold a NUL");
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "no memory for a task");

	if ((*ret)[0])
		return 0;

	free(TAKE(*ret));
	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "task must not be empty");
}

static int answer_created(struct call *call, const struct delegation *delegation, bool duplicate)
{
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_text(out, "delegation_id", delegation->id);
	writer_text(out, "status", delegate_status_name(delegation->status));
	writer_text(out, "idempotency_key", delegation->key);
	writer_bool(out, "duplicate", duplicate);
	writer_text(out, "error", delegation->error);
	writer_close(out, '}');
	return 0;
}

/* The platform has answered, or has not for a while: it is what it is now. */
static int tried(struct call *call, const struct error *failed, struct error *err)
{
	const struct delegation *delegation = told(call);

	if (failed && failed->kind != ERROR_TIMEOUT)
		return error_copy(err, failed);

	if (!delegation)
		delegation = outbox_look(call->workspace->outbox, buffer_at(&call->note));
	if (!delegation)
		return error_set(err, ERROR_INTERNAL, ENOENT, "delegation %s is gone",
				 buffer_at(&call->note));

	return answer_created(call, delegation, false);
}

/* It is on disk. */
static int created(struct call *call, const struct error *failed, struct error *err)
{
	struct outbox *outbox = call->workspace->outbox;
	const struct delegation *delegation = told(call);
	struct waiter *waiter;

	if (failed)
		return error_copy(err, failed);

	if (!delegation)
		return error_set(err, ERROR_INTERNAL, ENOENT,
				 "the journal has taken the task, and does not say as what");

	/* To be found again when it is not told. */
	buffer_reset(&call->note);
	if (buffer_append(&call->note, delegation->id, sizeof(delegation->id)) < 0)
		return answer_created(call, delegation, outbox->told_duplicate);

	waiter = outbox->told_duplicate ? NULL : call_park(&call, tried, err);
	if (!waiter || !outbox_await_try(outbox, delegation->id, waiter))
		return answer_created(call, delegation, outbox->told_duplicate);

	call_set_deadline(call, TRY_WAIT_MS);
	return CALL_PARKED;
}

static int create(struct call *call, const char *to, const char *key, const char *task,
		  struct error *err)
{
	const struct outbox_order order = {
		.to = to,
		.task = task,
		.task_len = strlen(task),
		.key = key,
	};
	struct outbox *outbox = outbox_of(call, err);
	struct waiter *waiter;
	int r;

	if (!outbox)
		return -EIO;

	waiter = call_park(&call, created, err);
	if (!waiter)
		return -ENOMEM;

	r = outbox_create(outbox, &order, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

static int create_found(struct call *call, const struct error *failed, struct error *err)
{
	char to[UUID_LEN + 1], text[OUTBOX_KEY_MAX + 1];
	AUTO(free) char *task = NULL;
	const char *key;
	int r;

	r = peerarg_awaited(call, failed, err);
	if (r == 0)
		r = may_create(call->workspace, err);
	if (r == 0)
		r = read_key(call, text, &key, err);
	if (r == 0)
		r = read_task(call, &task, err);
	if (r == 0)
		r = peerarg_id(call, CREATE_TO, to, err);
	if (r)
		return r;

	if (strcmp(to, call->workspace->settings.id) == 0)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "%s cannot delegate to itself",
				 call->workspace->settings.name);

	return create(call, to, key, task, err);
}

static int delegation_create(struct call *call, struct error *err)
{
	int r;

	r = may_create(call->workspace, err);
	if (r < 0)
		return r;

	r = peerarg_await_id(call, CREATE_TO, create_found, err);
	return r ? r : create_found(call, NULL, err);
}

/* --- delegation.get, delegation.wait, delegation.list --- */

static int answer_one(struct call *call, const struct delegation *delegation)
{
	status_write_delegation(call_result(call), NULL, NULL, delegation);
	return 0;
}

static int no_such(const struct call *call, const char *id, struct error *err)
{
	char shown[ID_MAX + 4];

	return error_set(err, ERROR_NOT_FOUND, ENOENT, "%s has no delegation \"%s\"",
			 call->workspace->settings.name,
			 error_quote(shown, sizeof(shown), id, strlen(id)));
}

/* What is no UUID is nobody's id. */
static int read_id(const struct call *call, unsigned index, char ret[static UUID_LEN + 1],
		   struct error *err)
{
	char text[ID_MAX + 1];
	int r;

	r = call_text(call, index, text, sizeof(text), err);
	if (r < 0)
		return r;

	return parse_uuid(text, ret) < 0 ? no_such(call, text, err) : 0;
}

static int not_found(const struct call *call, struct error *err)
{
	char id[UUID_LEN + 1];
	int r;

	r = read_id(call, ONE_ID, id, err);
	return r < 0 ? r : no_such(call, id, err);
}

static int got(struct call *call, const struct error *failed, struct error *err)
{
	const struct delegation *delegation = told(call);

	if (failed)
		return error_copy(err, failed);

	return delegation ? answer_one(call, delegation) : not_found(call, err);
}

/* Asks the journal, then resume. */
static int look_up(struct call *call, call_resume_fn resume, struct error *err)
{
	struct outbox *outbox = outbox_of(call, err);
	char id[UUID_LEN + 1];
	struct waiter *waiter;
	int r;

	if (!outbox)
		return -EIO;

	r = read_id(call, ONE_ID, id, err);
	if (r < 0)
		return r;

	waiter = call_park(&call, resume, err);
	if (!waiter)
		return -ENOMEM;

	r = outbox_find(outbox, id, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

static int delegation_get(struct call *call, struct error *err)
{
	return look_up(call, got, err);
}

static int64_t waited_ms(const struct call *call)
{
	return loop_now_ms(call->hub->host.loop) - call->began_ns / 1000000;
}

/* It has ended, or the time has. */
static int waited(struct call *call, const struct error *failed, struct error *err)
{
	if (failed && failed->kind == ERROR_TIMEOUT)
		return look_up(call, got, err);

	return got(call, failed, err);
}

static int wait_looked_up(struct call *call, const struct error *failed, struct error *err)
{
	int64_t left_ms = call->args[ONE_WAIT_MS].integer - waited_ms(call);
	const struct delegation *delegation = told(call);
	struct outbox *outbox = call->workspace->outbox;
	struct waiter *waiter;

	if (failed || !delegation || left_ms <= 0 || delegate_status_is_final(delegation->status))
		return got(call, failed, err);

	waiter = call_park(&call, waited, err);
	if (!waiter)
		return -ENOMEM;

	/* Not here, as for a moment after the start: the time will tell. */
	(void)outbox_await_end(outbox, delegation->id, waiter);
	call_set_deadline(call, left_ms);
	return CALL_PARKED;
}

static int delegation_wait(struct call *call, struct error *err)
{
	return look_up(call, wait_looked_up, err);
}

static int listed(struct call *call, const struct error *failed, struct error *err)
{
	const struct delegations *rows = &call->workspace->outbox->told;
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_open(out, "delegations", '[');
	for (size_t i = 0; i < rows->n; i++)
		status_write_delegation(out, NULL, NULL, &rows->rows[i]);
	writer_close(out, ']');
	writer_close(out, '}');
	return 0;
}

static int read_status(const struct call *call, enum delegate_status *ret, struct error *err)
{
	char text[32];
	int r;

	r = call_text(call, LIST_STATUS, text, sizeof(text), err);
	if (r < 0)
		return r;

	if (!delegate_status_parse(text, ret))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "status must be pending, delegated, dispatched, queued, "
				 "completed, failed or unknown");
	return 0;
}

static int delegation_list(struct call *call, struct error *err)
{
	struct outbox *outbox = outbox_of(call, err);
	struct outbox_selection selection = { .limit = LIST_DEFAULT };
	enum delegate_status status;
	char before[UUID_LEN + 1];
	struct waiter *waiter;
	int r = 0;

	if (!outbox)
		return -EIO;

	if (arg_given(&call->args[LIST_STATUS])) {
		selection.status = &status;
		r = read_status(call, &status, err);
	}
	if (r == 0 && arg_given(&call->args[LIST_BEFORE])) {
		selection.before = before;
		r = read_id(call, LIST_BEFORE, before, err);
	}
	if (r < 0)
		return r;

	if (arg_given(&call->args[LIST_LIMIT]))
		selection.limit = (size_t)call->args[LIST_LIMIT].integer;
	waiter = call_park(&call, listed, err);
	if (!waiter)
		return -ENOMEM;

	r = outbox_list(outbox, &selection, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

#define THE_DELEGATION                                                          \
	{                                                                       \
		"delegation_id", FIELD_STRING, FIELD_REQUIRED, .help = "its id" \
	}
#define A_DELEGATION                                                                         \
	FIELDS({ "delegation_id", FIELD_STRING, .help = "its id, from here" },               \
	       { "to", FIELD_STRING, .help = "the id of whom it is for" },                   \
	       { "status", FIELD_STRING, .help = "how far it is" },                          \
	       { "created_at", FIELD_TIME, .help = "when it was accepted" },                 \
	       { "updated_at", FIELD_TIME, .help = "when its status has changed last" },     \
	       { "preview", FIELD_STRING, FIELD_NULLABLE, .help = "how the answer begins" }, \
	       { "error", FIELD_STRING, FIELD_NULLABLE, .help = "why there is none" },       \
	       { "platform_delegation_id", FIELD_STRING, FIELD_NULLABLE,                     \
		 .help = "what the platform calls it, once it has it" })

const struct method methods_delegation[] = {
	{ "delegation.create", POLICY_USE, delegation_create,
	  "hand somebody a task, which the platform then delivers",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "to", FIELD_STRING, FIELD_REQUIRED, .help = "id, or a name only one has" },
		 { "task", FIELD_STRING, FIELD_REQUIRED, .help = "what is to be done" },
		 { "idempotency_key", FIELD_STRING,
		   .help = "the same key again is the same delegation; at most 200 bytes" }),
	  FIELDS({ "delegation_id", FIELD_STRING, .help = "its id, from here" },
		 { "status", FIELD_STRING, .help = "how far it is" },
		 { "idempotency_key", FIELD_STRING, .help = "the one given, or a random one" },
		 { "duplicate", FIELD_BOOLEAN, .help = "whether that key was there before" },
		 { "error", FIELD_STRING, FIELD_NULLABLE,
		   .help = "why, when it has failed already" }) },
	{ "delegation.get", POLICY_READ, delegation_get, "say what has become of a delegation",
	  FIELDS(FIELD_THE_WORKSPACE, THE_DELEGATION), A_DELEGATION },
	{ "delegation.list", POLICY_READ, delegation_list, "list delegations, newest first",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "status", FIELD_STRING, .help = "only those that are that far" },
		 { "limit", FIELD_INTEGER, .min = 1, .max = OUTBOX_LIST_MAX,
		   .help = "how many at most; 50 when left out" },
		 { "before", FIELD_STRING,
		   .help = "the id of one: only those older than it, to go on with the list" }),
	  FIELDS({ "delegations", FIELD_OBJECTS, .help = "each as delegation.get" }) },
	{ "delegation.wait", POLICY_READ, delegation_wait, "wait until a delegation ends",
	  FIELDS(FIELD_THE_WORKSPACE, THE_DELEGATION,
		 { "wait_ms", FIELD_INTEGER, FIELD_REQUIRED, .max = WAIT_MAX_MS,
		   .help = "for how long" }),
	  A_DELEGATION },
	{ 0 },
};
