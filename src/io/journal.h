/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal's native protocol as a log sink: a datagram that is sent or lost,
 * where sd_journal_send() would wait for a journal that hangs.
 */

#include <stdbool.h>

#include "base/log.h"

/* True when standard error is the journal's, so that the sink should be used. */
bool journal_is_ours(void);

int journal_sink(const struct log_record *record);

/* Another socket than journald's; borrowed. NULL: journald's again. */
void journal_set_socket(const char *path);
