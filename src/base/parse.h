/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strict readers for the small texts that people and servers write: numbers,
 * durations, sizes, ids, times. Each takes the whole text or nothing and
 * returns 0 or -EINVAL (-ERANGE when the form is right and the value is not).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_LEN 36
#define TIME_TEXT_SIZE 25 /* "2026-11-20T12:34:56.789Z" and a NUL */

int parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret);
int parse_bool(const char *text, bool *ret); /* yes no true false on off 1 0 */

/* "500ms", "30s", "5min", "2h", "1d", or a sum: "1min 30s". A unit is required, but for 0. */
int parse_duration_ms(const char *text, int64_t *ret_ms);

/* "4096", "64K", "1M", "2G": powers of 1024. */
int parse_size(const char *text, uint64_t *ret);

/* A UUID in either case; dst gets it in lower case with a NUL. */
int parse_uuid(const char *text, char dst[static UUID_LEN + 1]);

/*
 * A token as the platform gives them out: 8 to 512 visible ASCII characters,
 * no white space, and not the marker that a read-only dialog shows in place of
 * a token (ROTATE_TO_REVEAL_TOKEN).
 */
int parse_token(const char *text, size_t len);

/*
 * The value of a Retry-After header: seconds, or an HTTP date (RFC 9110 10.2.3).
 * now_s is the wall clock. A date in the past is 0; what is larger than max_ms
 * is max_ms.
 */
int parse_retry_after(const char *text, size_t len, int64_t now_s, int64_t max_ms, int64_t *ret_ms);

/* RFC 3339 UTC with milliseconds; returns dst. */
char *format_time(char dst[static TIME_TEXT_SIZE], int64_t unix_ms);

/* "2min 30s", for people; returns dst. */
char *format_duration(char *dst, size_t dst_size, int64_t ms);
