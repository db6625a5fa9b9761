/* SPDX-License-Identifier: MIT */
/*
 * POST /workspaces/SELF/delegate, and reading GET /workspaces/SELF/delegations.
 */

#include "platform/delegate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jsontext.h"

#define CUT "\xef\xbf\xbd" /* U+FFFD, which stands where a character was cut in two */

const char *delegate_status_name(enum delegate_status status)
{
	switch (status) {
	case DELEGATE_PENDING:
		return "pending";
	case DELEGATE_DELEGATED:
		return "delegated";
	case DELEGATE_DISPATCHED:
		return "dispatched";
	case DELEGATE_QUEUED:
		return "queued";
	case DELEGATE_UNKNOWN:
		return "unknown";
	case DELEGATE_FAILED:
		return "failed";
	case DELEGATE_COMPLETED:
		return "completed";
	}
	return "?";
}

bool delegate_status_parse(const char *name, enum delegate_status *ret)
{
	for (int status = 0; status <= DELEGATE_STATUS_LAST; status++) {
		if (strcmp(name, delegate_status_name((enum delegate_status)status)) != 0)
			continue;

		*ret = (enum delegate_status)status;
		return true;
	}

	return false;
}

bool delegate_status_is_final(enum delegate_status status)
{
	return status >= DELEGATE_UNKNOWN;
}

static enum delegate_status further(enum delegate_status a, enum delegate_status b)
{
	return a > b ? a : b;
}

/* The platform's own word. What it calls pending has left us. */
static bool status_of(const struct json_object *object, enum delegate_status *ret)
{
	const char *name = json_get_string(object, "status");

	if (!name || !delegate_status_parse(name, ret) || *ret == DELEGATE_UNKNOWN)
		return false;

	*ret = further(*ret, DELEGATE_DELEGATED);
	return true;
}

static void write_member(struct buffer *body, char before, const char *name, const char *text,
			 size_t len)
{
	(void)buffer_printf(body, "%c\"%s\":", before, name);
	(void)json_write_string(body, text, len);
}

static int write_body(struct buffer *body, const char *target, const char *task, size_t task_len,
		      const char *key)
{
	write_member(body, '{', "target_id", target, strlen(target));
	write_member(body, ',', "task", task, task_len);
	write_member(body, ',', "idempotency_key", key, strlen(key));
	return buffer_append_char(body, '}');
}

int delegate_measure(const char *target, const char *task, size_t task_len, const char *key,
		     size_t *ret, struct error *err)
{
	/* A character may take six. */
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(6 * task_len + 4096);
	int r;

	r = write_body(&body, target, task, task_len, key);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "no memory for a task of %zu bytes",
				 task_len);

	*ret = buffer_len(&body);
	return 0;
}

int delegate_post(struct platform_call *call, struct platform *platform,
		  const struct delegate_order *order, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(DELEGATE_BODY_MAX);
	char path[96], what[160];
	int r;

	(void)snprintf(path, sizeof(path), "/workspaces/%s/delegate", order->source);
	(void)snprintf(what, sizeof(what), "delegate a task of %s to %s", order->name,
		       order->target);
	r = write_body(&body, order->target, order->task, order->task_len, order->key);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot %s: %m", what);

	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = order->class,
					   .method = "POST",
					   .path = path,
					   .what = what,
					   .id = order->source,
					   .token = order->token,
					   .body = buffer_at(&body),
					   .body_len = buffer_len(&body),
				   },
				   err);
}

/* An id that we would keep. */
static const char *id_of(const struct json_object *object)
{
	const char *id = json_get_string(object, "delegation_id");

	return id && id[0] && strlen(id) <= DELEGATE_ID_MAX ? id : NULL;
}

bool delegate_posted(const struct platform_reply *reply, const char **ret_id,
		     enum delegate_status *ret_status)
{
	const char *id = id_of(reply->json);

	if (!id)
		return false;

	*ret_id = id;
	if (!status_of(reply->json, ret_status))
		*ret_status = DELEGATE_DELEGATED;
	return true;
}

