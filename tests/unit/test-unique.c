/* SPDX-License-Identifier: MIT */
#include "base/unique.h"

#include <string.h>

#include "lib/test.h"

TEST(uuids_are_of_version_4)
{
	char uuid[UUID_LEN + 1], same[UUID_LEN + 1];

	for (int i = 0; i < 1000; i++) {
		CHECK_INT(unique_uuid(uuid), 0);
		CHECK_INT(parse_uuid(uuid, same), 0);
		CHECK_TEXT(uuid, same);
		CHECK_INT(uuid[14], '4');
		CHECK(strchr("89ab", uuid[19]));
	}
}

TEST(no_name_comes_twice)
{
	char names[1000][UUID_LEN + 1], keys[1000][UNIQUE_KEY_LEN + 1];

	for (int i = 0; i < 1000; i++) {
		CHECK_INT(unique_uuid(names[i]), 0);
		CHECK_INT(unique_key(keys[i]), 0);
		CHECK_INT(strlen(keys[i]), UNIQUE_KEY_LEN);
		CHECK_INT(strspn(keys[i], "0123456789abcdef"), UNIQUE_KEY_LEN);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(names[i], names[j]) != 0 && strcmp(keys[i], keys[j]) != 0);
	}
}

TEST(two_at_once_are_two_of_them)
{
	char first[UUID_LEN + 1], second[UUID_LEN + 1], same[UUID_LEN + 1];

	CHECK_INT(unique_uuids(first, second), 0);
	CHECK_INT(parse_uuid(first, same), 0);
	CHECK_INT(parse_uuid(second, same), 0);
	CHECK_INT(first[14], '4');
	CHECK_INT(second[14], '4');
	CHECK(strcmp(first, second) != 0);
}

TEST(every_digit_is_drawn)
{
	bool seen[UNIQUE_KEY_LEN][16] = { { false } };
	char key[UNIQUE_KEY_LEN + 1];

	for (int i = 0; i < 1000; i++) {
		CHECK_INT(unique_key(key), 0);
		for (int at = 0; at < UNIQUE_KEY_LEN; at++)
			seen[at][key[at] <= '9' ? key[at] - '0' : key[at] - 'a' + 10] = true;
	}
	for (int at = 0; at < UNIQUE_KEY_LEN; at++)
		for (int digit = 0; digit < 16; digit++)
			CHECK(seen[at][digit]);
}
