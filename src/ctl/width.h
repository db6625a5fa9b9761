/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * UTF-8 on a terminal: which characters may be shown, and how many columns
 * they take. It has tables of its own, because wcwidth() knows only what the
 * locale knows, and names from elsewhere do not care for our locale.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one character; returns its length in bytes, 1 with *ret_char U+FFFD for
 * a byte that is no UTF-8. len is at least 1.
 */
size_t utf8_next(const char *text, size_t len, uint32_t *ret_char);

/* Whether a terminal may be given it: no control, nothing that turns the direction. */
bool width_is_safe(uint32_t c);

unsigned width_of_char(uint32_t c); /* 0, 1 or 2 columns */
unsigned width_of(const char *text, size_t len);
