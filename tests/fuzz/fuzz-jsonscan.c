/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a JSON text: however they are cut, the verdict is the same; what
 * passes is JSON to json-c, too, can be read in place, and has as many values
 * as were counted.
 */

#include <json-c/json.h>
#include <string.h>

#include "base/json.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "base/util.h"
#include "fuzz.h"

#define VALUES_MAX 5000 /* small enough to be passed by what a fuzzer writes */

static enum json_verdict scan_cut(struct json_scan *scan, const char *text, size_t len,
				  uint32_t *random, size_t *ret_used)
{
	enum json_verdict verdict = JSON_MORE;
	size_t at = 0, used;

	json_scan_init(scan, JSON_DEPTH_MAX, VALUES_MAX);
	while (at < len && verdict == JSON_MORE) {
		size_t n = MIN(len - at, (size_t)(fuzz_random(random) % 12 + 1));

		verdict = json_scan_feed(scan, text + at, n, &used);
		REQUIRE(used <= n && (verdict != JSON_MORE || used == n));
		at += used;
	}

	*ret_used = at;
	return verdict;
}

static void check_cuts(const char *text, size_t len, uint32_t seed)
{
	enum json_verdict verdict, end;
	struct json_scan whole, cut;
	size_t used, cut_used;

	json_scan_init(&whole, JSON_DEPTH_MAX, VALUES_MAX);
	verdict = json_scan_feed(&whole, text, len, &used);
	end = json_scan_end(&whole);
	for (int i = 0; i < 3; i++) {
		REQUIRE(scan_cut(&cut, text, len, &seed, &cut_used) == verdict);
		REQUIRE(cut_used == used);
		REQUIRE(cut.values == whole.values && cut.depth == whole.depth);
		REQUIRE(cut.nul_in_name == whole.nul_in_name);
		REQUIRE(json_scan_end(&cut) == end);
	}
}

static void read_string(struct json_text string)
{
	char *text = malloc(string.len);
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(SIZE_MAX / 4);
	ssize_t len;

	REQUIRE(text);
	len = json_text_decode(string, text, string.len);
	REQUIRE(len >= 0 && (size_t)len <= string.len - 2);

	/* Written and read again, it is the same. */
	REQUIRE(json_write_string(&out, text, (size_t)len) == 0);
	REQUIRE(json_check(buffer_at(&out), buffer_len(&out), 0, 1, NULL) == 0);
	REQUIRE(json_text_decode(json_text_from(buffer_at(&out), buffer_len(&out)), text,
				 string.len) == len);
	free(text);
}

/* How many values there are in it, itself included. */
static uint32_t read_value(struct json_text value)
{
	struct json_iter iter = json_iter(value);
	struct json_text name, element;
	uint32_t n = 1;
	int64_t integer;
	double number;

	switch (json_text_kind(value)) {
	case JSON_STRING:
		read_string(value);
		break;
	case JSON_NUMBER:
		(void)json_text_double(value, &number);
		if (json_text_int64(value, &integer) == 0)
			REQUIRE(json_text_double(value, &number) == 0 && (double)integer == number);
		break;
	case JSON_ARRAY:
		while (json_next_element(&iter, &element))
			n += read_value(element);
		break;
	case JSON_OBJECT:
		while (json_next_member(&iter, &name, &element)) {
			REQUIRE(json_text_kind(name) == JSON_STRING);
			read_string(name);
			n += read_value(element);
		}
		break;
	case JSON_NULL:
	case JSON_BOOL:
		break;
	case JSON_NONE:
		abort();
	}

	return n;
}

/* Ours must refuse all that json-c, at its strictest, refuses. */
static void check_json_c(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	struct json_object *object;
	enum json_tokener_error why;

	REQUIRE(tokener);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	why = json_tokener_get_error(tokener);
	if (why == json_tokener_continue) {
		object = json_tokener_parse_ex(tokener, " ", 1);
		why = json_tokener_get_error(tokener);
	}
	/* It refuses integers past 64 bits, which are JSON. */
	REQUIRE(why == json_tokener_success || why == json_tokener_error_parse_number);
	(void)json_object_put(object);
	json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(json_object_put) struct json_object *object = NULL;
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(SIZE_MAX / 4);
	const char *text = (const char *)bytes;
	struct error err = { 0 };
	struct json_scan scan;
	size_t used;

	check_cuts(text, len, fuzz_seed(bytes, len));
	if (json_check(text, len, JSON_DEPTH_MAX, VALUES_MAX, &err) < 0) {
		REQUIRE(err.kind == ERROR_PARSE || err.kind == ERROR_TOO_LARGE);
		return 0;
	}

	json_scan_init(&scan, JSON_DEPTH_MAX, VALUES_MAX);
	(void)json_scan_feed(&scan, text, len, &used);
	REQUIRE(read_value(json_text_from(text, len)) == scan.values);

	check_json_c(text, len);
	REQUIRE(json_parse(text, len, &object, &err) == 0);
	REQUIRE(json_write(&out, object) == 0);
	REQUIRE(json_check(buffer_at(&out), buffer_len(&out), JSON_DEPTH_MAX, VALUES_MAX, &err) ==
		0);
	return 0;
}
