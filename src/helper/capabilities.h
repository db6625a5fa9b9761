/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What root's programs may do beyond others, given up for good.
 */

/* 0, or -1 with errno. */
int capabilities_drop(void);
