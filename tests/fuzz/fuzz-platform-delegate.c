/* SPDX-License-Identifier: MIT */
/*
 * The bytes as an answer to a delegation that was posted, and as a list of what
 * became of some. Whatever the rows say, a delegation has a status that the
 * platform may give it, and what is kept of its texts is short and whole.
 */

#include <stdlib.h>

#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "fuzz-answer.h"
#include "platform/delegate.h"

static void check_id(const char *id)
{
	REQUIRE(id && id[0] && strlen(id) <= DELEGATE_ID_MAX);
}

static void check_status(enum delegate_status status)
{
	REQUIRE(status > DELEGATE_PENDING && status <= DELEGATE_STATUS_LAST);
	REQUIRE(status != DELEGATE_UNKNOWN);
}

static void check_text(const char *text)
{
	struct buffer json = BUFFER_INIT(8 * DELEGATE_TEXT_MAX);
	char *kept;

	if (!text)
		return;

	kept = delegate_text_dup(text);
	REQUIRE(kept && strlen(kept) <= DELEGATE_TEXT_MAX && strlen(kept) <= strlen(text));
	REQUIRE(json_write_string(&json, kept, strlen(kept)) == 0);
	REQUIRE(json_check(buffer_at(&json), buffer_len(&json), 1, 1, NULL) == 0);
	buffer_fini(&json);
	free(kept);
}

static void check_rows(const struct delegate_row *rows, size_t n)
{
	struct delegate_row sum;

	for (size_t i = 0; i < n; i++) {
		check_id(rows[i].id);
		check_status(rows[i].status);
		REQUIRE(delegate_rows_find(rows, n, rows[i].id, &sum));
		REQUIRE(sum.status >= rows[i].status);
		REQUIRE(sum.status != DELEGATE_COMPLETED || !sum.error);
		check_text(sum.preview);
		check_text(sum.error);
	}
	REQUIRE(!delegate_rows_find(rows, n, "", &sum));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct delegate_row rows[64];
	enum delegate_status status;
	struct answer answer;
	const char *id;
	int n;

	if (!answer_init(&answer, bytes, len, false))
		return 0;

	if (delegate_posted(&answer.reply, &id, &status)) {
		check_id(id);
		check_status(status);
	}
	n = delegate_rows(&answer.reply, rows, ARRAY_LEN(rows));
	REQUIRE(n <= (int)ARRAY_LEN(rows));
	REQUIRE(n >= 0 || !delegate_list_is_full(&answer.reply));
	if (n >= 0)
		check_rows(rows, (size_t)n);
	answer_fini(&answer);
	return 0;
}
