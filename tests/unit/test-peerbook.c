/* SPDX-License-Identifier: MIT */
#include "agent/peerbook.h"

#include <stdio.h>
#include <string.h>

#include "agent/contact.h"
#include "workspace-fixture.h"

#define PEER_A "11111111-1111-4111-8111-111111111111"
#define PEER_B "22222222-2222-4222-8222-222222222222"
#define PEER_C "33333333-3333-4333-8333-333333333333"
#define DISCOVER_A "GET", "/registry/discover/" PEER_A

#define TWO_PEERS                                                                             \
	"[{\"id\":\"" PEER_A "\",\"name\":\"alpha\",\"role\":\"Researcher\",\"tier\":3,"      \
	"\"status\":\"online\",\"url\":\"http://192.0.32.10:9\",\"parent_id\":\"" ID "\","    \
	"\"active_tasks\":2,\"agent_card\":{\"name\":\"a<b\",\"n\":[1,2.5]},\"extra\":true}," \
	"{\"id\":\"" PEER_B "\",\"name\":\"beta\",\"role\":null,\"tier\":1,"                  \
	"\"status\":\"paused\",\"url\":\"\",\"parent_id\":null,\"active_tasks\":0,"           \
	"\"agent_card\":null}]"
#define JSON_A                                                                             \
	"{\"id\":\"" PEER_A "\",\"name\":\"alpha\",\"role\":\"Researcher\",\"tier\":3,"    \
	"\"status\":\"online\",\"url\":\"http://192.0.32.10:9\",\"parent_id\":\"" ID "\"," \
	"\"active_tasks\":2,\"agent_card\":{\"name\":\"a<b\",\"n\":[1,2.5]},"              \
	"\"route\":\"direct\",\"breaker\":\"closed\"}"
#define JSON_B                                                                      \
	"{\"id\":\"" PEER_B "\",\"name\":\"beta\",\"role\":null,\"tier\":1,"        \
	"\"status\":\"paused\",\"url\":\"\",\"parent_id\":null,\"active_tasks\":0," \
	"\"agent_card\":null" BY_PROXY "}"
#define BY_PROXY ",\"route\":\"proxy\",\"breaker\":\"closed\""

static struct peerbook *book_of(struct fixture *fixture)
{
	struct peerbook *book = workspace_peerbook(fixture->workspace, NULL);

	CHECK(book);
	return book;
}

static void fetch(struct fixture *fixture, int status, const char *body, struct wish *wish)
{
	wish_init(wish);
	peerbook_fetch(book_of(fixture), &wish->waiter);
	fixture_answer(fixture, GET_PEERS, status, body);
	CHECK_INT(wish->called, 1);
}

static void begin(struct fixture *fixture, const char *peers)
{
	struct wish wish;

	fixture_init(fixture);
	fixture_begin_online(fixture);
	if (!peers)
		return;

	fetch(fixture, 200, peers, &wish);
	CHECK_INT(wish.err.kind, ERROR_NONE);
}

static void check_list(struct fixture *fixture, const char *query, const char *expected)
{
	struct buffer out = BUFFER_INIT(1 << 20);

	CHECK_INT(peerbook_write(book_of(fixture), query, &out), 0);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK_TEXT(buffer_at(&out), expected);
	buffer_fini(&out);
}

TEST(the_list_has_the_members_that_were_promised_and_no_others)
{
	struct fake_request *request;
	struct fixture fixture;
	struct wish wish;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	CHECK(!peerbook_is_fresh(book_of(&fixture)));
	wish_init(&wish);
	peerbook_fetch(book_of(&fixture), &wish.waiter);
	request = fixture_expect(&fixture, GET_PEERS);
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\n");
	fake_answer(request, 200, TWO_PEERS);
	CHECK_INT(wish.called, 1);
	CHECK(peerbook_is_fresh(book_of(&fixture)));
	check_list(&fixture, NULL, "[" JSON_A "," JSON_B "]");
	fixture_fini(&fixture);
}

TEST(there_may_be_no_peers)
{
	struct fixture fixture;

	begin(&fixture, "[]");
	check_list(&fixture, NULL, "[]");
	CHECK(book_of(&fixture)->fetched);
	fixture_fini(&fixture);
}

TEST(a_filter_looks_at_name_role_and_id_in_any_case)
{
	struct fixture fixture;

	begin(&fixture, TWO_PEERS);
	check_list(&fixture, "LPHA", "[" JSON_A "]");
	check_list(&fixture, "search", "[" JSON_A "]");
	check_list(&fixture, "2222-4222", "[" JSON_B "]");
	check_list(&fixture, "a", "[" JSON_A "," JSON_B "]");
	check_list(&fixture, "", "[" JSON_A "," JSON_B "]");
	check_list(&fixture, "gamma", "[]");
	/* A role that is null holds nothing, not even this word. */
	check_list(&fixture, "null", "[]");
	fixture_fini(&fixture);
}

