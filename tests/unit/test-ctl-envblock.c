/* SPDX-License-Identifier: MIT */
#include "ctl/envblock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buffer.h"

#include "lib/test.h"

/* "NAME=value|" for each assignment; "NAME!|" for one that cannot be taken. */
static const char *read_all(const char *text)
{
	static char result[1024];
	AUTO(buffer_fini) struct buffer value = BUFFER_INIT(4096);
	struct envblock block = envblock(text, strlen(text));
	struct assignment assignment;
	size_t n = 0;

	result[0] = '\0';
	while (envblock_next(&block, &assignment, &value)) {
		if (assignment.why)
			n += (size_t)snprintf(result + n, sizeof(result) - n, "%s!%u|",
					      assignment.name, assignment.line);
		else
			n += (size_t)snprintf(result + n, sizeof(result) - n, "%s=%.*s|",
					      assignment.name, (int)buffer_len(&value),
					      buffer_len(&value) ? buffer_at(&value) : "");
		CHECK(n < sizeof(result));
	}
	return result;
}

TEST(reads_what_a_shell_would)
{
	CHECK_TEXT(read_all("A=1\nB=two\n"), "A=1|B=two|");
	CHECK_TEXT(read_all("export A=1 B=2\n  export\tC=3"), "A=1|B=2|C=3|");
	CHECK_TEXT(read_all("A='s p' B=\"d \\\"q\\\" \\\\ \\n\" C=e\\ f\n"),
		   "A=s p|B=d \"q\" \\ \\n|C=e f|");
	CHECK_TEXT(read_all("A=a'b'\"c\"d\n"), "A=abcd|");
	CHECK_TEXT(read_all("A=\nB=''\nC=\"\""), "A=|B=|C=|");
	CHECK_TEXT(read_all("A=1;B=2; C=3\n"), "A=1|B=2|C=3|");
	CHECK_TEXT(read_all("A=http://h:1/p?q=r#f\n"), "A=http://h:1/p?q=r#f|");
	CHECK_TEXT(read_all("_a1=x\n"), "_a1=x|");
}

TEST(passes_over_what_is_no_assignment)
{
	CHECK_TEXT(read_all(""), "");
	CHECK_TEXT(read_all("\n\n# A=1\n#\n"), "");
	CHECK_TEXT(read_all("A=1 # B=2\n"), "A=1|");
	CHECK_TEXT(read_all("mkdir -p ~/x\nA=1 claude --x=y\nB=2\n"), "A=1|B=2|");
	CHECK_TEXT(read_all("1A=x\n=y\nA B=z\nA-B=1\n"), "");
	CHECK_TEXT(read_all("A=1 \\\n  B=2 \\\n  claude\n"), "A=1|B=2|");
	CHECK_TEXT(read_all("\xef\xbb\xbf"
			    "A=1\r\nB=\"2\"\r\n"),
		   "A=1|B=2|");
}

TEST(a_name_longer_than_ours_is_passed_over)
{
	char text[ENV_NAME_MAX + 8];

	memset(text, 'N', sizeof(text));
	(void)snprintf(text + ENV_NAME_MAX + 1, 4, "=1\n");
	CHECK_TEXT(read_all(text), "");
	CHECK(strlen(read_all(text + 1)) == ENV_NAME_MAX + 3);
}

TEST(expands_nothing_and_says_so)
{
	CHECK_TEXT(read_all("A=$B\nC=1\n"), "A!1|C=1|");
	CHECK_TEXT(read_all("\nA=\"x $(id)\"\n"), "A!2|");
	CHECK_TEXT(read_all("A=`id`\n"), "A!1|");
	CHECK_TEXT(read_all("A='$B' B=\\$C C=\"\\$D\"\n"), "A=$B|B=$C|C=$D|");
}

TEST(a_quote_that_is_not_closed_ends_with_its_line)
{
	CHECK_TEXT(read_all("A='x\nB=1\n"), "A!1|B=1|");
	CHECK_TEXT(read_all("A=\"x\nB=1\n"), "A!1|B=1|");
	CHECK_TEXT(read_all("A=\"x\\"), "A!1|");
	CHECK_TEXT(read_all("A=x\\"), "A=x|");
}

TEST(knows_a_name_when_it_sees_one)
{
	CHECK(env_is_name("A", 1));
	CHECK(env_is_name("_9z", 3));
	CHECK(!env_is_name("", 0));
	CHECK(!env_is_name("9A", 2));
	CHECK(!env_is_name("A B", 3));
	CHECK(!env_is_name("A\0B", 3));
	CHECK(!env_is_name("\xc3\xa4", 2));
}

/* Every byte but NUL, in every position that quoting could get wrong. */
TEST(what_is_written_is_read_back_by_us_and_by_a_shell)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(65536), value = BUFFER_INIT(65536);
	struct assignment assignment;
	struct envblock block;
	char bytes[255 * 2];
	FILE *file;

	for (int i = 0; i < 255; i++) {
		bytes[i] = (char)(i + 1);
		bytes[509 - i] = (char)(i + 1);
	}

	CHECK_INT(env_write(&out, "V", 1, bytes, sizeof(bytes)), 0);

	file = fopen("script", "w");
	CHECK(file);
	(void)fprintf(file, "%.*sprintf %%s \"$V\" > out\n", (int)buffer_len(&out),
		      buffer_at(&out));
	CHECK_INT(fclose(file), 0);
	if (fork() == 0) {
		(void)execlp("sh", "sh", "script", NULL);
		_exit(1);
	}
	CHECK(wait(NULL) > 0);

	CHECK_INT(truncate("script", 0), 0);
	file = fopen("out", "r");
	CHECK(file);
	CHECK_INT(fread(buffer_at(&out) ? bytes : NULL, 1, sizeof(bytes), file), sizeof(bytes));
	CHECK_INT(fgetc(file), EOF);
	(void)fclose(file);
	for (int i = 0; i < 255; i++)
		CHECK(bytes[i] == (char)(i + 1) && bytes[509 - i] == (char)(i + 1));

	/* We do not take a value of several lines. */
	block = envblock("V='it'\\''s'\n", 12);
	CHECK(envblock_next(&block, &assignment, &value));
	CHECK(buffer_len(&value) == 4 && memcmp(buffer_at(&value), "it's", 4) == 0);
}

TEST(what_a_shell_cannot_hold_is_not_written)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);

	CHECK_INT(env_write(&out, "A-B", 3, "x", 1), -EINVAL);
	CHECK_INT(env_write(&out, "", 0, "x", 1), -EINVAL);
	CHECK_INT(env_write(&out, "A", 1, "a\0b", 3), -EILSEQ);
	CHECK_INT(buffer_len(&out), 0);
}
