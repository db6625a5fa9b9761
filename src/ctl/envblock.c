/* SPDX-License-Identifier: MIT */
/*
 * Shell assignments, read without a shell.
 */

#include "ctl/envblock.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name_char(char c, bool first)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_')
		return true;

	return !first && c >= '0' && c <= '9';
}

bool env_is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_name_char(name[i], i == 0))
			return false;

	return len > 0;
}

struct envblock envblock(const char *text, size_t len)
{
	/* Some editors put a byte order mark before everything. */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}

	return (struct envblock){ .at = text, .end = text + len, .line = 1 };
}

static bool at_end(const struct envblock *block)
{
	return block->at == block->end || *block->at == '\n';
}

static void skip_blanks(struct envblock *block)
{
	while (!at_end(block) && is_blank(*block->at))
		block->at++;
}

static void next_line(struct envblock *block)
{
	while (!at_end(block))
		block->at++;
	if (block->at < block->end)
		block->at++;
	block->line++;
	block->in_line = false;
}

static bool take_word(struct envblock *block, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(block->end - block->at) <= len || memcmp(block->at, word, len) != 0 ||
	    !is_blank(block->at[len]))
		return false;

	block->at += len;
	skip_blanks(block);
	return true;
}

/* "NAME=" */
static bool take_name(struct envblock *block, struct assignment *ret)
{
	const char *at = block->at;
	size_t len;

	while (at < block->end && is_name_char(*at, at == block->at))
		at++;

	len = (size_t)(at - block->at);
	if (!len || len > ENV_NAME_MAX || at == block->end || *at != '=')
		return false;

	memcpy(ret->name, block->at, len);
	ret->name[len] = '\0';
	ret->line = block->line;
	block->at = at + 1;
	return true;
}

static const char *take_single_quoted(struct envblock *block, struct buffer *value)
{
	for (; !at_end(block); block->at++) {
		if (*block->at == '\'') {
			block->at++;
			return NULL;
		}
		(void)buffer_append_char(value, *block->at);
	}

	return "a quote is not closed";
}

static bool expands(char c)
{
	return c == '$' || c == '`';
}

static const char *take_double_quoted(struct envblock *block, struct buffer *value)
{
	for (; !at_end(block); block->at++) {
		if (*block->at == '"') {
			block->at++;
			return NULL;
		}
		if (expands(*block->at))
			return "it has a shell expansion, which is not done here";
		if (*block->at == '\\' && block->at + 1 < block->end &&
		    strchr("\"\\$`", block->at[1]))
			block->at++;
		(void)buffer_append_char(value, *block->at);
	}

	return "a quote is not closed";
}

/* One character outside of quotes, or one quoted string. */
static const char *take_piece(struct envblock *block, struct buffer *value)
{
	char c = *block->at++;

	if (c == '\'')
		return take_single_quoted(block, value);
	if (c == '"')
		return take_double_quoted(block, value);
	if (expands(c))
		return "it has a shell expansion, which is not done here";
	/* A backslash at the end of a line joins it to the next. */
	if (c == '\\') {
		if (at_end(block))
			return NULL;
		c = *block->at++;
	}

	(void)buffer_append_char(value, c);
	return NULL;
}

static const char *take_value(struct envblock *block, struct buffer *value)
{
	const char *why = NULL;

	while (!why && !at_end(block) && !is_blank(*block->at) && !strchr(";&|", *block->at))
		why = take_piece(block, value);

	return why;
}

bool envblock_next(struct envblock *block, struct assignment *ret, struct buffer *value)
{
	buffer_reset(value);
	while (block->at < block->end) {
		skip_blanks(block);
		if (!block->in_line)
			(void)take_word(block, "export");

		if (!take_name(block, ret)) {
			next_line(block);
			continue;
		}

		ret->why = take_value(block, value);
		if (ret->why)
			next_line(block);
		else
			block->in_line = true;
		while (!at_end(block) && *block->at == ';') {
			block->at++;
			block->in_line = false;
		}
		return true;
	}
	return false;
}

int env_write(struct buffer *out, const char *name, size_t name_len, const char *value, size_t len)
{
	if (!env_is_name(name, name_len))
		return -EINVAL;
	if (memchr(value, '\0', len))
		return -EILSEQ;

	(void)buffer_append(out, name, name_len);
	(void)buffer_append_text(out, "='");
	for (size_t i = 0; i < len; i++) {
		/* The quotes end, a quoted quote, the quotes begin again. */
		if (value[i] == '\'')
			(void)buffer_append_text(out, "'\\''");
		else
			(void)buffer_append_char(out, value[i]);
	}
	return buffer_append_text(out, "'\n");
}
