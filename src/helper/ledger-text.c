/* SPDX-License-Identifier: MIT */
/*
 * The ledger as text: the file `files`, and the JSON whose digest the SDK makes.
 */

#include "helper/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/parse.h"
#include "helper/pluginfile.h"

#define HEADING "molecule-unpack files 1\n"
#define PIECE 16384
#define LINE_MAX_LEN (2 + 4 + 21 + 65 + POLICY_PATH_MAX + 1)

/* One character of UTF-8 that the policy has passed. */
static uint32_t take_character(const unsigned char **at)
{
	const unsigned char *text = *at;
	int n = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	uint32_t code = n == 1 ? text[0] : text[0] & (0x7fu >> n);

	for (int i = 1; i < n; i++)
		code = code << 6 | (text[i] & 0x3fu);
	*at += n;
	return code;
}

/* As Python's json.dumps() writes it: in ASCII, and no slash escaped. */
static void append_python_string(struct buffer *out, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + len;

	(void)buffer_append_char(out, '"');
	while (at < end) {
		uint32_t code = take_character(&at);

		if (code == '"' || code == '\\')
			(void)buffer_append_char(out, '\\');
		if (code >= ' ' && code <= '~')
			(void)buffer_append_char(out, (char)code);
		else if (code < 0x10000)
			(void)buffer_printf(out, "\\u%04x", code);
		else
			(void)buffer_printf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
					    0xdc00 + (code & 0x3ff));
	}
	(void)buffer_append_char(out, '"');
}

static bool is_in_manifest(const struct ledger *ledger, const struct ledger_entry *entry)
{
	return entry->kind == LEDGER_FILE_KIND &&
	       (entry->path_len != strlen(PLUGINFILE_PATH) ||
		memcmp(ledger_path(ledger, entry), PLUGINFILE_PATH, entry->path_len) != 0);
}

static void digest_buffer(struct sha256 *sha256, struct buffer *text)
{
	sha256_add(sha256, buffer_at(text), buffer_len(text));
	buffer_consume(text, buffer_len(text));
}

int ledger_manifest(const struct ledger *ledger, uint8_t digest[static SHA256_LEN],
		    struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(PIECE);
	const char *between = "[";
	struct sha256 sha256;

	sha256_begin(&sha256);
	(void)buffer_append_char(&text, '[');
	for (size_t i = 0; i < ledger->n_entries && !text.failed; i++) {
		const struct ledger_entry *entry = &ledger->entries[i];
		char hex[SHA256_HEX_SIZE];

		if (!is_in_manifest(ledger, entry))
			continue;
		(void)buffer_append_text(&text, between);
		append_python_string(&text, ledger_path(ledger, entry), entry->path_len);
		(void)buffer_printf(&text, ", \"%s\"]", sha256_hex(hex, entry->sha256));
		digest_buffer(&sha256, &text);
		between = ", [";
	}
	(void)buffer_append_char(&text, ']');
	if (text.failed)
		return error_set(err, ERROR_INTERNAL, -text.failed,
				 "cannot compute the digest of the plugin's files: %m");

	digest_buffer(&sha256, &text);
	sha256_end(&sha256, digest);
	return 0;
}

static int flush(struct buffer *text, int fd)
{
	int r = text->failed ? text->failed : fd_write_all(fd, buffer_at(text), buffer_len(text));

	buffer_consume(text, buffer_len(text));
	return r;
}

int ledger_write(const struct ledger *ledger, int fd, struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(PIECE + LINE_MAX_LEN);
	int r = 0;

	(void)buffer_append_text(&text, HEADING);
	for (size_t i = 0; i < ledger->n_entries && r == 0; i++) {
		const struct ledger_entry *entry = &ledger->entries[i];
		char hex[SHA256_HEX_SIZE];

		if (entry->kind == LEDGER_FILE_KIND)
			(void)buffer_printf(&text, "f %03o %" PRIu64 " %s ", entry->mode,
					    entry->size, sha256_hex(hex, entry->sha256));
		else
			(void)buffer_printf(&text, "d %03o - - ", entry->mode);
		(void)buffer_append(&text, ledger_path(ledger, entry), entry->path_len);
		(void)buffer_append_char(&text, '\n');
		if (buffer_len(&text) >= PIECE || text.failed)
			r = flush(&text, fd);
	}
	if (r == 0)
		r = flush(&text, fd);
	if (r < 0)
		return error_set(err, file_error_kind(-r), -r,
				 "cannot write the list of files: %m");

	return 0;
}

