/* SPDX-License-Identifier: MIT */
#include "agent/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"

static struct bundle *bundle_of(const char *answer)
{
	struct bundle *bundle;

	CHECK_INT(bundle_new(json_text_from(answer, strlen(answer)), &bundle), 0);
	return bundle;
}

static bool text_is(struct json_text text, const char *what)
{
	return text.len == strlen(what) && (!text.len || memcmp(text.at, what, text.len) == 0);
}

static bool value_is(const struct bundle *bundle, const char *key, const char *value)
{
	struct bundle_entry entry;

	return bundle_find(bundle, key, strlen(key), &entry) && text_is(entry.value, value);
}

TEST(members_are_kept_as_they_were_written_and_sorted)
{
	struct bundle *bundle =
		bundle_of(" { \"B\" : \"two\" ,\n\"AA\":\"\", \"A\" : \"\\u0031\" } ");

	CHECK(text_is(bundle_text(bundle), "{\"A\":\"\\u0031\",\"AA\":\"\",\"B\":\"two\"}"));
	CHECK_INT(bundle_count(bundle), 3);
	CHECK(text_is(bundle_entry(bundle, 0).key, "\"A\""));
	CHECK(text_is(bundle_entry(bundle, 0).value, "\"\\u0031\""));
	CHECK(text_is(bundle_entry(bundle, 1).key, "\"AA\""));
	CHECK(text_is(bundle_entry(bundle, 1).value, "\"\""));
	CHECK(text_is(bundle_entry(bundle, 2).key, "\"B\""));
	CHECK(text_is(bundle_entry(bundle, 2).value, "\"two\""));
	bundle_free(bundle);
}

TEST(no_secrets_need_no_memory)
{
	struct bundle_entry entry;
	struct bundle *bundle = bundle_of("{ }");

	CHECK(!bundle);
	CHECK(text_is(bundle_text(bundle), "{}"));
	CHECK_INT(bundle_count(bundle), 0);
	CHECK(!bundle_find(bundle, "A", 1, &entry));
	bundle_free(bundle);
}

TEST(what_is_not_a_flat_object_of_strings_is_no_bundle)
{
	static const char *const odd[] = {
		"[]",
		"\"sk-1\"",
		"",
		"{\"A\":1}",
		"{\"A\":\"1\",\"B\":null}",
		"{\"A\":{}}",
		"{\"A\":\"1\",\"B\":\"2\",\"A\":\"1\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct bundle *bundle = NULL;

		CHECK_INT(bundle_new(json_text_from(odd[i], strlen(odd[i])), &bundle), -EBADMSG);
		CHECK(!bundle);
	}
}

TEST(secrets_are_found_by_their_decoded_names)
{
	struct bundle *bundle =
		bundle_of("{\"PLAIN\":\"sk-1\",\"a\\u003cb\":\"sk-2\",\"line\\nline\":\"sk-3\","
			  "\"back\\\\nslash\":\"sk-4\",\"\\u00e9\":\"sk-5\",\"a\\\"b\":\"sk-6\"}");
	struct bundle_entry entry;

	CHECK(value_is(bundle, "PLAIN", "\"sk-1\""));
	CHECK(value_is(bundle, "a<b", "\"sk-2\""));
	CHECK(value_is(bundle, "line\nline", "\"sk-3\""));
	CHECK(value_is(bundle, "back\\nslash", "\"sk-4\""));
	CHECK(value_is(bundle, "\xc3\xa9", "\"sk-5\""));
	CHECK(value_is(bundle, "a\"b", "\"sk-6\""));
	CHECK(!bundle_find(bundle, "PLAI", 4, &entry));
	CHECK(!bundle_find(bundle, "", 0, &entry));
	bundle_free(bundle);
}

/* The JSON text of one name is the name of another one. */
TEST(a_name_is_not_found_by_how_it_is_written)
{
	struct bundle *bundle = bundle_of("{\"line\\nline\":\"sk-3\"}");
	struct bundle_entry entry;

	CHECK(!bundle_find(bundle, "line\\nline", 10, &entry));
	bundle_free(bundle);
}

static bool differ_by(const char *was, const char *is, const char *names)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1024);
	struct bundle *before = bundle_of(was), *now = bundle_of(is);

	bundle_compare(before, now, &out);
	bundle_free(before);
	bundle_free(now);
	return text_is((struct json_text){ buffer_at(&out), buffer_len(&out) }, names);
}

TEST(two_bundles_differ_by_what_came_went_or_has_another_value)
{
	CHECK(differ_by("{\"A\":\"1\",\"B\":\"2\"}", "{\"B\":\"2\",\"A\":\"1\"}", ""));
	CHECK(differ_by("{}", "{}", ""));
	CHECK(differ_by("{}", "{\"B\":\"2\",\"A\":\"1\"}", "[\"A\",\"B\"]"));
	CHECK(differ_by("{\"A\":\"1\",\"B\":\"2\"}", "{}", "[\"A\",\"B\"]"));
	CHECK(differ_by("{\"A\":\"1\",\"C\":\"3\",\"D\":\"4\"}",
			"{\"A\":\"1\",\"B\":\"2\",\"D\":\"5\",\"E\":\"\"}",
			"[\"B\",\"C\",\"D\",\"E\"]"));
}

TEST(a_bundle_of_thousands_is_one_text)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(1 << 20);
	struct bundle *bundle;

	for (int i = 0; i < 5000; i++)
		CHECK_INT(buffer_printf(&text, "%c\"K%04d\":\"%d\"", i ? ',' : '{', i, i), 0);
	CHECK_INT(buffer_append_text(&text, "}"), 0);
	CHECK_INT(bundle_new(json_text_from(buffer_at(&text), buffer_len(&text)), &bundle), 0);
	CHECK_INT(bundle_count(bundle), 5000);
	CHECK_INT(bundle_text(bundle).len, buffer_len(&text));
	CHECK(memcmp(bundle_text(bundle).at, buffer_at(&text), buffer_len(&text)) == 0);
	CHECK(value_is(bundle, "K4999", "\"4999\""));
	bundle_free(bundle);
}
