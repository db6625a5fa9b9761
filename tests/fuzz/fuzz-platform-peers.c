/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a list of peers, and as an answer to "where is it?". What the
 * book serves is JSON with as many members as it has peers.
 */

#include "agent/peerbook.h"
#include "agent/peerurl.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "fuzz-answer.h"
#include "fuzz-member.h"
#include "platform/peers.h"

static void ignore(void *data)
{
}

static size_t count(struct peerbook *book, const char *query)
{
	struct buffer out = BUFFER_INIT((size_t)64 << 20);
	struct json_iter iter;
	struct json_text element;
	size_t n = 0;

	REQUIRE(peerbook_write(book, query, &out) == 0);
	REQUIRE(json_check(buffer_at(&out), buffer_len(&out), JSON_DEPTH_MAX, UINT32_MAX, NULL) ==
		0);
	iter = json_iter(json_text_from(buffer_at(&out), buffer_len(&out)));
	while (json_next_element(&iter, &element)) {
		REQUIRE(json_text_kind(element) == JSON_OBJECT);
		n++;
	}
	buffer_fini(&out);
	return n;
}

static void check_book(struct peerbook *book)
{
	char id[UUID_LEN + 1];

	REQUIRE(count(book, NULL) == book->n_peers);
	REQUIRE(count(book, "") == book->n_peers);
	for (size_t i = 0; i < book->n_peers && i < 100; i++) {
		REQUIRE(parse_uuid(book->peers[i].id, id) == 0);
		REQUIRE(strcmp(book->peers[i].id, id) == 0);
		REQUIRE(peerbook_find(book, id, NULL));
		REQUIRE(count(book, book->peers[i].name) >= 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct peerbook_events events = { ignore, ignore };
	struct answer answer;
	struct peerbook *book;
	const char *url;

	if (!answer_init(&answer, bytes, len, false))
		return 0;

	url = peers_discovered_url(&answer.reply);
	if (url && peer_url_is_usable(url, NULL))
		REQUIRE(strncasecmp(url, "http", 4) == 0);

	REQUIRE(peerbook_new(fuzz_member(), &events, NULL, &book, NULL) == 0);
	book->call.on_done(&book->call, &answer.reply);
	REQUIRE(!book->fetched || answer.reply.verdict == PLATFORM_OK);
	if (book->fetched)
		check_book(book);
	book->call.on_done(&book->call, &answer.reply);
	if (book->fetched)
		check_book(book);
	peerbook_free(book);
	answer_fini(&answer);
	return 0;
}
