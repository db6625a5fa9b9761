/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text from outside, a character at a time.
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
bool utf8_is_safe(uint32_t c);
