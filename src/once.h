/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * --once: lets every workspace join, send one heartbeat and look at its state,
 * and then is done. For timers, and to try out a configuration.
 */

#include "agent/agent.h"

/*
 * Runs the agent's loop. 0 when all are well or paused, 10 or 11 when one whose
 * reaction is `exit` was paused or deleted, else 1; each that is not well is
 * logged. Ended by SIGTERM or SIGINT with 1.
 */
int once_run(struct agent *agent);
