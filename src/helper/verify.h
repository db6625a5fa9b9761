/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compares a plugin's tree with the list of what was unpacked, file by file.
 * Nothing is followed and nothing changed.
 */

#include "helper/say.h"

#define VERIFY_DRIFT_MAX 100 /* lines; all are counted */

/* Says what has drifted, and that it is done; or fails, with the reason in the refusal. */
int verify(int staging, struct say *say, struct refusal *refusal);
