/* SPDX-License-Identifier: MIT */
/*
 * JSON-RPC 2.0 to the letter, over a connection.
 */

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "rpc-fixture.h"

#define BUNDLE "{\"A\":\"1\",\"B\":\"two\"}"
#define FETCHED ",\"missing\":[],\"fetched_at\":\"2026-11-20T12:00:00.000Z\",\"stale\":false}"
#define LEFT_OUT(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{\"values\":" BUNDLE FETCHED "}"

static struct client client;

static void begin(void)
{
	fixture_init();
	(void)fake_add("ops", OPS, BUNDLE);
	client_open(&client);
}

/* The answer has this id and this code. */
static void check_error(const char *answer, const char *id, int code)
{
	char begins[256];

	(void)snprintf(begins, sizeof(begins),
		       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,", id, code);
	CHECK(answer);
	if (strncmp(answer, begins, strlen(begins)) != 0)
		test_fail(__FILE__, __LINE__, "%s does not begin with %s", answer, begins);
}

static void check_asking(const char *request, const char *id, int code)
{
	check_error(client_ask(&client, request), id, code);
}

TEST(secrets_are_served_from_memory)
{
	begin();
	CHECK_TEXT(client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\","
				       "\"params\":{\"workspace\":\"ops\"}}\n"),
		   LEFT_OUT("1"));
	CHECK_INT(fake.n_fetches, 0);
	fixture_end(&client);
}

TEST(ids_come_back_as_they_were_written)
{
	static const char *const ids[] = { "0",     "-1",          "1.0",
					   "1e0",   "\"\"",        "\"\\u0041\\n\"",
					   "null",  "1e400",       "123456789012345678901234567890",
					   "\"1\"", "\"\xc3\xa9\"" };
	char request[256], answer[512];

	begin();
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		(void)snprintf(request, sizeof(request),
			       "{\"jsonrpc\":\"2.0\",\"method\":\"secrets.get\",\"id\":%s}",
			       ids[i]);
		(void)snprintf(
			answer, sizeof(answer),
			"{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"values\":" BUNDLE FETCHED "}",
			ids[i]);
		CHECK_TEXT(client_ask(&client, request), answer);
	}
	fixture_end(&client);
}

TEST(what_is_no_request_is_told_so)
{
	static const char *const wrong[] = {
		"{\"id\":7,\"method\":\"daemon.info\"}",
		"{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"daemon.info\"}",
		"{\"jsonrpc\":2.0,\"id\":7,\"method\":\"daemon.info\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":7}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.info\",\"method\":\"daemon.info\"}",
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		check_asking(wrong[i], "7", -32600);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"daemon.info\"}", "null",
		     -32600);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"daemon.info\"}", "null", -32600);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"daemon.info\"}", "null",
		     -32600);
	check_asking("{}", "null", -32600);
	check_asking("\"hello\"", "null", -32600);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.info\",\"a\\u0000b\":1}",
		     "null", -32600);
	fixture_end(&client);
}

TEST(unknown_methods_have_their_own_error)
{
	begin();
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\"}", "7", -32601);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"Daemon.info\"}", "7", -32601);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"rpc.nothing\"}", "7", -32601);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.info\\u0000\"}", "7",
		     -32601);
	fixture_end(&client);
}

TEST(a_method_may_be_written_with_escapes)
{
	begin();
	CHECK_TEXT(client_ask(&client, "{\"jsonrpc\":\"2.0\",\"i\\u0064\":1,"
				       "\"method\":\"secrets\\u002eget\"}"),
		   LEFT_OUT("1"));
	fixture_end(&client);
}

TEST(params_that_are_no_container_are_invalid)
{
	begin();
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.info\",\"params\":1}", "7",
		     -32602);
	check_asking("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.info\",\"params\":null}",
		     "7", -32602);
	fixture_end(&client);
}

TEST(notifications_are_never_answered)
{
	begin();
	client_say(&client,
		   "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.info\"}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"secrets.get\",\"params\":{\"keys\":1}}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"secrets.get\",\"params\":1}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.reload\"}\n");
	CHECK(!client_hear(&client));
	CHECK_INT(fixture.n_reloads, 1);
	fixture_end(&client);
}

TEST(responses_are_never_answered)
{
	begin();
	CHECK(!client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
				   "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}"));
	fixture_end(&client);
}

TEST(bytes_that_are_no_json_cost_the_line)
{
	begin();
	check_asking("{\"jsonrpc\": nonsense}\n", "null", -32700);
	check_asking("{]\n", "null", -32700);
	check_asking("\xef\xbb\xbf{}\n", "null", -32700);
	CHECK_TEXT(
		client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"}\n"),
		LEFT_OUT("1"));
	fixture_end(&client);
}

