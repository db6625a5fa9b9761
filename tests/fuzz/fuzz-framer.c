/* SPDX-License-Identifier: MIT */
/*
 * The bytes as what a client sends, after one byte that sets the limit: in one
 * read or in many, the frames are the same, and what has to be kept stays below
 * the limit.
 */

#include <stdbool.h>
#include <string.h>

#include "base/framer.h"
#include "base/util.h"
#include "fuzz.h"

/* Takes all frames there are; notes each in the log. */
static void drain(struct framer *framer, struct buffer *in, struct buffer *notes)
{
	enum frame_kind kind;
	struct frame frame;

	while ((kind = framer_next(framer, in, &frame)) != FRAME_NONE) {
		(void)buffer_append_char(notes, (char)('0' + kind));
		if (kind == FRAME_MESSAGE) {
			REQUIRE(frame.text.len > 0 && frame.text.len <= framer->max_bytes);
			REQUIRE(json_check(frame.text.at, frame.text.len, JSON_DEPTH_MAX,
					   JSON_VALUES_MAX, NULL) == 0);
			(void)buffer_append(notes, frame.text.at, frame.text.len);
		} else {
			REQUIRE(frame.why && !frame.text.len);
		}
		framer_done(framer, in, &frame);
	}
	REQUIRE(buffer_len(in) <= MAX(framer->max_bytes, (size_t)FRAMER_HEADERS_MAX));
}

static void run(const char *bytes, size_t len, size_t max_bytes, uint32_t *random,
		struct buffer *notes)
{
	struct buffer in = BUFFER_INIT(max_bytes + FRAMER_HEADERS_MAX + len);
	struct framer framer;

	framer_init(&framer, max_bytes);
	while (len) {
		size_t n = random ? MIN(len, (size_t)(fuzz_random(random) % 24 + 1)) : len;

		REQUIRE(buffer_append(&in, bytes, n) == 0);
		drain(&framer, &in, notes);
		bytes += n;
		len -= n;
	}

	(void)buffer_append_text(notes, framer_is_mid_message(&framer, &in) ? "mid" : "clean");
	(void)buffer_append_text(notes, framer_wants_headers(&framer) ? " headers" : " stream");
	REQUIRE(!notes->failed);
	buffer_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(buffer_fini) struct buffer whole = BUFFER_INIT(SIZE_MAX / 4);
	uint32_t random = fuzz_seed(bytes, len);

	if (len < 2)
		return 0;

	run((const char *)bytes + 1, len - 1, 1 + (size_t)bytes[0], NULL, &whole);
	for (int i = 0; i < 2; i++) {
		AUTO(buffer_fini) struct buffer cut = BUFFER_INIT(SIZE_MAX / 4);

		run((const char *)bytes + 1, len - 1, 1 + (size_t)bytes[0], &random, &cut);
		REQUIRE(buffer_len(&cut) == buffer_len(&whole));
		REQUIRE(memcmp(buffer_at(&cut), buffer_at(&whole), buffer_len(&whole)) == 0);
	}

	return 0;
}