TEST(rows_that_name_no_workspace_are_left_out)
{
	struct fixture fixture;

	begin(&fixture, "[7,null,{},{\"id\":\"no-uuid\",\"name\":\"x\"},"
			"{\"id\":\"" PEER_A "\"},{\"id\":8,\"name\":\"y\"}]");
	check_list(&fixture, NULL,
		   "[{\"id\":\"" PEER_A "\",\"name\":null,\"role\":null,\"tier\":0,"
		   "\"status\":null,\"url\":null,\"parent_id\":null,\"active_tasks\":0,"
		   "\"agent_card\":null" BY_PROXY "}]");
	fixture_fini(&fixture);
}

TEST(what_is_no_list_changes_nothing)
{
	static const char *const odd[] = { "{}", "{\"peers\":[]}", "7", "\"[]\"", "", "[" };
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		fetch(&fixture, 200, odd[i], &wish);
		CHECK_INT(wish.err.kind, ERROR_PLATFORM);
		check_list(&fixture, NULL, "[" JSON_A "," JSON_B "]");
	}
	fetch(&fixture, 500, "", &wish);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	check_list(&fixture, NULL, "[" JSON_A "," JSON_B "]");
	CHECK_INT(fixture.n_peers, 0);
	CHECK_INT(fixture.agent->context.counts.peers.failed, ARRAY_LEN(odd) + 1);
	fixture_fini(&fixture);
}

TEST(a_list_that_differs_is_told_and_the_first_is_not)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	CHECK_INT(fixture.n_peers, 0);
	fetch(&fixture, 200, TWO_PEERS, &wish);
	CHECK_INT(fixture.n_peers, 0);
	fetch(&fixture, 200, "[]", &wish);
	CHECK_INT(fixture.n_peers, 1);
	fixture_fini(&fixture);
}

TEST(all_who_wait_for_the_list_share_one_request)
{
	struct fixture fixture;
	struct wish one, two;

	begin(&fixture, NULL);
	wish_init(&one);
	wish_init(&two);
	peerbook_fetch(book_of(&fixture), &one.waiter);
	(void)fixture_expect(&fixture, GET_PEERS);
	peerbook_fetch(book_of(&fixture), &two.waiter);
	fixture_settle(&fixture);
	CHECK_INT(fake_http_count(fixture.http), 1);
	fixture_answer(&fixture, GET_PEERS, 200, "[]");
	CHECK_INT(one.called, 1);
	CHECK_INT(two.called, 1);
	fixture_fini(&fixture);
}

