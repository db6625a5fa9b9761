/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What secrets.refresh has to hear from the vault: the names that changed come
 * as an event, before the fetch that brought them is reported as done.
 */

#include <stddef.h>

#include "agent/workspace.h"
#include "rpc/hub.h"

void secrets_note_change(struct hub *hub, const struct workspace *workspace, const char *changed,
			 size_t len);
