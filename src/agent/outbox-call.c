/* SPDX-License-Identifier: MIT */
/*
 * What is asked of an outbox: to take a delegation, and to tell of those it has
 * taken.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/outbox-private.h"
#include "base/log.h"
#include "base/unique.h"

/* --- creating --- */

static void on_created(struct outbox_job *job, const struct error *err)
{
	struct outbox *outbox = job->owner;
	struct outbox_entry *entry;

	outbox->n_unwritten--;
	outbox->unwritten_len -= job->task_len;
	if (err) {
		waiters_call(&job->waiters, err);
		return;
	}

	if (job->duplicate) {
		outbox->told_duplicate = true;
		outbox_tell_rows(outbox, &job->waiters, &job->row, 1);
		return;
	}

	entry = outbox_entry_new(outbox, &job->row);
	if (!entry) {
		/* It is on disk: the next start sends it. */
		log_event(LOG_WARNING, outbox->member->settings->name, "delegation_delayed", NULL,
			  "no memory to send delegation %s before the next start", job->row.id);
		outbox_tell_rows(outbox, &job->waiters, &job->row, 1);
		return;
	}

	outbox->events->on_updated(outbox->data, &entry->row);
	if (*outbox->member->state == LIFECYCLE_REMOVED)
		outbox_give_up(entry);
	else
		outbox_send_first(entry);
	outbox_tell(entry, &job->waiters);
}

static size_t count_open(const struct outbox *outbox)
{
	size_t n = outbox->n_unwritten;

	for (int status = 0; status <= DELEGATE_STATUS_LAST; status++)
		n += outbox->n_open[status];
	return n;
}

static int check_room(const struct outbox *outbox, const struct outbox_order *order,
		      struct error *err)
{
	if (count_open(outbox) >= OUTBOX_OPEN_MAX)
		return error_set(err, ERROR_OVERLOADED, EBUSY,
				 "%s has %d delegations that have not ended; wait for some of them",
				 outbox->member->settings->name, OUTBOX_OPEN_MAX);

	if (outbox->unwritten_len + order->task_len > OUTBOX_UNWRITTEN_MAX)
		return error_set(err, ERROR_OVERLOADED, EBUSY,
				 "the disk has yet to take %zu bytes of tasks of %s",
				 outbox->unwritten_len, outbox->member->settings->name);

	return 0;
}

static int fill_row(struct delegation *row, const struct outbox_order *order, struct error *err)
{
	char key[UNIQUE_KEY_LEN + 1];
	int r;

	r = unique_uuid(row->id);
	if (r == 0)
		r = unique_key(key);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "the kernel has no random numbers: %m");

	row->key = strdup(order->key ? order->key : key);
	if (!row->key)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a delegation");

	(void)snprintf(row->to, sizeof(row->to), "%s", order->to);
	row->status = DELEGATE_PENDING;
	row->created_wall_ms = row->updated_wall_ms = wall_now_ms();
	return 0;
}

static int check_size(const struct delegation *row, const struct outbox_order *order,
		      struct error *err)
{
	size_t len;
	int r;

	r = delegate_measure(row->to, order->task, order->task_len, row->key, &len, err);
	if (r < 0)
		return r;

	if (len > DELEGATE_BODY_MAX)
		return error_set(err, ERROR_TOO_LARGE, EMSGSIZE,
				 "the task is too long: in JSON it has %zu bytes, and the platform "
				 "takes %zu with all that goes with it",
				 len, DELEGATE_BODY_MAX);

	return 0;
}

static struct outbox_job *job_new(struct outbox *outbox, enum outbox_job_kind kind,
				  outbox_job_fn on_done, struct error *err)
{
	struct outbox_job *job = outbox_job_new(kind, outbox, on_done);

	if (job)
		job->workspace = workspace_settings_key(outbox->member->settings);
	else
		(void)error_set(err, ERROR_INTERNAL, ENOMEM,
				"no memory to ask for the delegations of %s",
				outbox->member->settings->name);
	return job;
}

