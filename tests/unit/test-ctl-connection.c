/* SPDX-License-Identifier: MIT */
#include "ctl/connection.h"

#include <string.h>

#include "lib/test.h"

#define TOKEN "abcdefghijklmnopqrstuvwxyz"

static int read_into(struct connection *connection, const char *text, struct error *err)
{
	return connection_read(connection, text, strlen(text), err);
}

TEST(the_first_name_of_a_variable_wins_and_its_last_value)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK_INT(read_into(&connection,
			    "MOLECULE_API_URL=d\nPLATFORM_URL=b\nMOLECULE_URL=c\n"
			    "WORKSPACE_ID=1\nWORKSPACE_ID=2\nMOLECULE_ORG_ID=o\nOTHER=$(x)\n"
			    "MOLECULE_WORKSPACE_TOKEN=" TOKEN "\n",
			    &err),
		  0);
	CHECK_TEXT(connection.platform_url, "b");
	CHECK_TEXT(connection.workspace_id, "2");
	CHECK_TEXT(connection.org_id, "o");
	CHECK_TEXT(connection.token, TOKEN);
	CHECK(!connection.name);
}

TEST(what_is_set_is_not_replaced)
{
	AUTO(connection_fini) struct connection connection = { .platform_url = strdup("mine") };
	struct error err;

	CHECK_INT(read_into(&connection, "PLATFORM_URL=theirs\n", &err), 0);
	CHECK_TEXT(connection.platform_url, "mine");
	CHECK_INT(read_into(&connection, "{\"platform_url\":\"theirs\",\"id\":\"i\"}", &err), 0);
	CHECK_TEXT(connection.platform_url, "mine");
	CHECK_TEXT(connection.workspace_id, "i");
}

TEST(the_connection_of_a_reply_goes_before_the_reply)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK_INT(read_into(&connection,
			    "  {\"id\":\"a\",\"name\":\"n\",\"connection\":{\"workspace_id\":\"b\","
			    "\"platform_url\":\"u\",\"auth_token\":\"" TOKEN "\"}}\n",
			    &err),
		  0);
	CHECK_TEXT(connection.workspace_id, "b");
	CHECK_TEXT(connection.platform_url, "u");
	CHECK_TEXT(connection.token, TOKEN);
	CHECK_TEXT(connection.name, "n");
}

TEST(a_reply_without_a_token_is_none)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK_INT(read_into(&connection, "{\"id\":\"a\",\"auth_token\":null}", &err), 0);
	CHECK(!connection.token);
}

TEST(one_word_is_a_token)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK_INT(read_into(&connection, " " TOKEN "==\n", &err), 0);
	CHECK_TEXT(connection.token, TOKEN "==");
}

TEST(nothing_is_nothing)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK_INT(read_into(&connection, " \r\n\t", &err), 0);
	CHECK(!connection.token && !connection.workspace_id);
}

TEST(what_cannot_be_read_is_refused_without_repeating_it)
{
	static const char *const texts[] = {
		"SOME_VARIABLE=secretsecret",
		"secretsecret and more",
		"{\"auth_token\":\"secretsecret\"",
		"{\"auth_token\":[\"secretsecret\"]}",
		"{\"auth_token\":\"secret secret\"}",
		"{\"auth_token\":\"\"}",
		"[\"secretsecret\"]",
		"MOLECULE_WORKSPACE_TOKEN=\"secretsecret",
		"MOLECULE_WORKSPACE_TOKEN=$secretsecret",
		"MOLECULE_WORKSPACE_TOKEN='secret secret'",
		"ROTATE_TO_REVEAL_TOKEN",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO(connection_fini) struct connection connection = { NULL };
		struct error err = { 0 };

		CHECK(read_into(&connection, texts[i], &err) < 0);
		CHECK(err.kind == ERROR_PARSE || err.kind == ERROR_INVALID_PARAMS);
		CHECK(err.text[0] && !strstr(err.text, "secret"));
	}
}

TEST(a_nul_in_the_text_is_refused)
{
	AUTO(connection_fini) struct connection connection = { NULL };
	struct error err;

	CHECK(connection_read(&connection, "WORKSPACE_ID=a\0b", 16, &err) < 0);
}
