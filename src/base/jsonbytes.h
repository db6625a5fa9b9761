/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The loop that JSON spends its time in: the run of plain bytes in a string,
 * eight at a time. Private to the json modules of base.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool json_is_space(char c)
{
	/* Nearly every byte that is asked about is above all of them. */
	return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r');
}

/* Whether a string that begins so can be this text: most names are told apart by that. */
static inline bool json_may_begin(char first, const char *text)
{
	return !text[0] || first == text[0] || first == '\\';
}

static inline bool json_is_plain(char c)
{
	return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

/*
 * The first byte that is a quote, a backslash, a control character or not
 * ASCII. (x - 0x01..01) borrows into a byte's high bit when the byte was zero;
 * the borrow may mark bytes above it wrongly, never below, and the lowest mark
 * is the one that counts.
 */
static inline const char *json_plain_end(const char *at, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;

	while (end - at >= 8) {
		uint64_t word, quote, backslash, marks;

		memcpy(&word, at, sizeof(word));
		quote = word ^ (ones * '"');
		backslash = word ^ (ones * '\\');
		marks = (quote - ones) | (backslash - ones) | (word - ones * 0x20) | word;
		marks &= highs;
		if (marks)
			return at + __builtin_ctzll(marks) / 8;
		at += 8;
	}
#endif
	while (at < end && json_is_plain(*at))
		at++;

	return at;
}

/*
 * In a string that has been checked: the first byte that is a quote or a
 * backslash. Bytes that are not ASCII are left out, the rest is as above.
 */
static inline const char *json_quote_or_escape(const char *at, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;

	while (end - at >= 8) {
		uint64_t word, quote, backslash, marks;

		memcpy(&word, at, sizeof(word));
		quote = word ^ (ones * '"');
		backslash = word ^ (ones * '\\');
		marks = ((quote - ones) | (backslash - ones)) & ~word & highs;
		if (marks)
			return at + __builtin_ctzll(marks) / 8;
		at += 8;
	}
#endif
	while (at < end && *at != '"' && *at != '\\')
		at++;

	return at;
}