static int malformed(struct error *err)
{
	return error_set(err, ERROR_INTEGRITY, EBADMSG,
			 "the list of the plugin's files is damaged: install the plugin anew");
}

/* Ends the first word of line and steps behind it; NULL when there is none. */
static char *take_word(char **line)
{
	char *word = *line, *space = strchr(word, ' ');

	if (!space || space == word)
		return NULL;
	*space = '\0';
	*line = space + 1;
	return word;
}

static int parse_line(struct ledger *ledger, char *line, struct error *err)
{
	char *kind = take_word(&line), *mode = kind ? take_word(&line) : NULL;
	char *size = mode ? take_word(&line) : NULL, *hex = size ? take_word(&line) : NULL;
	struct refusal refusal = { 0 };
	struct ledger_entry *entry;
	const char *path;
	size_t len;
	int64_t bytes;
	bool dir;

	if (!hex || strlen(kind) != 1 || !strchr("df", *kind))
		return malformed(err);
	dir = *kind == 'd';
	if (policy_path(line, strlen(line), dir ? ENTRY_DIR : ENTRY_FILE, &path, &len, &refusal) <
		    0 ||
	    !len)
		return malformed(err);
	if (ledger_add(ledger, dir ? LEDGER_DIR : LEDGER_FILE_KIND, path, len, &entry, &refusal) <
	    0) {
		*err = refusal.err;
		return -EBADMSG;
	}

	if (strspn(mode, "01234567") != 3 || mode[3])
		return malformed(err);
	entry->mode = (uint16_t)strtoul(mode, NULL, 8);
	if (dir)
		return 0;
	if (parse_int64(size, 0, INT64_MAX, &bytes) < 0 || !sha256_parse(hex, entry->sha256))
		return malformed(err);
	entry->size = (uint64_t)bytes;
	return 0;
}

/* Each is found by halving: the last one must come after the one before it. */
static bool is_in_order(const struct ledger *ledger)
{
	const struct ledger_entry *last = &ledger->entries[ledger->n_entries - 1];

	return ledger->n_entries < 2 || ledger_compare(ledger, last - 1, last) < 0;
}

/* All whole lines of the buffer. */
static int parse_lines(struct ledger *ledger, struct buffer *text, struct error *err)
{
	for (;;) {
		char *line = text->bytes + text->head;
		char *end = buffer_len(text) ? memchr(line, '\n', buffer_len(text)) : NULL;
		int r;

		if (!end)
			return 0;
		*end = '\0';
		r = strlen(line) == (size_t)(end - line) ? parse_line(ledger, line, err)
							 : malformed(err);
		if (r == 0 && !is_in_order(ledger))
			r = malformed(err);
		if (r < 0)
			return r;
		buffer_consume(text, (size_t)(end - line) + 1);
	}
}

int ledger_read(struct ledger *ledger, int fd, struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(PIECE + LINE_MAX_LEN);
	bool headed = false;

	for (;;) {
		size_t room_len;
		char *room;
		ssize_t n;
		int r;

		if (buffer_reserve(&text, PIECE, &room, &room_len) < 0)
			return malformed(err);
		n = read(fd, room, MIN(room_len, (size_t)PIECE));
		if (n < 0)
			return error_set(err, ERROR_UNAVAILABLE, errno,
					 "cannot read the list of the plugin's files: %m");
		buffer_commit(&text, (size_t)n);
		if (!headed) {
			if (buffer_len(&text) < strlen(HEADING) ||
			    memcmp(buffer_at(&text), HEADING, strlen(HEADING)) != 0)
				return malformed(err);
			buffer_consume(&text, strlen(HEADING));
			headed = true;
		}
		r = parse_lines(ledger, &text, err);
		if (r < 0)
			return r;
		if (n == 0)
			return buffer_len(&text) ? malformed(err) : 0;
	}
}
