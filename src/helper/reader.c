/* SPDX-License-Identifier: MIT */
#include "helper/reader.h"

#include <errno.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/util.h"

struct reader {
	struct archive *archive;
	struct tape *tape;
	struct reader_sink *sink; /* borrowed */
	struct refusal *refusal;  /* borrowed; what the tape has found, while libarchive reads */
	uint64_t n_entries;
	bool has_pluginfile;
	size_t pluginfile_len;
	char pluginfile[PLUGINFILE_MAX];
};

static void archive_close(struct archive *archive)
{
	(void)archive_read_free(archive);
}
DEFINE_AUTO(struct archive *, archive_close);

static ssize_t on_read(struct archive *archive, void *context, const void **ret_bytes)
{
	struct reader *reader = context;
	size_t len;

	if (tape_next(reader->tape, ret_bytes, &len, reader->refusal) < 0) {
		archive_set_error(archive, EBADMSG, "refused");
		return ARCHIVE_FATAL;
	}
	return (ssize_t)len;
}

/* What libarchive says when it was not the tape that has stopped it. */
static int failed(struct reader *reader)
{
	const char *text = archive_error_string(reader->archive);
	char quoted[120];

	if (reader->refusal->err.kind)
		return -EBADMSG;
	if (archive_errno(reader->archive) == ENOMEM)
		return refuse(reader->refusal, ERROR_INTERNAL, "no memory to read the archive");

	text = text ? text : "no reason given";
	(void)error_quote(quoted, sizeof(quoted), text, strlen(text));
	return refuse(reader->refusal, ERROR_INTEGRITY, "the archive is damaged: %s", quoted);
}

/* Two that read the same bytes and disagree: who made them wanted that. */
static int check_agreement(struct reader *reader, struct archive_entry *said)
{
	static const mode_t types[] = {
		[ENTRY_FILE] = AE_IFREG,
		[ENTRY_DIR] = AE_IFDIR,
		[ENTRY_LINK] = AE_IFLNK,
	};
	const struct tape_entry *found = &reader->tape->entry;

	if (reader->n_entries == reader->tape->n_entries &&
	    archive_entry_filetype(said) == types[found->kind] && !archive_entry_hardlink(said) &&
	    (found->kind != ENTRY_FILE || (uint64_t)archive_entry_size(said) == found->size))
		return 0;

	(void)refuse(reader->refusal, ERROR_INTEGRITY, "it can be read in more than one way");
	return refusal_name(reader->refusal, found->name, found->name_len);
}

static bool is_pluginfile(const struct tape_entry *entry)
{
	const char *name = entry->name;
	size_t len = entry->name_len;

	if (entry->kind != ENTRY_FILE)
		return false;
	if (len > 2 && memcmp(name, "./", 2) == 0) {
		name += 2;
		len -= 2;
	}
	return len == strlen(PLUGINFILE_PATH) && memcmp(name, PLUGINFILE_PATH, len) == 0;
}

static int begin_pluginfile(struct reader *reader)
{
	const struct tape_entry *entry = &reader->tape->entry;

	if (!is_pluginfile(entry))
		return 0;

	if (entry->size > sizeof(reader->pluginfile))
		(void)refuse(reader->refusal, ERROR_TOO_LARGE, "it is larger than %zu bytes",
			     sizeof(reader->pluginfile));
	else if (reader->has_pluginfile)
		(void)refuse(reader->refusal, ERROR_INTEGRITY, "it is there twice");
	else
		reader->has_pluginfile = true;

	return reader->refusal->err.kind
		       ? refusal_name(reader->refusal, entry->name, entry->name_len)
		       : 0;
}

static int read_content(struct reader *reader, bool keep)
{
	uint64_t size = reader->tape->entry.size, done = 0;

	for (;;) {
		const void *bytes;
		int64_t offset;
		size_t len;
		int r;

		r = archive_read_data_block(reader->archive, &bytes, &len, &offset);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return failed(reader);
		if ((uint64_t)offset != done || len > size - done)
			return refuse(reader->refusal, ERROR_INTEGRITY,
				      "the archive can be read in more than one way");

		if (keep)
			memcpy(reader->pluginfile + done, bytes, len);
		done += len;
		r = reader->sink->on_data(reader->sink, bytes, len, reader->refusal);
		if (r < 0)
			return r;
	}

	if (done != size)
		return refuse(reader->refusal, ERROR_INTEGRITY, "the archive is cut off");
	if (keep)
		reader->pluginfile_len = (size_t)done;
	return 0;
}

static int read_entry(struct reader *reader, struct archive_entry *said)
{
	const struct tape_entry *found = &reader->tape->entry;
	struct reader_entry entry;
	int r;

	r = check_agreement(reader, said);
	if (r < 0)
		return r;
	r = begin_pluginfile(reader);
	if (r < 0)
		return r;

	entry = (struct reader_entry){
		.kind = found->kind,
		.name = found->name,
		.name_len = found->name_len,
		.size = found->size,
		.mtime = archive_entry_mtime(said),
		.mode = found->mode,
	};
	r = reader->sink->on_entry(reader->sink, &entry, reader->refusal);
	if (r < 0 || entry.kind != ENTRY_FILE)
		return r;

	return read_content(reader, is_pluginfile(found));
}

static int read_entries(struct reader *reader)
{
	for (;;) {
		struct archive_entry *said;
		int r;

		r = archive_read_next_header(reader->archive, &said);
		if (r == ARCHIVE_EOF)
			return tape_finish(reader->tape, reader->refusal);
		/* It warns of names it cannot show and of attributes: neither is taken from it. */
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return failed(reader);

		reader->n_entries++;
		r = read_entry(reader, said);
		if (r < 0)
			return r;
	}
}

static int tell_plugin(struct reader *reader)
{
	struct pluginfile file;
	int r;

	if (!reader->has_pluginfile)
		return 0;

	r = pluginfile_parse(reader->pluginfile, reader->pluginfile_len, &file, reader->refusal);
	if (r < 0)
		return r;
	return reader->sink->on_plugin(reader->sink, &file, reader->refusal);
}

int reader_run(tape_fill_fn fill, void *source, uint64_t size_max, struct reader_sink *sink,
	       struct refusal *refusal)
{
	AUTO(tape_free) struct tape *tape = tape_new(fill, source, size_max);
	AUTO(free) struct reader *reader = calloc(1, sizeof(*reader));
	AUTO(archive_close) struct archive *archive = archive_read_new();
	int r;

	*refusal = (struct refusal){ 0 };
	if (!tape || !reader || !archive)
		return refuse(refusal, ERROR_INTERNAL, "no memory to read the archive");

	reader->archive = archive;
	reader->tape = tape;
	reader->sink = sink;
	reader->refusal = refusal;
	if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
	    archive_read_open(archive, reader, NULL, on_read, NULL) != ARCHIVE_OK)
		return failed(reader);

	r = read_entries(reader);
	if (r < 0)
		return r;
	return tell_plugin(reader);
}