static int list(struct platform_call *call, struct platform *platform,
		const struct delegate_order *order, const char *path, struct error *err)
{
	char what[160];

	(void)snprintf(what, sizeof(what), "list the delegations of %s", order->name);
	return platform_call_start(call, platform,
				   &(struct platform_spec){
					   .class = order->class,
					   .method = "GET",
					   .path = path,
					   .what = what,
					   .id = order->source,
					   .token = order->token,
					   .max_body = DELEGATE_LIST_MAX,
				   },
				   err);
}

int delegate_list(struct platform_call *call, struct platform *platform,
		  const struct delegate_order *order, struct error *err)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/delegations", order->source);
	return list(call, platform, order, path, err);
}

int delegate_list_more(struct platform_call *call, struct platform *platform,
		       const struct delegate_order *order, struct error *err)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/activity?type=delegation&limit=%d",
		       order->source, DELEGATE_LOGGED);
	return list(call, platform, order, path, err);
}

bool delegate_list_is_full(const struct platform_reply *reply)
{
	return json_object_is_type(reply->json, json_type_array) &&
	       json_object_array_length(reply->json) >= DELEGATE_LISTED;
}

/* false for one that says nothing. The log has names of its own for the same. */
static bool read_row(const struct json_object *row, struct delegate_row *ret)
{
	const struct json_object *asked = json_get_object(row, "request_body");
	const struct json_object *answered = json_get_object(row, "response_body");

	*ret = (struct delegate_row){
		.id = id_of(row),
		.preview = json_get_string(row, "response_preview"),
		.error = json_get_string(row, "error"),
	};
	if (!ret->id && asked)
		ret->id = id_of(asked);
	if (!ret->id && answered)
		ret->id = id_of(answered);
	if (!ret->preview && answered)
		ret->preview = json_get_string(answered, "text");
	if (!ret->error)
		ret->error = json_get_string(row, "error_detail");
	return ret->id && status_of(row, &ret->status);
}

int delegate_rows(const struct platform_reply *reply, struct delegate_row *rows, size_t max)
{
	size_t n, count = 0;

	if (!json_object_is_type(reply->json, json_type_array))
		return -1;

	n = json_object_array_length(reply->json);
	for (size_t i = 0; i < n && count < max; i++) {
		if (read_row(json_object_array_get_idx(reply->json, i), &rows[count]))
			count++;
	}

	return (int)count;
}

bool delegate_rows_find(const struct delegate_row *rows, size_t n, const char *id,
			struct delegate_row *ret)
{
	struct delegate_row sum = { NULL };

	for (size_t i = 0; i < n; i++) {
		const struct delegate_row *row = &rows[i];

		if (strcmp(row->id, id) != 0)
			continue;

		sum.id = row->id;
		sum.status = further(sum.status, row->status);
		sum.preview = sum.preview ? sum.preview : row->preview;
		sum.error = sum.error ? sum.error : row->error;
	}

	if (!sum.id)
		return false;

	/* What went wrong on the way is of no interest when all went well. */
	if (sum.status == DELEGATE_COMPLETED)
		sum.error = NULL;
	*ret = sum;
	return true;
}

/* How much of it to keep, if it must not be longer than max: whole characters only. */
static size_t whole_characters(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;

	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* Without the halves of characters that stand before the dots of something cut short. */
static size_t without_halves(const char *text, size_t len, size_t *ret_dots)
{
	size_t mark = strlen(CUT), whole;

	*ret_dots = len >= 3 && memcmp(text + len - 3, "...", 3) == 0 ? 3 : 0;
	whole = len - *ret_dots;
	while (*ret_dots && whole >= mark && memcmp(text + whole - mark, CUT, mark) == 0)
		whole -= mark;
	return whole;
}

char *delegate_text_dup(const char *text)
{
	size_t len = strlen(text), dots, whole;
	char *copy = NULL;

	if (len > DELEGATE_TEXT_MAX) {
		whole = whole_characters(text, len, DELEGATE_TEXT_MAX - 3);
		dots = 3;
	} else {
		whole = without_halves(text, len, &dots);
	}

	if (asprintf(&copy, "%.*s%s", (int)whole, text, dots ? "..." : "") < 0)
		return NULL;
	return copy;
}
