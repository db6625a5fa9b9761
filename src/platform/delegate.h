/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Delegations: handing the platform a task for somebody else, and reading what
 * it says has become of those it was handed.
 *
 * It lists two rows for one delegation: what was asked, and what came of it. A
 * reader takes from both what goes furthest (delegate_rows_find()). Of a failure
 * the second row has no id, but the first one tells too.
 */

#include <stdbool.h>
#include <stddef.h>

#include "platform/platform.h"

/* The platform cuts what it passes on at a megabyte, without a word. */
#define DELEGATE_BODY_MAX ((size_t)1 << 20)
#define DELEGATE_ID_MAX 64     /* bytes of an id that the platform gives */
#define DELEGATE_TEXT_MAX 1024 /* bytes of a preview or an error that are kept */
#define DELEGATE_LISTED 50     /* rows of the platform's list */
#define DELEGATE_LOGGED 500    /* of its log, at most */
#define DELEGATE_ROWS_MAX 512  /* of one list; the platform gives 50 */
#define DELEGATE_LIST_MAX (4u << 20)

/* In the order in which a delegation gets there: it never goes back. */
enum delegate_status {
	DELEGATE_PENDING,    /* the platform does not have it yet: our word */
	DELEGATE_DELEGATED,  /* it has; its own word is "pending" here, too */
	DELEGATE_DISPATCHED, /* it is calling the target */
	DELEGATE_QUEUED,     /* the target is busy: it will be called again */
	DELEGATE_UNKNOWN,    /* nobody can tell any more: our word */
	DELEGATE_FAILED,
	DELEGATE_COMPLETED,
	DELEGATE_STATUS_LAST = DELEGATE_COMPLETED,
};

const char *delegate_status_name(enum delegate_status status);
/* false for a word that is none of these. */
bool delegate_status_parse(const char *name, enum delegate_status *ret);
/* Whether nothing more comes after it. */
bool delegate_status_is_final(enum delegate_status status);

/* Everything is borrowed. */
struct delegate_order {
	const char *source, *name; /* the workspace: its id, and what we call it */
	const char *token;
	const char *target; /* an id */
	const char *task;
	size_t task_len;
	const char *key;
	enum platform_class class;
};

/* How long the request's body would be: it must not be more than DELEGATE_BODY_MAX. */
int delegate_measure(const char *target, const char *task, size_t task_len, const char *key,
		     size_t *ret, struct error *err);
int delegate_post(struct platform_call *call, struct platform *platform,
		  const struct delegate_order *order, struct error *err);
/*
 * What the platform calls it (borrowed from the reply), and how far it is. false
 * when the reply does not tell. One that was posted before under the same key
 * is no different.
 */
bool delegate_posted(const struct platform_reply *reply, const char **ret_id,
		     enum delegate_status *ret_status);

int delegate_list(struct platform_call *call, struct platform *platform,
		  const struct delegate_order *order, struct error *err);
/*
 * The same out of the activity log, which goes back ten times as far and repeats
 * each task: for what the list does not have.
 */
int delegate_list_more(struct platform_call *call, struct platform *platform,
		       const struct delegate_order *order, struct error *err);

/* One row of the list; texts are borrowed from the reply. */
struct delegate_row {
	const char *id; /* the delegation's */
	enum delegate_status status;
	const char *preview, *error; /* or NULL */
};

/*
 * Those of either list that say something of a delegation that has an id; -1
 * when the reply is no list.
 */
int delegate_rows(const struct platform_reply *reply, struct delegate_row *rows, size_t max);
/* Whether the list may have left some out for want of room. */
bool delegate_list_is_full(const struct platform_reply *reply);
/* What they say of one, taken together; false when they do not have it. */
bool delegate_rows_find(const struct delegate_row *rows, size_t n, const char *id,
			struct delegate_row *ret);

/* A copy of what the platform quoted, cut to DELEGATE_TEXT_MAX and at whole characters. */
char *delegate_text_dup(const char *text);
