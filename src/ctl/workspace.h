/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the daemon says of a workspace (the result of workspace.status), in a
 * line and in an exit status.
 */

#include "base/jsontext.h"
#include "ctl/ctl.h"

/* "laptop: online  (token stored, heartbeat every 30s)" and the last error, if any. */
void workspace_put_line(struct ctl *ctl, struct json_text status);

/* Its name, or its id when it has none. */
void workspace_show_name(struct buffer *out, struct json_text status);

/* "online", and in brackets what the platform calls it when that differs. */
void workspace_show_state(struct buffer *out, struct json_text status);

/* 0 when it is online or degraded. */
int workspace_exit_status(struct json_text state);