/* The waiter joins only what was taken. */
static int job_submit(struct outbox_job *job, struct waiter *waiter, struct error *err)
{
	struct outbox *outbox = job->owner;
	int r;

	r = outbox_job_submit(job, outbox->member->context->store, &outbox->jobs, err);
	if (r < 0)
		return r;

	list_append(&job->waiters, &waiter->node);
	return 0;
}

static int fill_order(struct outbox_job *job, const struct outbox_order *order, struct error *err)
{
	int r;

	r = fill_row(&job->row, order, err);
	if (r == 0)
		r = check_size(&job->row, order, err);
	if (r < 0)
		return r;

	job->task = malloc(order->task_len + 1);
	if (!job->task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a task of %zu bytes",
				 order->task_len);

	memcpy(job->task, order->task, order->task_len);
	job->task[order->task_len] = '\0';
	job->task_len = order->task_len;
	return 0;
}

int outbox_create(struct outbox *outbox, const struct outbox_order *order, struct waiter *waiter,
		  struct error *err)
{
	struct outbox_job *job;
	int r;

	r = check_room(outbox, order, err);
	if (r < 0)
		return r;

	job = job_new(outbox, OUTBOX_INSERT, on_created, err);
	if (!job)
		return -ENOMEM;

	r = fill_order(job, order, err);
	if (r < 0) {
		outbox_job_free(job);
		return r;
	}

	r = job_submit(job, waiter, err);
	if (r < 0)
		return r;

	outbox->n_unwritten++;
	outbox->unwritten_len += order->task_len;
	return 0;
}

/* --- asking --- */

static void on_found(struct outbox_job *job, const struct error *err)
{
	if (err)
		waiters_call(&job->waiters, err);
	else
		outbox_tell_rows(job->owner, &job->waiters, job->found.rows, job->found.n);
}

int outbox_find(struct outbox *outbox, const char *id, struct waiter *waiter, struct error *err)
{
	struct outbox_job *job = job_new(outbox, OUTBOX_FIND, on_found, err);

	if (!job)
		return -ENOMEM;

	(void)snprintf(job->row.id, sizeof(job->row.id), "%s", id);
	return job_submit(job, waiter, err);
}

int outbox_list(struct outbox *outbox, const struct outbox_selection *selection,
		struct waiter *waiter, struct error *err)
{
	struct outbox_job *job = job_new(outbox, OUTBOX_LIST, on_found, err);

	if (!job)
		return -ENOMEM;

	job->limit = MIN(selection->limit, (size_t)OUTBOX_LIST_MAX);
	job->by_status = selection->status != NULL;
	if (selection->status)
		job->row.status = *selection->status;
	if (selection->before)
		(void)snprintf(job->row.id, sizeof(job->row.id), "%s", selection->before);
	return job_submit(job, waiter, err);
}

const struct delegation *outbox_look(const struct outbox *outbox, const char *id)
{
	const struct outbox_entry *entry = outbox_entry(outbox, id);

	return entry ? &entry->row : NULL;
}

bool outbox_await_try(struct outbox *outbox, const char *id, struct waiter *waiter)
{
	struct outbox_entry *entry = outbox_entry(outbox, id);

	if (!entry || !entry->sending)
		return false;

	list_append(&entry->tried, &waiter->node);
	return true;
}

bool outbox_await_end(struct outbox *outbox, const char *id, struct waiter *waiter)
{
	struct outbox_entry *entry = outbox_entry(outbox, id);

	if (!entry)
		return false;

	list_append(&entry->ended, &waiter->node);
	outbox_follow(outbox, false);
	return true;
}

void outbox_each(const struct outbox *outbox,
		 void (*visit)(const struct delegation *delegation, void *data), void *data)
{
	list_for_each (node, &outbox->entries)
		visit(&list_entry(node, struct outbox_entry, node)->row, data);
}
