/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The part of the file system that a setup.sh has: see helper/setup-sandbox.h.
 */

#include "base/error.h"

/* 0: there is none. */
int setup_landlock_version(void);
/* version: not 0. Both directories can be written in. */
int setup_landlock_enter(int version, int tree, int temporary, struct error *err);
