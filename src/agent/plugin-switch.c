/* SPDX-License-Identifier: MIT */
/*
 * The switch: one run of the helper, which is given the record.
 */

#include "agent/plugin-switch.h"

#define TIMEOUT_MS 60000

int plugin_switch_start(const struct plugin_switch *to, struct plugin_helper *helper,
			struct reaper *reaper, struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(PLUGIN_RECORD_MAX);
	const char *args[] = {
		"activate", "--name", to->name, "--to", to->record->dir, to->sync ? "--sync" : NULL,
		NULL,
	};
	const struct plugin_helper_ask ask = {
		.what = to->what,
		.args = args,
		.dirfd = to->dirfd,
		.input = true,
		.timeout_ms = TIMEOUT_MS,
	};
	int r;

	r = plugin_record_write(to->record, to->name, &text);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r,
				 "cannot write the record of plugin %s: %m", to->name);

	r = plugin_helper_start(helper, reaper, &ask, err);
	if (r < 0)
		return r;

	/* A pipe that is empty has room for a record. */
	(void)plugin_helper_write(helper, buffer_at(&text), buffer_len(&text));
	plugin_helper_end_input(helper);
	return 0;
}
