/* SPDX-License-Identifier: MIT */
/*
 * rpc.*: the API about itself.
 */

#include <errno.h>

#include "rpc/call.h"
#include "rpc/discover.h"
#include "rpc/method.h"
#include "rpc/writer.h"

enum {
	CANCEL_ID
};

static int rpc_discover(struct call *call, struct error *err)
{
	discover_write(call_result(call), &call->hub->schema, call->hub->host.version);
	return 0;
}

/*
 * Meant as a notification: the answer is the cancelled call's own. Whoever asks
 * for one hears whether there was such a call.
 */
static int rpc_cancel(struct call *call, struct error *err)
{
	bool cancelled = call_cancel(call->caller, call->args[CANCEL_ID].text);
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_bool(out, "cancelled", cancelled);
	writer_close(out, '}');
	return 0;
}

const struct method methods_rpc[] = {
	{ "rpc.discover", POLICY_READ, rpc_discover, "describe this API (OpenRPC)", NO_FIELDS,
	  FIELDS({ "openrpc", FIELD_STRING, .help = "the version of OpenRPC" },
		 { "info", FIELD_OBJECT, .help = "title, description, version" },
		 { "methods", FIELD_OBJECTS, .help = "name, summary, params, result" },
		 { "components", FIELD_OBJECT, .help = "errors: the code of each kind" }) },
	{ "rpc.cancel", POLICY_READ, rpc_cancel, "cancel a call of this connection that waits",
	  FIELDS({ "id", FIELD_ID, FIELD_REQUIRED, .help = "the call's id, as it was written" }),
	  FIELDS({ "cancelled", FIELD_BOOLEAN, .help = "whether there was such a call" }) },
	{ 0 },
};
