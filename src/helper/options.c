/* SPDX-License-Identifier: MIT */
#include "helper/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"
#include "helper/pluginfile.h"

/* What the kernel and the formats can count; and none means nothing. */
#define NUMBER_MAX (INT64_C(1) << 40)
#define FILES_MAX 1000000

static int parse_limit(const char *text, int64_t max, uint64_t *ret, struct error *err)
{
	int64_t value;

	if (parse_int64(text, 1, max, &value) < 0)
		return error_set(err, ERROR_INTERNAL, EINVAL,
				 "a limit of molecule-unpack is not a number from 1 to %lld",
				 (long long)max);

	*ret = (uint64_t)value;
	return 0;
}

static int parse_name(const char *text, struct unpack_request *request, struct error *err)
{
	if (!policy_plugin_name(text))
		return error_set(err, ERROR_INTERNAL, EINVAL,
				 "a plugin's name is up to %d letters, digits, '.', '_' and '-', "
				 "and does not begin with '.'",
				 POLICY_NAME_MAX);

	request->name = text;
	return 0;
}

static int parse_sha256(const char *text, struct unpack_request *request, struct error *err)
{
	if (!pluginfile_is_sha256(text))
		return error_set(err, ERROR_INTERNAL, EINVAL,
				 "a sha256 is %d hexadecimal digits in lower case", SHA256_HEX_LEN);

	request->sha256 = text;
	return 0;
}

/* What a task has to be told, beside what it may. */
static bool takes(enum task task, int option)
{
	switch (task) {
	case TASK_UNPACK:
		return option != 't' && option != 'a' && option != 'y';
	case TASK_ACTIVATE:
		return option == 'n' || option == 't' || option == 'y';
	case TASK_RETIRE:
		return option == 'n' || option == 'a';
	case TASK_VERIFY:
	case TASK_REMOVE:
	case TASK_LIST:
	case TASK_TIDY:
	case TASK_VERSION:
		break;
	}
	return false;
}

static int parse_option(int option, struct options *options, struct error *err)
{
	struct unpack_request *request = &options->request;

	switch (takes(options->task, option) ? option : '?') {
	case 'n':
		return parse_name(optarg, request, err);
	case 's':
		return parse_sha256(optarg, request, err);
	case 'p':
		return parse_limit(optarg, NUMBER_MAX, &request->limits.packed, err);
	case 'u':
		return parse_limit(optarg, NUMBER_MAX, &request->limits.unpacked, err);
	case 'f':
		return parse_limit(optarg, FILES_MAX, &request->limits.files, err);
	case 'r':
		return parse_limit(optarg, NUMBER_MAX, &request->limits.ratio, err);
	case 't':
		options->to = optarg;
		return 0;
	case 'y':
		options->sync = true;
		return 0;
	case 'a':
		options->as = optarg;
		return 0;
	case 'm':
		if (parse_bool(optarg, &request->manifest_required) == 0)
			return 0;
		break;
	default:
		break;
	}
	return error_set(err, ERROR_INTERNAL, EINVAL,
			 "molecule-unpack was called with an option "
			 "that it does not have: see molecule-unpack(8)");
}

static int parse_task(const char *text, enum task *ret, struct error *err)
{
	static const char *const names[] = {
		[TASK_UNPACK] = "unpack", [TASK_VERIFY] = "verify",     [TASK_REMOVE] = "remove",
		[TASK_LIST] = "list",     [TASK_ACTIVATE] = "activate", [TASK_RETIRE] = "retire",
		[TASK_TIDY] = "tidy",     [TASK_VERSION] = "--version",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum task)i;
			return 0;
		}

	return error_set(err, ERROR_INTERNAL, EINVAL,
			 "molecule-unpack was not told what to do: see molecule-unpack(8)");
}

int options_parse(int argc, char *argv[], struct options *options, struct error *err)
{
	static const struct option known[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "sha256", required_argument, NULL, 's' },
		{ "max-packed", required_argument, NULL, 'p' },
		{ "max-unpacked", required_argument, NULL, 'u' },
		{ "max-files", required_argument, NULL, 'f' },
		{ "max-ratio", required_argument, NULL, 'r' },
		{ "require-manifest", required_argument, NULL, 'm' },
		{ "to", required_argument, NULL, 't' },
		{ "sync", no_argument, NULL, 'y' },
		{ "as", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int option, r;

	*options = (struct options){
		.request.limits = {
			.packed = POLICY_PACKED_MAX,
			.unpacked = POLICY_UNPACKED_MAX,
			.files = POLICY_FILES_MAX,
			.ratio = POLICY_RATIO_MAX,
		},
		.request.manifest_required = true,
	};
	r = parse_task(argc > 1 ? argv[1] : "", &options->task, err);
	if (r < 0)
		return r;

	opterr = 0;
	optind = 2;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		r = parse_option(option, options, err);
		if (r < 0)
			return r;
	}
	if (optind != argc || (options->task == TASK_ACTIVATE && !options->to) ||
	    (options->task == TASK_RETIRE && !options->as))
		return parse_option('?', options, err);
	if (takes(options->task, 'n') && !options->request.name)
		return parse_name("", &options->request, err);
	return 0;
}
