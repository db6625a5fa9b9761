/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The methods of the local API as data: one line each says what it is called,
 * who may call it, what goes in and what comes out. Dispatch, access control,
 * argument errors, rpc.discover and what the manual has to mention follow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/jsontext.h"
#include "rpc/policy.h"

#define SCHEMA_PARAMS_MAX 8
#define SCHEMA_METHODS_MAX 64

enum field_type {
	FIELD_END,       /* ends a list of fields */
	FIELD_WORKSPACE, /* name or id of a workspace; the only one, when it is left out */
	FIELD_STRING,
	FIELD_INTEGER,
	FIELD_NUMBER,
	FIELD_BOOLEAN,
	FIELD_STRINGS, /* an array of strings */
	FIELD_OBJECT,
	FIELD_ID, /* a string, a number or null: the id of a call */
	/* of results only */
	FIELD_OBJECTS, /* an array of objects */
	FIELD_TIME,    /* RFC 3339 UTC with milliseconds */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_NULLABLE = 1 << 1, /* of a result: null when there is none */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags;
	int64_t min, max; /* of a number; max: bytes of a string, members of an array; 0: any */
	const char *help; /* half a sentence */
};

struct call;

/*
 * Does the work: 0 when the result is written, CALL_PARKED when it waits for
 * something, or negative with *err filled.
 */
typedef int (*method_fn)(struct call *call, struct error *err);

struct method {
	const char *name;
	enum policy_class class;
	method_fn fn;
	const char *help;
	const struct field *params; /* in the order in which positional ones are taken */
	const struct field *results;
};

#define FIELDS(...) ((const struct field[]){ __VA_ARGS__, { .type = FIELD_END } })
#define NO_FIELDS ((const struct field[]){ { .type = FIELD_END } })
#define FIELD_THE_WORKSPACE                                                     \
	{                                                                       \
		"workspace", FIELD_WORKSPACE,                                   \
			.help = "name or id; may be left out when there is one" \
	}

#define field_for_each(pos, fields) \
	for (const struct field *pos = (fields); pos->type != FIELD_END; pos++)

/* All methods there are, from tables that each end with a line without name. */
struct schema {
	const struct method *list[SCHEMA_METHODS_MAX]; /* in the order of the tables */
	struct {
		const char *name;
		size_t len;
		int at;                /* in the list */
	} by_name[SCHEMA_METHODS_MAX]; /* by length, then by name */
	size_t n;
};

void schema_init(struct schema *schema, const struct method *const tables[], size_t n_tables);
/* Its place in the list, or -1. name is a JSON string. */
int schema_find(const struct schema *schema, struct json_text name);

/* An argument, checked. text.len is 0 when it was not given, or given as null. */
struct arg {
	struct json_text text;
	union {
		int64_t integer;
		double number;
		bool boolean;
	};
};

static inline bool arg_given(const struct arg *arg)
{
	return arg->text.len > 0;
}

/* params is JSON_NONE, an object or an array. ERROR_INVALID_PARAMS names the member. */
int schema_read_args(const struct method *method, struct json_text params,
		     struct arg args[static SCHEMA_PARAMS_MAX], struct error *err);

/* "a string", "an array of strings" */
const char *field_type_name(enum field_type type);
