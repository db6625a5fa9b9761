/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names that nobody else has ever used, nor can guess: random ones, straight
 * from the kernel. 0, or a negative errno when it has none to give.
 */

#include "base/parse.h"

#define UNIQUE_KEY_LEN 32 /* 128 bits in hexadecimal */

int unique_uuid(char dst[static UUID_LEN + 1]); /* version 4, in lower case */
/* Two of them, for one question to the kernel. */
int unique_uuids(char first[static UUID_LEN + 1], char second[static UUID_LEN + 1]);
int unique_key(char dst[static UNIQUE_KEY_LEN + 1]);
