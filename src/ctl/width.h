/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How many columns of a terminal text takes. It has tables of its own, because
 * wcwidth() knows only what the locale knows, and names from elsewhere do not
 * care for our locale.
 */

#include <stddef.h>
#include <stdint.h>

unsigned width_of_char(uint32_t c); /* 0, 1 or 2 columns */
unsigned width_of(const char *text, size_t len);
