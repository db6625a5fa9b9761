/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Empties a directory, whatever is in it and however deep: no recursion, two
 * descriptors, and no link is ever followed. Each directory that is found below
 * is moved up to the top first, so that everything is emptied from there.
 */

#include "base/error.h"

int sweep(int dirfd, struct error *err);
