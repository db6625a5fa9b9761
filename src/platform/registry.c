/* SPDX-License-Identifier: MIT */
/*
 * Registering, beating, and showing the card. The platform's decoder is strict
 * about integers (1.0 is refused) and takes what is missing as zero, so a
 * heartbeat always says everything.
 */

#include "platform/registry.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/jsontext.h"

#define NO_INBOUND "remote://no-inbound"
#define BODY_MAX (4u << 20) /* a card may have megabytes; the platform takes them */

static int write_text(struct buffer *body, const char *name, const char *text)
{
	(void)buffer_printf(body, "\"%s\":", name);
	return json_write_string(body, text, strlen(text));
}

/* A card when the owner gave none: the platform wants the member to be there. */
static int write_card(struct buffer *body, const char *card, const char *name)
{
	(void)buffer_append_text(body, ",\"agent_card\":");
	if (card)
		return buffer_append_text(body, card);

	(void)buffer_append_text(body, "{");
	(void)write_text(body, "name", name);
	return buffer_append_text(body, "}");
}

static int write_join(struct buffer *body, const struct registry_join *join)
{
	(void)buffer_printf(body, "{\"id\":\"%s\"", join->id);

	switch (join->way) {
	case REGISTRY_URL:
		(void)buffer_append_text(body, ",");
		(void)write_text(body, "url", join->url);
		break;
	case REGISTRY_POLL:
		(void)buffer_append_text(body, ",\"delivery_mode\":\"poll\"");
		break;
	case REGISTRY_NO_INBOUND:
	case REGISTRY_UNKNOWN:
	case REGISTRY_HEARTBEAT:
		(void)buffer_append_text(body, ",\"url\":\"" NO_INBOUND "\"");
		break;
	}

	(void)write_card(body, join->card, join->name);
	return buffer_append_text(body, "}");
}

static int registry_post(struct platform_call *call, struct platform *platform,
			 const struct buffer *body, struct platform_spec spec, struct error *err)
{
	if (body->failed)
		return error_set(err, ERROR_INTERNAL, -body->failed, "cannot %s: %m", spec.what);

	spec.method = "POST";
	spec.body = buffer_at(body);
	spec.body_len = buffer_len(body);
	return platform_call_start(call, platform, &spec, err);
}

int registry_register(struct platform_call *call, struct platform *platform,
		      const struct registry_join *join, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(BODY_MAX);
	char what[128];

	(void)snprintf(what, sizeof(what), "register %s", join->name);
	(void)write_join(&body, join);
	return registry_post(call, platform, &body,
			     (struct platform_spec){
				     .class = PLATFORM_STATE,
				     .path = "/registry/register",
				     .what = what,
				     .id = join->id,
				     .token = join->token,
			     },
			     err);
}

/* The platform keeps it in an int32. */
static int32_t clip_int32(int64_t value)
{
	return (int32_t)MIN(MAX(value, (int64_t)0), (int64_t)INT32_MAX);
}

int registry_heartbeat(struct platform_call *call, struct platform *platform,
		       const struct registry_beat *beat, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(BODY_MAX);
	char what[128];

	(void)snprintf(what, sizeof(what), "send the heartbeat of %s", beat->name);
	(void)buffer_printf(&body,
			    "{\"workspace_id\":\"%s\",\"error_rate\":%.6g,\"active_tasks\":%d,"
			    "\"uptime_seconds\":%d,",
			    beat->id, isfinite(beat->error_rate) ? beat->error_rate : 0.0,
			    clip_int32(beat->active_tasks), clip_int32(beat->uptime_s));
	(void)write_text(&body, "current_task", beat->current_task);
	(void)buffer_append_char(&body, ',');
	(void)write_text(&body, "sample_error", beat->sample_error);
	(void)buffer_append_char(&body, ',');
	(void)write_text(&body, "runtime_state", beat->runtime_state);
	(void)buffer_append_char(&body, '}');

	return registry_post(call, platform, &body,
			     (struct platform_spec){
				     .class = PLATFORM_HEARTBEAT,
				     .path = "/registry/heartbeat",
				     .what = what,
				     .id = beat->id,
				     .token = beat->token,
				     .timeout_ms = beat->timeout_ms,
			     },
			     err);
}

int registry_update_card(struct platform_call *call, struct platform *platform, const char *id,
			 const char *token, const char *card, size_t card_len, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(BODY_MAX);

	(void)buffer_printf(&body, "{\"workspace_id\":\"%s\",\"agent_card\":", id);
	(void)buffer_append(&body, card, card_len);
	(void)buffer_append_char(&body, '}');
	return registry_post(call, platform, &body,
			     (struct platform_spec){
				     .class = PLATFORM_FOREGROUND,
				     .path = "/registry/update-card",
				     .what = "update the agent card",
				     .id = id,
				     .token = token,
			     },
			     err);
}

const char *registry_way_name(enum registry_way way)
{
	switch (way) {
	case REGISTRY_UNKNOWN:
		return "unknown";
	case REGISTRY_URL:
		return "url";
	case REGISTRY_NO_INBOUND:
		return "no-inbound";
	case REGISTRY_POLL:
		return "poll";
	case REGISTRY_HEARTBEAT:
		return "heartbeat";
	}
	return "?";
}
