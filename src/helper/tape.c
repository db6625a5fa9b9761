/* SPDX-License-Identifier: MIT */
#include "helper/tape.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "helper/paxrecord.h"

/* A header, by offset and length: all of it is text of a kind. */
#define NAME_AT 0
#define NAME_LEN 100
#define MODE_AT 100
#define MODE_LEN 8
#define SIZE_AT 124
#define SIZE_LEN 12
#define CHECKSUM_AT 148
#define CHECKSUM_LEN 8
#define TYPE_AT 156
#define MAGIC_AT 257
#define PREFIX_AT 345
#define PREFIX_LEN 155

#define USTAR_MAGIC \
	"ustar\0"   \
	"00"
#define GNU_MAGIC "ustar  \0"
#define MAGIC_LEN 8

struct tape *tape_new(tape_fill_fn fill, void *source, uint64_t size_max)
{
	struct tape *tape = calloc(1, sizeof(*tape));

	if (!tape)
		return NULL;

	tape->fill = fill;
	tape->source = source;
	tape->size_max = size_max;
	tape->state = TAPE_HEADER;
	tape->at_front = true;
	return tape;
}

void tape_free(struct tape *tape)
{
	free(tape);
}

static int cut_off(struct refusal *refusal)
{
	return refuse(refusal, ERROR_INTEGRITY, "the archive is cut off: its tar has no end");
}

static int fill_window(struct tape *tape, struct refusal *refusal)
{
	int r;

	if (tape->at < tape->len || tape->exhausted)
		return 0;

	r = tape->fill(tape->source, tape->window, sizeof(tape->window), &tape->len, refusal);
	if (r < 0)
		return r;

	tape->at = 0;
	tape->exhausted = tape->len < sizeof(tape->window);
	if (tape->len % TAPE_BLOCK) {
		if (tape->at_front && tape->len < TAPE_BLOCK)
			return refuse(refusal, ERROR_INTEGRITY, "what came is not a tar archive");
		return cut_off(refusal);
	}
	return 0;
}

