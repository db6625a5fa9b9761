/* SPDX-License-Identifier: MIT */
/*
 * The tables, in the order in which rpc.discover shows them.
 */

#include "rpc/method.h"

static const struct method *const tables[] = {
	methods_daemon, methods_rpc, methods_workspace,  methods_token,   methods_secrets,
	methods_peers,  methods_a2a, methods_delegation, methods_plugins, methods_events,
};

void method_init_schema(struct schema *schema)
{
	schema_init(schema, tables, ARRAY_LEN(tables));
}
