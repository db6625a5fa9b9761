/* SPDX-License-Identifier: MIT */
/*
 * Standing warnings: raised once, told once, and gone when they are mended.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/context.h"
#include "agent/messages.h"
#include "base/log.h"

static struct agent_warning *warning_find(const struct agent_context *context, const char *code,
					  const char *workspace)
{
	list_for_each (node, &context->warnings) {
		struct agent_warning *warning = list_entry(node, struct agent_warning, node);

		if (strcmp(warning->code, code) == 0 && strcmp(warning->workspace, workspace) == 0)
			return warning;
	}

	return NULL;
}

void agent_warn(struct agent_context *context, const char *code, const char *workspace,
		enum agent_warning_severity severity, const char *format, ...)
{
	struct agent_warning *warning = warning_find(context, code, workspace);
	bool raised = !warning;
	va_list args;

	if (!warning)
		warning = calloc(1, sizeof(*warning));
	if (!warning) {
		log_error("out of memory while raising the warning %s", code);
		return;
	}

	warning->severity = severity;
	va_start(args, format);
	(void)vsnprintf(warning->text, sizeof(warning->text), format, args);
	va_end(args);
	if (!raised)
		return;

	(void)snprintf(warning->code, sizeof(warning->code), "%s", code);
	(void)snprintf(warning->workspace, sizeof(warning->workspace), "%s", workspace);
	warning->since_wall_ms = wall_now_ms();
	list_append(&context->warnings, &warning->node);
	log_event(severity == AGENT_CRITICAL ? LOG_ERR : LOG_WARNING,
		  workspace[0] ? workspace : NULL, "warning_raised", MESSAGE_WARNING, "%s",
		  warning->text);
	context->events->on_warning(context->events_data, warning, true);
}

void agent_unwarn(struct agent_context *context, const char *code, const char *workspace)
{
	struct agent_warning *warning = warning_find(context, code, workspace);

	if (!warning)
		return;

	list_remove(&warning->node);
	log_event(LOG_INFO, workspace[0] ? workspace : NULL, "warning_gone", NULL, "mended: %s",
		  warning->code);
	context->events->on_warning(context->events_data, warning, false);
	free(warning);
}

void agent_unwarn_all(struct agent_context *context, const char *workspace)
{
	list_for_each_safe (node, &context->warnings) {
		struct agent_warning *warning = list_entry(node, struct agent_warning, node);

		if (strcmp(warning->workspace, workspace) == 0)
			agent_unwarn(context, warning->code, workspace);
	}
}

bool agent_has_warnings(const struct agent_context *context)
{
	return !list_empty(&context->warnings);
}