static bool is_zero(const char *bytes, size_t len)
{
	return !len || (!bytes[0] && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Octal, spaces before it, spaces or NULs behind it; or GNU's big-endian binary. */
static bool parse_number(const char *field, size_t len, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	if ((unsigned char)field[0] & 0x80) {
		if (len <= sizeof(value) || (unsigned char)field[0] != 0x80 ||
		    !is_zero(field + 1, len - 1 - sizeof(value)))
			return false;
		for (i = len - sizeof(value); i < len; i++)
			value = value << 8 | (unsigned char)field[i];
		*ret = value;
		return true;
	}

	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	for (; i < len; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;

	*ret = value;
	return true;
}

static bool has_right_sum(const char *header)
{
	uint64_t stated, sum = CHECKSUM_LEN * (uint64_t)' ';

	for (size_t i = 0; i < TAPE_BLOCK; i++)
		if (i < CHECKSUM_AT || i >= CHECKSUM_AT + CHECKSUM_LEN)
			sum += (unsigned char)header[i];

	return parse_number(header + CHECKSUM_AT, CHECKSUM_LEN, &stated) && stated == sum;
}

static int check_header(const struct tape *tape, const char *header, struct refusal *refusal)
{
	bool known = memcmp(header + MAGIC_AT, USTAR_MAGIC, MAGIC_LEN) == 0 ||
		     memcmp(header + MAGIC_AT, GNU_MAGIC, MAGIC_LEN) == 0;

	if (known && has_right_sum(header))
		return 0;
	if (tape->at_front)
		return refuse(refusal, ERROR_INTEGRITY, "what came is not a tar archive");
	if (known)
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive is damaged: the checksum of a header is wrong");

	return refuse(refusal, ERROR_INTEGRITY,
		      "the archive is damaged: a header is neither ustar, pax nor GNU tar");
}

/* In GNU's headers there are times where others have a prefix. */
static void take_short_name(struct tape *tape, const char *header)
{
	size_t len = 0;

	if (memcmp(header + MAGIC_AT, USTAR_MAGIC, MAGIC_LEN) == 0) {
		len = strnlen(header + PREFIX_AT, PREFIX_LEN);
		memcpy(tape->short_name, header + PREFIX_AT, len);
		if (len)
			tape->short_name[len++] = '/';
	}
	tape->entry.name_len = len + strnlen(header + NAME_AT, NAME_LEN);
	memcpy(tape->short_name + len, header + NAME_AT, tape->entry.name_len - len);
	tape->entry.name = tape->short_name;
}

/* Python takes those times for a part of the name. Only who makes backups writes them. */
static int check_prefix(const char *header, struct refusal *refusal)
{
	if (!header[PREFIX_AT] || memcmp(header + MAGIC_AT, GNU_MAGIC, MAGIC_LEN) != 0)
		return 0;

	return refuse(refusal, ERROR_INTEGRITY, "it can be read in more than one way");
}

static int take_kind(struct tape *tape, char type, struct refusal *refusal)
{
	switch (type) {
	case '0':
	case '\0':
		tape->entry.kind = ENTRY_FILE;
		return 0;
	case '2':
		tape->entry.kind = ENTRY_LINK;
		return 0;
	case '5':
		tape->entry.kind = ENTRY_DIR;
		return 0;
	case '1':
		return refuse(refusal, ERROR_INTEGRITY, "it is a hard link");
	case '3':
	case '4':
		return refuse(refusal, ERROR_INTEGRITY, "it is a device");
	case '6':
		return refuse(refusal, ERROR_INTEGRITY, "it is a FIFO");
	case 'S':
		return refuse(refusal, ERROR_INTEGRITY, "it is a sparse file");
	default:
		return refuse(refusal, ERROR_INTEGRITY, "it is of an unknown type (0x%02x)",
			      (unsigned char)type);
	}
}

static int take_size(struct tape *tape, const char *header, struct refusal *refusal)
{
	uint64_t size;

	if (tape->has_extended_size)
		size = tape->extended_size;
	else if (!parse_number(header + SIZE_AT, SIZE_LEN, &size))
		return refuse(refusal, ERROR_INTEGRITY, "its size is no number");

	if (tape->entry.kind != ENTRY_FILE && size)
		return refuse(refusal, ERROR_INTEGRITY, "it is no file, and has content");
	if (size > tape->size_max)
		return refuse(refusal, ERROR_TOO_LARGE, "it is larger than %llu bytes",
			      (unsigned long long)tape->size_max);

	tape->entry.size = size;
	return 0;
}

/* The header's own: an access control list changes nothing about it. */
static int take_mode(struct tape *tape, const char *header, struct refusal *refusal)
{
	uint64_t mode;

	if (!parse_number(header + MODE_AT, MODE_LEN, &mode))
		return refuse(refusal, ERROR_INTEGRITY, "its mode is no number");

	tape->entry.mode = (unsigned)mode;
	return 0;
}

static uint64_t padded(uint64_t size)
{
	return (size + TAPE_BLOCK - 1) / TAPE_BLOCK * TAPE_BLOCK;
}

static int take_entry(struct tape *tape, const char *header, struct refusal *refusal)
{
	int r;

	take_short_name(tape, header);
	if (tape->long_name) {
		tape->entry.name = tape->long_name;
		tape->entry.name_len = tape->long_name_len;
	}

	r = check_prefix(header, refusal);
	if (r == 0)
		r = take_kind(tape, header[TYPE_AT], refusal);
	if (r == 0)
		r = take_mode(tape, header, refusal);
	if (r == 0)
		r = take_size(tape, header, refusal);
	if (r < 0)
		return refusal_name(refusal, tape->entry.name, tape->entry.name_len);

	tape->n_entries++;
	tape->left = padded(tape->entry.size);
	tape->state = tape->left ? TAPE_CONTENT : TAPE_HEADER;
	tape->extended = tape->long_link = tape->has_extended_size = false;
	tape->long_name = NULL;
	return 0;
}

/* Which may come, and how often: one of pax, or GNU's two, before an entry. */
static bool may_come(const struct tape *tape, char type)
{
	switch (type) {
	case 'x':
		return !tape->extended && !tape->long_name && !tape->long_link;
	case 'L':
		return !tape->extended && !tape->long_name;
	case 'K':
		return !tape->extended && !tape->long_link;
	default:
		return !tape->extended && !tape->long_name && !tape->long_link;
	}
}

static int take_extension(struct tape *tape, const char *header, struct refusal *refusal)
{
	char type = header[TYPE_AT];
	uint64_t size;

	if (!may_come(tape, type))
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive names one entry twice, in two extended headers");
	if (!parse_number(header + SIZE_AT, SIZE_LEN, &size) || !size)
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive is damaged: an extended header has no size");
	if (size > sizeof(tape->extension))
		return refuse(refusal, ERROR_TOO_LARGE,
			      "the archive has an extended header of more than %zu bytes",
			      sizeof(tape->extension));

	tape->extension_type = type;
	tape->extension_size = (size_t)size;
	tape->extension_len = 0;
	tape->left = padded(size);
	tape->state = TAPE_EXTENSION;
	return 0;
}

static int take_header(struct tape *tape, const char *header, struct refusal *refusal)
{
	int r;

	if (is_zero(header, TAPE_BLOCK)) {
		if (tape->extended || tape->long_name || tape->long_link)
			return refuse(refusal, ERROR_INTEGRITY,
				      "the archive ends between an extended header and its entry");
		tape->state = tape->state == TAPE_END_MARK ? TAPE_ENDED : TAPE_END_MARK;
		return 0;
	}
	if (tape->state == TAPE_END_MARK)
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive is damaged: there is half an end mark in it");

	r = check_header(tape, header, refusal);
	if (r < 0)
		return r;

	tape->at_front = false;
	if (strchr("xgLK", header[TYPE_AT]) && header[TYPE_AT])
		return take_extension(tape, header, refusal);
	return take_entry(tape, header, refusal);
}

/* GNU ends the name with a NUL; what is behind that nobody would see. */
static int end_long_name(struct tape *tape, struct refusal *refusal)
{
	size_t len = strnlen(tape->extension, tape->extension_size);

	if (!is_zero(tape->extension + len, tape->extension_size - len)) {
		(void)refuse(refusal, ERROR_INTEGRITY, "there is a NUL in its name");
		return refusal_name(refusal, tape->extension, tape->extension_size);
	}
	tape->long_name = tape->extension;
	tape->long_name_len = len;
	return 0;
}

static int end_pax(struct tape *tape, struct refusal *refusal)
{
	struct pax_records records = { 0 };
	int r;

	r = pax_records_parse(tape->extension, tape->extension_size, tape->extension_type == 'g',
			      &records, refusal);
	if (r < 0)
		return r;

	if (tape->extension_type == 'g')
		return 0;
	tape->extended = true;
	tape->long_name = records.path;
	tape->long_name_len = records.path_len;
	tape->has_extended_size = records.has_size;
	tape->extended_size = records.size;
	return 0;
}

static int end_extension(struct tape *tape, struct refusal *refusal)
{
	tape->state = TAPE_HEADER;
	switch (tape->extension_type) {
	case 'L':
		return end_long_name(tape, refusal);
	case 'K': /* where a link leads is nothing to us: it is not made */
		tape->long_link = true;
		return 0;
	default:
		return end_pax(tape, refusal);
	}
}

static int pass_body(struct tape *tape, size_t len, struct refusal *refusal)
{
	tape->left -= len;
	if (tape->state == TAPE_EXTENSION && tape->extension_type != 'K') {
		size_t want = MIN(len, tape->extension_size - tape->extension_len);

		memcpy(tape->extension + tape->extension_len, tape->window + tape->at, want);
		tape->extension_len += want;
	}
	if (tape->left)
		return 0;
	if (tape->state == TAPE_EXTENSION)
		return end_extension(tape, refusal);

	tape->state = TAPE_HEADER;
	return 0;
}

int tape_next(struct tape *tape, const void **ret_bytes, size_t *ret_len, struct refusal *refusal)
{
	bool body = tape->state == TAPE_EXTENSION || tape->state == TAPE_CONTENT;
	size_t len;
	int r;

	r = fill_window(tape, refusal);
	if (r < 0)
		return r;
	if (tape->at == tape->len)
		return tape->state == TAPE_ENDED ? (int)(*ret_len = 0) : cut_off(refusal);

	len = body ? (size_t)MIN(tape->left, (uint64_t)(tape->len - tape->at)) : TAPE_BLOCK;
	if (body)
		r = pass_body(tape, len, refusal);
	else if (tape->state != TAPE_ENDED)
		r = take_header(tape, tape->window + tape->at, refusal);
	if (r < 0)
		return r;

	*ret_bytes = tape->window + tape->at;
	*ret_len = len;
	tape->at += len;
	return 0;
}

int tape_finish(struct tape *tape, struct refusal *refusal)
{
	int r;

	/* The reader may have stopped before the second block. */
	while (tape->state != TAPE_ENDED) {
		const void *bytes;
		size_t len;

		if (tape->state != TAPE_HEADER && tape->state != TAPE_END_MARK)
			return cut_off(refusal);
		r = tape_next(tape, &bytes, &len, refusal);
		if (r < 0)
			return r;
	}

	do {
		if (!is_zero(tape->window + tape->at, tape->len - tape->at))
			return refuse(
				refusal, ERROR_INTEGRITY,
				"there are further bytes behind the end of the archive's tar");
		tape->at = tape->len;
		r = fill_window(tape, refusal);
		if (r < 0)
			return r;
	} while (tape->at < tape->len);
	return 0;
}