TEST(messages_need_nothing_between_them_and_may_have_anything)
{
	begin();
	client_say(&client,
		   " \r\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"}"
		   "{ \"jsonrpc\" : \"2.0\" , \"id\" : 2 , \"method\" : \"secrets.get\" }\n\n\n");
	CHECK_TEXT(client_hear(&client), LEFT_OUT("1"));
	CHECK_TEXT(client_hear(&client), LEFT_OUT("2"));
	fixture_end(&client);
}

TEST(a_message_may_come_a_byte_at_a_time)
{
	static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"}";

	begin();
	for (size_t i = 0; i < strlen(request); i++)
		client_say_bytes(&client, request + i, 1);
	CHECK_TEXT(client_hear(&client), LEFT_OUT("1"));
	fixture_end(&client);
}

TEST(a_message_over_the_limit_is_told_once_and_survived)
{
	char block[4096];

	fixture.settings.max_connections = 0;
	rpc_settings_init(&fixture.settings);
	fixture.settings.max_request_bytes = 65536;
	begin();
	(void)memset(block, 'x', sizeof(block));
	client_say(&client, "{\"jsonrpc\":\"");
	for (unsigned i = 0; i < 64; i++)
		client_say_bytes(&client, block, sizeof(block));
	client_say(&client, "\"}\n");
	check_error(client_hear(&client), "null", -32010);
	CHECK_TEXT(
		client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"}\n"),
		LEFT_OUT("1"));
	fixture_end(&client);
}

TEST(a_batch_is_answered_as_one_array)
{
	begin();
	CHECK_TEXT(client_ask(&client,
			      "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"},"
			      "{\"jsonrpc\":\"2.0\",\"method\":\"secrets.get\"},"
			      "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"secrets.get\"}]"),
		   "[" LEFT_OUT("1") "," LEFT_OUT("2") "]");
	fixture_end(&client);
}

TEST(a_batch_of_nonsense_is_answered_entry_by_entry)
{
	const char *answer;
	unsigned n = 0;

	begin();
	check_asking("[]", "null", -32600);
	answer = client_ask(&client, "[1,[],{}]");
	CHECK(answer && answer[0] == '[');
	for (; (answer = strstr(answer,
				"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600"));
	     answer++)
		n++;
	CHECK_INT(n, 3);
	check_asking("[{\"jsonrpc\":\"2.0\",\"id\":1},]\n", "null", -32700);
	fixture_end(&client);
}

TEST(a_batch_of_notifications_has_no_answer)
{
	begin();
	CHECK(!client_ask(&client, "[{\"jsonrpc\":\"2.0\",\"method\":\"daemon.reload\"},"
				   "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.reload\"}]"));
	CHECK_INT(fixture.n_reloads, 2);
	fixture_end(&client);
}

static const char *ask_batch(unsigned n_entries)
{
	static char batch[1024];
	size_t len = 0;

	while (n_entries--)
		len += (size_t)snprintf(batch + len, sizeof(batch) - len, "%s", len ? ",1" : "[1");
	(void)snprintf(batch + len, sizeof(batch) - len, "]");
	return client_ask(&client, batch);
}

TEST(a_batch_has_at_most_64_entries)
{
	begin();
	CHECK(ask_batch(64)[0] == '[');
	check_error(ask_batch(65), "null", -32600);
	fixture_end(&client);
}

TEST(a_batch_waits_for_its_slowest_entry)
{
	struct workspace *workspace;

	begin();
	workspace = agent_find(&fake.agent, "ops");
	fake.age_ms = 1;
	CHECK(!client_ask(
		&client,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\",\"params\":[null,null,0]},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"secrets.get\"}]"));
	CHECK_INT(fake.n_fetches, 1);
	waiters_call(&workspace->vault.waiters, NULL);
	CHECK_TEXT(client_hear(&client), "[" LEFT_OUT("2") "," LEFT_OUT("1") "]");
	fixture_end(&client);
}

TEST(headers_are_answered_with_headers)
{
	static const char body[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.get\"}";
	char message[256], expected[512];

	begin();
	(void)snprintf(message, sizeof(message),
		       "Content-Length: %zu\r\nContent-Type: application/json\r\n\r\n%s",
		       strlen(body), body);
	(void)snprintf(expected, sizeof(expected), "Content-Length: %zu\r\n\r\n%s",
		       strlen(LEFT_OUT("1")), LEFT_OUT("1"));
	for (unsigned i = 0; i < 2; i++) {
		client_say(&client, message);
		fixture_turns(2);
		CHECK_INT(client_pull(&client), strlen(expected));
		CHECK(memcmp(client.bytes, expected, strlen(expected)) == 0);
		client.len = 0;
	}
	fixture_end(&client);
}

TEST(a_broken_header_ends_the_connection)
{
	begin();
	client_say(&client, "Content-Length: many\r\n\r\n{}");
	CHECK(client_is_closed(&client));
	CHECK(client.len && strstr(client.bytes, "-32700"));
	fixture_end(&client);
}
