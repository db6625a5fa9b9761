/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a plugin.yaml: what is taken from it is text of the right form
 * and length, and a refusal can be shown.
 */

#include <string.h>

#include "fuzz.h"
#include "helper/pluginfile.h"

static void check_text(const char *text, size_t size)
{
	REQUIRE(strnlen(text, size) < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct pluginfile file;
	struct refusal refusal = { 0 };

	if (len > PLUGINFILE_MAX)
		return 0;

	if (pluginfile_parse((const char *)bytes, len, &file, &refusal) < 0) {
		REQUIRE(refusal.err.kind && strcmp(refusal.entry, PLUGINFILE_PATH) == 0);
		require_shown(refusal.err.text);
		return 0;
	}

	REQUIRE(policy_plugin_name(file.name));
	REQUIRE(!file.sha256[0] || pluginfile_is_sha256(file.sha256));
	check_text(file.version, sizeof(file.version));
	check_text(file.description, sizeof(file.description));
	REQUIRE(file.n_runtimes <= PLUGINFILE_RUNTIMES_MAX);
	for (size_t i = 0; i < file.n_runtimes; i++)
		check_text(file.runtimes[i], sizeof(file.runtimes[i]));
	return 0;
}
