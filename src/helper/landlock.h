/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Landlock, where the kernel has it: of the file system only one directory, of
 * the network nothing.
 */

#include <stdbool.h>

#include "base/error.h"

/*
 * moves: directories may change their parent, which the first version of
 * Landlock could not allow: there it is left out. links: symbolic links may be
 * made. directory < 0: no file at all.
 */
int landlock_confine(int directory, bool moves, bool links, struct error *err);
