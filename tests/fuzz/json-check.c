/* SPDX-License-Identifier: MIT */
/*
 * Says of each line of standard input, which is a text in hexadecimal, whether
 * it is JSON: "ok" or "bad". Hexadecimal, so that a text can hold any byte.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/jsonscan.h"

static int value_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* In place; the number of bytes, or -1. */
static ssize_t from_hex(char *line, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		int high = value_of(line[i]), low = value_of(line[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		line[i / 2] = (char)(high << 4 | low);
	}

	return len % 2 ? -1 : (ssize_t)(len / 2);
}

int main(void)
{
	size_t size = 0;
	char *line = NULL;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) >= 0) {
		if (len && line[len - 1] == '\n')
			len--;
		len = from_hex(line, (size_t)len);
		if (len < 0) {
			(void)fprintf(stderr, "json-check: a line is not hexadecimal\n");
			return 1;
		}
		(void)puts(json_check(line, (size_t)len, JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) == 0
				   ? "ok"
				   : "bad");
	}

	free(line);
	return 0;
}
