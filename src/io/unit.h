/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which systemd unit a process belongs to, by its cgroup: for showing. Who may
 * make cgroups of their own chooses their names, and none of them is believed
 * more than the unit that they are in.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define UNIT_NAME_SIZE 256 /* of what is a directory's name */

/* "cron.service"; of a user's process the user's own unit, if it is in one. False: none. */
bool unit_of_process(pid_t pid, char dst[static UNIT_NAME_SIZE]);

/* The same from the text of /proc/PID/cgroup. */
bool unit_of_cgroup(const char *cgroup, char dst[static UNIT_NAME_SIZE]);
