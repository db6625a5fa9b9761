/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which of many hosts this is.
 */

#include <stdint.h>

/*
 * A number that differs from host to host and is the same after each start: for
 * spreading over time what many hosts do. It is no identity, and is told to
 * nobody: it comes from the machine id, which is confidential. Random where
 * there is none, as in some containers.
 */
uint64_t host_number(void);
