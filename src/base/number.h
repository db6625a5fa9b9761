/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers with a point, as JSON, C and OpenMetrics write them, whatever the
 * locale thinks of points.
 */

#include <stddef.h>

#define NUMBER_TEXT_SIZE 32

/* The shortest text that reads back as the same number; "NaN", "+Inf", "-Inf". Returns dst. */
char *number_format(char dst[static NUMBER_TEXT_SIZE], double value);

/* The text must have the form of a JSON number. 0, or -ERANGE when it is too large. */
int number_parse(const char *text, double *ret);
