/* SPDX-License-Identifier: MIT */
/*
 * The bytes as agentd.conf and as a workspace's file. Either there is a
 * configuration or a sentence that says why not; what is there can be said.
 */

#include "config.h"
#include "fuzz.h"

static void ignore(const char *section, const char *key, bool needs_restart, void *context)
{
}

static void say(const struct config *config)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(CONFIG_FILE_MAX);
	AUTO(config_free) struct config *again = NULL;

	/* A dump is for people: a long line or a ; behind a blank may keep it from loading. */
	if (config_dump(config, &out) == 0 &&
	    config_parse("dump", NULL, buffer_at(&out), buffer_len(&out), &again, NULL) == 0)
		config_compare(config, again, ignore, NULL);
}

static void parse(const char *name, const char *text, size_t len)
{
	AUTO(config_free) struct config *config = NULL;
	struct error err = { 0 };
	int r;

	r = config_parse("fuzz.conf", name, text, len, &config, &err);
	REQUIRE((r < 0) == (err.text[0] != '\0'));
	REQUIRE((r == 0) == (config != NULL));
	if (config)
		say(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char nothing[1];
	const char *text = len ? (const char *)bytes : nothing;

	parse(NULL, text, len);
	parse("laptop", text, len);
	return 0;
}
