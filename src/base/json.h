/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * json-c, behind our own scanner: for everything that is not hot. Getters with
 * a strict view of types: a member that is there with another type is as if it
 * were not there, which the getter's result tells.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * Strictly checked (JSON_DEPTH_MAX, JSON_VALUES_MAX), then parsed; the caller puts
 * it with json_object_put(). The text null is a NULL object. Integers past 64
 * bits come out as the nearest that fits; who must not change them reads the
 * text in place.
 */
int json_parse(const char *text, size_t len, struct json_object **ret, struct error *err);

/* AUTO(json_object_put) struct json_object *object = NULL; */
static inline void json_object_put_auto(struct json_object **object)
{
	(void)json_object_put(*object);
}

/* Borrowed; NULL when it is not there or has another type (or is a string with a NUL in it). */
const char *json_get_string(const struct json_object *object, const char *name);
struct json_object *json_get_object(const struct json_object *object, const char *name);
struct json_object *json_get_array(const struct json_object *object, const char *name);

/* false when it is not there, has another type, or does not fit. Any number is a double. */
bool json_get_bool(const struct json_object *object, const char *name, bool *ret);
bool json_get_int64(const struct json_object *object, const char *name, int64_t *ret);
bool json_get_double(const struct json_object *object, const char *name, double *ret);

/*
 * Adding to an object. A NULL text becomes null; a NULL value means that making
 * it failed, so that json_add(object, name, json_object_new_array()) needs no
 * check of its own. Each returns 0 or -ENOMEM; the value is put when it cannot
 * be added.
 */
int json_add_null(struct json_object *object, const char *name);
int json_add(struct json_object *object, const char *name, struct json_object *value);
int json_add_string(struct json_object *object, const char *name, const char *text);
int json_add_bool(struct json_object *object, const char *name, bool value);
int json_add_int64(struct json_object *object, const char *name, int64_t value);
int json_add_double(struct json_object *object, const char *name, double value);
/* RFC 3339 UTC with milliseconds; 0 becomes null. */
int json_add_time(struct json_object *object, const char *name, int64_t unix_ms);

/*
 * Compact, without escaped slashes. Always valid: bytes that are not UTF-8 become
 * U+FFFD, numbers that are not finite null. 0, -ENOMEM or -EMSGSIZE.
 */
int json_write(struct buffer *out, struct json_object *object);
