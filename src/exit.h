/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * With what the daemon exits; molecule-agentd(8) promises these, and the unit
 * does not restart on some.
 */

enum daemon_exit {
	DAEMON_STOPPED = 0,
	DAEMON_FAILED = 1,
	DAEMON_PAUSED = 10,  /* a workspace with on_pause = exit was paused */
	DAEMON_DELETED = 11, /* one with on_delete = exit was deleted */
	DAEMON_USAGE = 64,
	DAEMON_CONFIG = 78,
};