TEST(a_peer_is_found_by_its_id_or_its_name)
{
	struct error err = { 0 };
	struct fixture fixture;
	struct peer *peer;

	begin(&fixture, TWO_PEERS);
	peer = peerbook_find(book_of(&fixture), "beta", &err);
	CHECK(peer);
	CHECK_TEXT(peer->id, PEER_B);
	CHECK(!peer->role);
	CHECK(peerbook_find(book_of(&fixture), "11111111-1111-4111-8111-111111111111", &err));
	CHECK(!peerbook_find(book_of(&fixture), "Beta", &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK(!peerbook_find(book_of(&fixture), PEER_C, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	fixture_fini(&fixture);
}

TEST(an_id_is_found_in_either_case)
{
	struct fixture fixture;

	begin(&fixture, "[{\"id\":\"ABCDEFAB-1111-4111-8111-111111111111\"}]");
	CHECK(peerbook_find(book_of(&fixture), "abcdefab-1111-4111-8111-111111111111", NULL));
	CHECK(peerbook_find(book_of(&fixture), "ABCDEFAB-1111-4111-8111-111111111111", NULL));
	fixture_fini(&fixture);
}

TEST(a_name_that_two_have_means_neither)
{
	struct error err = { 0 };
	struct fixture fixture;

	begin(&fixture, "[{\"id\":\"" PEER_A "\",\"name\":\"twin\"},"
			"{\"id\":\"" PEER_B "\",\"name\":\"twin\"}]");
	CHECK(!peerbook_find(book_of(&fixture), "twin", &err));
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(peerbook_find(book_of(&fixture), PEER_B, &err));
	fixture_fini(&fixture);
}

static struct peer *peer_a(struct fixture *fixture)
{
	struct peer *peer = peerbook_find(book_of(fixture), PEER_A, NULL);

	CHECK(peer);
	return peer;
}

static void discover(struct fixture *fixture, int status, const char *body, struct wish *wish)
{
	wish_init(wish);
	CHECK_INT(peerbook_discover(book_of(fixture), peer_a(fixture), &wish->waiter, NULL), 0);
	CHECK_INT(wish->called, 0);
	fixture_answer(fixture, DISCOVER_A, status, body);
	CHECK_INT(wish->called, 1);
}

TEST(discovery_is_remembered_for_a_while)
{
	struct fake_request *request;
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	wish_init(&wish);
	CHECK_INT(peerbook_discover(book_of(&fixture), peer_a(&fixture), &wish.waiter, NULL), 0);
	request = fixture_expect(&fixture, DISCOVER_A);
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\n");
	CHECK_TEXT(request->bearer, "token-of-old");
	fake_answer(request, 200, "{\"url\":\"https://alpha.example.org\"}");
	CHECK_INT(wish.err.kind, ERROR_NONE);
	CHECK(peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	CHECK_TEXT(peer_a(&fixture)->direct_url, "https://alpha.example.org");

	peer_a(&fixture)->direct_until_ms -= fixture.workspace->settings.url_cache_ttl_ms + 1;
	CHECK(!peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	fixture_fini(&fixture);
}

TEST(a_url_that_we_must_not_dial_is_as_good_as_none)
{
	static const char *const bodies[] = {
		"{\"url\":\"http://ws-11111111-111:8000\"}",
		"{\"url\":\"http://127.0.0.1:80\"}",
		"{\"url\":\"http://169.254.169.254/latest\"}",
		"{\"url\":\"http://host.docker.internal:1\"}",
		"{\"url\":\"remote://no-inbound\"}",
		"{\"url\":\"\"}",
		"{\"url\":null}",
		"{}",
	};
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		discover(&fixture, 200, "{\"url\":\"https://alpha.example.org\"}", &wish);
		discover(&fixture, 200, bodies[i], &wish);
		CHECK_INT(wish.err.kind, ERROR_NONE);
		CHECK(peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
		CHECK(!peer_a(&fixture)->direct_url);
	}
	fixture_fini(&fixture);
}

TEST(a_503_of_the_platforms_own_says_that_there_is_no_url)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	discover(&fixture, 503, "{\"error\":\"workspace not available\",\"status\":\"paused\"}",
		 &wish);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	CHECK(peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	CHECK(!peer_a(&fixture)->direct_url);
	fixture_fini(&fixture);
}

TEST(a_503_of_somebody_else_says_nothing)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	discover(&fixture, 503, "upstream", &wish);
	CHECK_INT(wish.err.kind, ERROR_UNAVAILABLE);
	CHECK(!peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	fixture_fini(&fixture);
}

TEST(one_whom_we_may_not_call_is_said_to_be_that)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	discover(&fixture, 403, "{\"error\":\"not authorized to discover this workspace\"}", &wish);
	CHECK_INT(wish.err.kind, ERROR_NOT_PERMITTED);
	CHECK(!peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	fixture_fini(&fixture);
}

TEST(all_who_look_for_one_peer_share_one_request)
{
	struct fixture fixture;
	struct wish one, two, other;

	begin(&fixture, TWO_PEERS);
	wish_init(&one);
	wish_init(&two);
	wish_init(&other);
	CHECK_INT(peerbook_discover(book_of(&fixture), peer_a(&fixture), &one.waiter, NULL), 0);
	CHECK_INT(peerbook_discover(book_of(&fixture), peer_a(&fixture), &two.waiter, NULL), 0);
	CHECK_INT(peerbook_discover(book_of(&fixture),
				    peerbook_find(book_of(&fixture), PEER_B, NULL), &other.waiter,
				    NULL),
		  0);
	fixture_settle(&fixture);
	CHECK_INT(fake_http_count(fixture.http), 2);
	fixture_answer(&fixture, DISCOVER_A, 200, "{}");
	CHECK_INT(one.called, 1);
	CHECK_INT(two.called, 1);
	CHECK_INT(other.called, 0);
	fixture_fini(&fixture);
	CHECK_INT(other.called, 1);
	CHECK_INT(other.err.kind, ERROR_UNAVAILABLE);
}

TEST(what_discovery_said_outlives_a_new_list_and_not_its_peer)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	discover(&fixture, 200, "{\"url\":\"https://alpha.example.org\"}", &wish);
	fetch(&fixture, 200, TWO_PEERS, &wish);
	CHECK_TEXT(peer_a(&fixture)->direct_url, "https://alpha.example.org");
	CHECK(peer_is_discovered(book_of(&fixture), peer_a(&fixture)));

	fetch(&fixture, 200, "[]", &wish);
	fetch(&fixture, 200, TWO_PEERS, &wish);
	CHECK(!peer_is_discovered(book_of(&fixture), peer_a(&fixture)));
	fixture_fini(&fixture);
}

TEST(a_peer_may_go_while_it_is_looked_for)
{
	struct fixture fixture;
	struct wish list, wish;

	begin(&fixture, TWO_PEERS);
	wish_init(&wish);
	CHECK_INT(peerbook_discover(book_of(&fixture), peer_a(&fixture), &wish.waiter, NULL), 0);
	fetch(&fixture, 200, "[]", &list);
	fixture_answer(&fixture, DISCOVER_A, 200, "{\"url\":\"https://alpha.example.org\"}");
	CHECK_INT(wish.called, 1);
	fixture_fini(&fixture);
}

TEST(what_was_discovered_can_be_forgotten)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	CHECK(!peerbook_invalidate(book_of(&fixture), peer_a(&fixture)));
	discover(&fixture, 200, "{\"url\":\"https://alpha.example.org\"}", &wish);
	CHECK(peerbook_invalidate(book_of(&fixture), peer_a(&fixture)));
	CHECK(!peer_a(&fixture)->direct_url);
	CHECK(!peerbook_invalidate(book_of(&fixture), peer_a(&fixture)));
	fixture_fini(&fixture);
}

/* --- what the list says that we make of a peer --- */

/* The same, however it was asked for. */
static void check_view_a(struct fixture *fixture, const char *route, const char *breaker)
{
	struct buffer kept = BUFFER_INIT(1 << 20), written = BUFFER_INIT(1 << 20);
	char view[96];

	(void)snprintf(view, sizeof(view),
		       "\"agent_card\":{\"name\":\"a<b\",\"n\":[1,2.5]},"
		       "\"route\":\"%s\",\"breaker\":\"%s\"}," JSON_B "]",
		       route, breaker);
	CHECK_INT(peerbook_write(book_of(fixture), NULL, &kept), 0);
	CHECK_INT(peerbook_write(book_of(fixture), "", &written), 0);
	CHECK_INT(buffer_append_char(&kept, '\0'), 0);
	CHECK_INT(buffer_append_char(&written, '\0'), 0);
	CHECK(strstr(buffer_at(&kept), view));
	CHECK_TEXT(buffer_at(&kept), buffer_at(&written));
	buffer_fini(&kept);
	buffer_fini(&written);
}

static struct contact *contact_a(struct fixture *fixture, struct list *contacts)
{
	struct contact *contact;

	list_init(contacts);
	contact = peerbook_contact(book_of(fixture), peer_a(fixture), contacts);
	CHECK(contact);
	return contact;
}

TEST(a_list_is_written_once_while_nothing_changes)
{
	struct fixture fixture;
	const char *bytes;

	begin(&fixture, TWO_PEERS);
	check_list(&fixture, NULL, "[" JSON_A "," JSON_B "]");
	bytes = buffer_at(&book_of(&fixture)->json);
	check_list(&fixture, "alpha", "[" JSON_A "]");
	check_list(&fixture, NULL, "[" JSON_A "," JSON_B "]");
	CHECK(buffer_at(&book_of(&fixture)->json) == bytes);
	fixture_fini(&fixture);
}

TEST(the_list_tells_of_a_new_one)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	check_view_a(&fixture, "direct", "closed");
	fetch(&fixture, 200, "[]", &wish);
	check_list(&fixture, NULL, "[]");
	fetch(&fixture, 200, TWO_PEERS, &wish);
	check_view_a(&fixture, "direct", "closed");
	fixture_fini(&fixture);
}

TEST(the_list_tells_that_it_is_too_old_to_go_by)
{
	struct workspace_settings *settings;
	struct fixture fixture;

	begin(&fixture, TWO_PEERS);
	settings = &fixture.workspace->settings;
	check_view_a(&fixture, "direct", "closed");
	book_of(&fixture)->fetched_at_ms -= settings->url_cache_ttl_ms;
	check_view_a(&fixture, "proxy", "closed");
	/* As a reload would. */
	settings->url_cache_ttl_ms *= 2;
	check_view_a(&fixture, "direct", "closed");
	settings->url_cache_ttl_ms /= 2;
	check_view_a(&fixture, "proxy", "closed");
	fixture_fini(&fixture);
}

TEST(the_list_tells_what_discovery_said_and_until_when)
{
	struct fixture fixture;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	check_view_a(&fixture, "direct", "closed");
	discover(&fixture, 200, "{\"url\":null}", &wish);
	check_view_a(&fixture, "proxy", "closed");
	discover(&fixture, 200, "{\"url\":\"https://alpha.example.org\"}", &wish);
	check_view_a(&fixture, "direct", "closed");
	discover(&fixture, 200, "{\"url\":null}", &wish);
	check_view_a(&fixture, "proxy", "closed");
	/* Its time is over: what the list has of it holds again. */
	peer_a(&fixture)->direct_until_ms = loop_now_ms(&fixture.loop);
	check_view_a(&fixture, "direct", "closed");
	CHECK(!peerbook_invalidate(book_of(&fixture), peer_a(&fixture)));
	check_view_a(&fixture, "proxy", "closed");
	fixture_fini(&fixture);
}

TEST(the_list_tells_who_is_avoided_and_until_when)
{
	struct contact *contact;
	struct fixture fixture;
	struct list contacts;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	contact = contact_a(&fixture, &contacts);
	check_view_a(&fixture, "direct", "closed");
	peerbook_avoid(book_of(&fixture), peer_a(&fixture));
	check_view_a(&fixture, "proxy", "closed");
	fetch(&fixture, 200, TWO_PEERS, &wish);
	check_view_a(&fixture, "proxy", "closed");
	contact->avoid_until_ms = loop_now_ms(&fixture.loop);
	check_view_a(&fixture, "direct", "closed");
	fixture_fini(&fixture);
}

TEST(the_list_tells_how_the_breaker_is)
{
	struct breaker *breaker;
	struct fixture fixture;
	struct list contacts;
	int64_t now_ms;

	begin(&fixture, TWO_PEERS);
	now_ms = loop_now_ms(&fixture.loop);
	breaker = &contact_a(&fixture, &contacts)->breaker;
	for (int i = 0; i < BREAKER_FAILURES; i++) {
		check_view_a(&fixture, "direct", "closed");
		breaker_failed(breaker, BREAKER_LETS, now_ms);
	}
	check_view_a(&fixture, "proxy", "open");
	breaker->until_ms = loop_now_ms(&fixture.loop);
	check_view_a(&fixture, "direct", "half_open");
	breaker_failed(breaker, breaker_ask(breaker, loop_now_ms(&fixture.loop)),
		       loop_now_ms(&fixture.loop));
	check_view_a(&fixture, "proxy", "open");
	breaker_succeeded(breaker);
	check_view_a(&fixture, "direct", "closed");
	fixture_fini(&fixture);
}

TEST(the_list_tells_what_was_forgotten)
{
	struct contact *contact;
	struct fixture fixture;
	struct list contacts;
	struct wish wish;

	begin(&fixture, TWO_PEERS);
	contact = contact_a(&fixture, &contacts);
	for (int i = 0; i < BREAKER_FAILURES; i++)
		breaker_failed(&contact->breaker, BREAKER_LETS, loop_now_ms(&fixture.loop));
	check_view_a(&fixture, "proxy", "open");
	CHECK(peerbook_invalidate(book_of(&fixture), peer_a(&fixture)));
	check_view_a(&fixture, "proxy", "closed");
	fetch(&fixture, 200, TWO_PEERS, &wish);
	check_view_a(&fixture, "direct", "closed");
	fixture_fini(&fixture);
}

TEST(those_who_wait_are_told_when_the_book_stops)
{
	struct fixture fixture;
	struct wish list, discovery;

	begin(&fixture, TWO_PEERS);
	wish_init(&list);
	wish_init(&discovery);
	peerbook_fetch(book_of(&fixture), &list.waiter);
	CHECK_INT(peerbook_discover(book_of(&fixture), peer_a(&fixture), &discovery.waiter, NULL),
		  0);
	fixture_settle(&fixture);
	peerbook_stop(book_of(&fixture));
	CHECK_INT(list.called, 1);
	CHECK_INT(discovery.called, 1);
	CHECK_INT(list.err.kind, ERROR_UNAVAILABLE);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(names_from_outside_are_written_as_json)
{
	struct fixture fixture;

	begin(&fixture, "[{\"id\":\"" PEER_A "\",\"name\":\"q\\\"\\u0001\\n\\u003c\"}]");
	check_list(&fixture, "q\"",
		   "[{\"id\":\"" PEER_A "\",\"name\":\"q\\\"\\u0001\\n<\",\"role\":null,"
		   "\"tier\":0,\"status\":null,\"url\":null,\"parent_id\":null,"
		   "\"active_tasks\":0,\"agent_card\":null" BY_PROXY "}]");
	fixture_fini(&fixture);
}
