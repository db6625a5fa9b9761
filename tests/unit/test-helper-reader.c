/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/reader.h"
#include "lib/test.h"

#define BLOCK 512

/* A tar in memory, and what was heard of it. */
struct story {
	char tar[256 * 1024];
	size_t len, at;
	struct reader_sink sink;
	struct refusal refusal;
	char heard[4096];
	uint64_t n_bytes;
	bool has_plugin;
};

static int fill(void *source, char *bytes, size_t size, size_t *ret_len, struct refusal *refusal)
{
	struct story *story = source;
	size_t len = MIN(size, story->len - story->at);

	memcpy(bytes, story->tar + story->at, len);
	story->at += len;
	*ret_len = len;
	return 0;
}

static int on_entry(struct reader_sink *sink, const struct reader_entry *entry, struct refusal *err)
{
	struct story *story = container_of(sink, struct story, sink);
	size_t len = strlen(story->heard);

	(void)snprintf(story->heard + len, sizeof(story->heard) - len, "%c%.*s:%llu ",
		       "fdl"[entry->kind], (int)entry -> name_len, entry -> name,
		       (unsigned long long)entry -> size);
	return 0;
}

static int on_data(struct reader_sink *sink, const void *bytes, size_t len, struct refusal *refusal)
{
	container_of(sink, struct story, sink)->n_bytes += len;
	return 0;
}

static int on_plugin(struct reader_sink *sink, const struct pluginfile *file,
		     struct refusal *refusal)
{
	container_of(sink, struct story, sink)->has_plugin = true;
	CHECK_TEXT(file->name, "demo");
	return 0;
}

static struct story *story_new(void)
{
	struct story *story = calloc(1, sizeof(*story));

	CHECK(story);
	story->sink = (struct reader_sink){ on_entry, on_data, on_plugin };
	return story;
}

static void put(struct story *story, const void *bytes, size_t len)
{
	CHECK(story->len + len <= sizeof(story->tar));
	memcpy(story->tar + story->len, bytes, len);
	story->len += (len + BLOCK - 1) / BLOCK * BLOCK;
}

static void put_header(struct story *story, char type, const char *name, size_t size)
{
	char block[BLOCK] = { 0 };
	unsigned sum = 0;

	(void)snprintf(block, 100, "%s", name);
	(void)snprintf(block + 100, 8, "%07o", 0644u);
	(void)snprintf(block + 124, 12, "%011zo", size);
	(void)snprintf(block + 136, 12, "%011o", 1u);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
	put(story, block, sizeof(block));
}

static void put_file(struct story *story, const char *name, const char *content)
{
	put_header(story, '0', name, strlen(content));
	put(story, content, strlen(content));
}

static void put_end(struct story *story)
{
	story->len += 2 * BLOCK;
}

static int run(struct story *story)
{
	int r;

	story->at = 0;
	story->heard[0] = '\0';
	story->n_bytes = 0;
	story->has_plugin = false;
	r = reader_run(fill, story, 1 << 20, &story->sink, &story->refusal);
	CHECK((r < 0) == (story->refusal.err.kind != ERROR_NONE));
	CHECK((r < 0) == (story->refusal.err.text[0] != '\0'));
	return r;
}

static struct story *good_story(void)
{
	struct story *story = story_new();
	static char content[40000];

	memset(content, 'x', sizeof(content) - 1);
	put_header(story, '5', "dir", 0);
	put_file(story, "plugin.yaml", "name: demo\n");
	put_header(story, 'x', "pax", 23);
	put(story, "23 path=dir/of-its-own\n", 23);
	put_file(story, "replaced", content);
	put_header(story, '2', "link", 0);
	put_file(story, "empty", "");
	/* As many zeros as make an end mark, at the end of the last file. */
	memset(content, 0, sizeof(content));
	put_header(story, '0', "zeros", 4096);
	put(story, content, 4096);
	put_end(story);
	return story;
}

TEST(tells_each_entry_and_all_its_bytes)
{
	struct story *story = good_story();

	CHECK_INT(run(story), 0);
	CHECK_TEXT(story->heard, "ddir:0 fplugin.yaml:11 fdir/of-its-own:39999 llink:0 fempty:0 "
				 "fzeros:4096 ");
	CHECK_INT(story->n_bytes, 11 + 39999 + 4096);
	CHECK(story->has_plugin);
	free(story);
}

TEST(refuses_an_archive_that_ends_anywhere_else)
{
	struct story *story = good_story();
	size_t whole = story->len;

	for (story->len = 0; story->len < whole; story->len += BLOCK)
		CHECK(run(story) < 0);
	for (story->len = 1; story->len < whole; story->len += 337)
		CHECK(run(story) < 0);
	story->len = whole;
	CHECK_INT(run(story), 0);
	free(story);
}

TEST(refuses_anything_but_zeros_behind_the_end)
{
	struct story *story = good_story();
	size_t whole = story->len;

	story->len += 20 * BLOCK;
	CHECK_INT(run(story), 0);
	for (size_t at = whole; at < story->len; at += 501) {
		story->tar[at] = 1;
		CHECK(run(story) < 0);
		story->tar[at] = 0;
	}
	free(story);
}

/* But for how the checksum itself is padded, which changes nothing. */
TEST(no_flipped_bit_of_a_header_passes)
{
	struct story *story = story_new();
	char heard[64];

	put_file(story, "plugin.yaml", "name: demo\n");
	put_end(story);
	CHECK_INT(run(story), 0);
	memcpy(heard, story->heard, sizeof(heard));
	for (size_t bit = 0; bit < 8 * (size_t)BLOCK; bit++) {
		story->tar[bit / 8] ^= (char)(1 << bit % 8);
		if (bit / 8 >= 148 && bit / 8 < 156)
			CHECK(run(story) < 0 || strcmp(story->heard, heard) == 0);
		else
			CHECK(run(story) < 0);
		story->tar[bit / 8] ^= (char)(1 << bit % 8);
	}
	free(story);
}

static int have_enough(struct reader_sink *sink, const void *bytes, size_t len,
		       struct refusal *refusal)
{
	return refuse(refusal, ERROR_UNAVAILABLE, "that is enough");
}

TEST(ends_when_the_listener_has_had_enough)
{
	struct story *story = good_story();

	story->sink.on_data = have_enough;
	CHECK(run(story) < 0);
	CHECK_TEXT(story->refusal.err.text, "that is enough");
	CHECK_TEXT(story->heard, "ddir:0 fplugin.yaml:11 ");
	free(story);
}

TEST(names_what_it_refuses)
{
	struct story *story = story_new();

	put_file(story, "plugin.yaml", "name: demo\n");
	put_header(story, '1', "dir/hard", 0);
	put_end(story);
	CHECK(run(story) < 0);
	CHECK_TEXT(story->refusal.entry, "dir/hard");
	CHECK_TEXT(story->refusal.err.text, "dir/hard: it is a hard link");
	CHECK(story->refusal.err.kind == ERROR_INTEGRITY);
	free(story);
}
