/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the daemon tells its operator: one line an event, with fields that
 * machines can filter by. Where lines go is the sink's business; base knows
 * only the one that writes level-prefixed lines to standard error.
 *
 * No line may hold a secret, a token, or text from outside that was not quoted.
 */

#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "base/util.h"

#define LOG_LINE_MAX 1024 /* longer messages are cut; below PIPE_BUF, so that lines stay whole */

struct log_record {
	int level;              /* LOG_EMERG .. LOG_DEBUG */
	const char *message;    /* one line, no newline */
	const char *workspace;  /* name of the workspace it is about, or NULL */
	const char *event;      /* a word: MOLECULE_EVENT=, or NULL */
	const char *message_id; /* 32 hex digits for what one would alert on, or NULL */
	const char *extra;      /* further "FIELD=value" fields, newline between them, or NULL */
};

/* Must not block. Returns 0, or -errno when the record was lost. */
typedef int (*log_sink_fn)(const struct log_record *record);

/* Until a sink is set, records go to standard error. NULL sets that one again. */
void log_set_sink(log_sink_fn sink);
void log_set_level(int level);
int log_level(void);

/* How many records the sink has lost so far: a number for a metric. */
uint64_t log_lost(void);

void log_write(const struct log_record *record);

void log_text(int level, const char *format, ...) PRINTF(2, 3);

/* About a workspace, with an event word; message_id may be NULL. */
void log_event(int level, const char *workspace, const char *event, const char *message_id,
	       const char *format, ...) PRINTF(5, 6);

#define log_error(...) log_text(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_text(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_text(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_text(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_text(LOG_DEBUG, __VA_ARGS__)
