/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What local processes say about a workspace, added up: that is what its
 * heartbeat says. A share belongs to one reporting connection, and goes with it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define REPORT_TEXT_MAX 1024 /* bytes of current_task, of sample_error */

struct report_share {
	struct list node;
	bool has_task, has_error;
	int32_t active_tasks;
	double error_rate;
	char current_task[REPORT_TEXT_MAX + 1];
	char sample_error[REPORT_TEXT_MAX + 1];
	bool wedged; /* runtime_state "wedged" */
};

struct report {
	int32_t active_tasks;      /* added */
	double error_rate;         /* the maximum */
	const char *current_task;  /* the newest non-empty one; borrowed */
	const char *sample_error;  /* of the share with the highest error rate; borrowed */
	const char *runtime_state; /* "wedged", or "" */
};

struct reporter {
	struct list shares; /* newest last */
};

void reporter_init(struct reporter *reporter);
/* Puts a share (back) in as the newest; the reporter only borrows it. */
void reporter_put(struct reporter *reporter, struct report_share *share);
void reporter_withdraw(struct report_share *share); /* takes one that is not in */
struct report reporter_sum(const struct reporter *reporter);
