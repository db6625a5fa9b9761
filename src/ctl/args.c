/* SPDX-License-Identifier: MIT */
/*
 * Reading the command line, from left to right.
 */

#include "ctl/args.h"

#include <string.h>

#include "ctl/say.h"

#define TOKEN_REFUSED                                                                       \
	"a token is not taken from the arguments, where every process on this machine can " \
	"read it: use standard input, a prompt, or --token-file"

struct reader {
	struct args *args;
	char *const *next; /* the argument to read next */
	const char *name;  /* the first word of a command whose second has not come */
	bool no_options;   /* behind "--" */
};

static const char *topic_of(const struct reader *reader)
{
	if (reader->args->command)
		return reader->args->command->name;

	return reader->name;
}

static void add_given(struct args *args, const struct option_spec *option, const char *value)
{
	args->given[args->n_given++] = (struct given){ option, value };
}

/* The value is behind the option's name ("=..." or "...") or it is the next argument. */
static int take_value(struct reader *reader, const struct option_spec *option, const char *attached)
{
	if (!option->value) {
		if (attached)
			return say_usage(topic_of(reader), "--%s takes no value", option->name);
		add_given(reader->args, option, "");
		return 0;
	}

	if (!attached) {
		attached = *reader->next;
		if (!attached)
			return say_usage(topic_of(reader), "--%s needs a value: %s", option->name,
					 option->value);
		reader->next++;
	}

	add_given(reader->args, option, attached);
	return 0;
}

static int read_long(struct reader *reader, const char *name)
{
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *option;

	if (len == strlen("token") && strncmp(name, "token", len) == 0)
		return say_usage(topic_of(reader), "%s", TOKEN_REFUSED);

	option = option_find(reader->args->command, name, len);
	if (!option)
		return say_usage(topic_of(reader), "there is no option --%.*s here", (int)len,
				 name);

	return take_value(reader, option, equals ? equals + 1 : NULL);
}

/* "-f", "-wNAME", "-fwNAME" */
static int read_short(struct reader *reader, const char *letters)
{
	const struct option_spec *option;
	const char *rest;
	int status;

	for (; *letters; letters++) {
		option = option_find_letter(reader->args->command, *letters);
		if (!option)
			return say_usage(topic_of(reader), "there is no option -%c here", *letters);

		rest = option->value && letters[1] ? letters + 1 : NULL;
		status = take_value(reader, option, rest);
		if (status || option->value)
			return status;
	}
	return 0;
}

static int read_word(struct reader *reader, const char *word)
{
	struct args *args = reader->args;

	if (args->command) {
		args->words[args->n_words++] = word;
		return 0;
	}

	if (!reader->name && !command_exists(word))
		return say_usage(NULL, "there is no command '%s'", word);

	if (!reader->name && command_has_verbs(word)) {
		reader->name = word;
		return 0;
	}

	args->command = reader->name ? command_find(reader->name, word) : command_find(word, NULL);
	if (!args->command)
		return say_usage(reader->name, "there is no command '%s %s'", reader->name, word);
	return 0;
}

static int read_one(struct reader *reader)
{
	const char *arg = *reader->next++;

	if (reader->no_options || arg[0] != '-' || !arg[1])
		return read_word(reader, arg);

	if (strcmp(arg, "--") == 0) {
		reader->no_options = true;
		return 0;
	}

	return arg[1] == '-' ? read_long(reader, arg + 2) : read_short(reader, arg + 1);
}

/* Whether what was read makes a whole command. */
static int check(const struct reader *reader)
{
	const struct args *args = reader->args;
	const struct command *command = args->command;

	if (args_has(args, "help") || args_has(args, "version"))
		return 0;

	if (!command)
		return reader->name
			       ? say_usage(reader->name, "'%s' needs a second word", reader->name)
			       : 0;

	if (args->n_words < command->min_words)
		return say_usage(command->name, "'%s' needs %s", command->name, command->words);

	if (args->n_words > command->max_words)
		return say_usage(command->name, "'%s' is one word too many",
				 args->words[command->max_words]);

	if (command->no_workspace && args_has(args, "workspace"))
		return say_usage(command->name, "'%s' takes no --workspace", command->name);
	return 0;
}

/* "-fff" are three options in one argument: no more than there are bytes. */
static size_t count_bytes(char *const argv[])
{
	size_t n = 1;

	for (; *argv; argv++)
		n += strlen(*argv);

	return n;
}

int args_parse(struct args *args, int argc, char *argv[])
{
	struct reader reader = { .args = args, .next = argv + (argc > 0) };
	int status = 0;

	*args = (struct args){ NULL };
	args->given = calloc(count_bytes(argv), sizeof(*args->given));
	args->words = calloc((size_t)argc + 1, sizeof(*args->words));
	if (!args->given || !args->words)
		return say_no_memory();

	while (!status && *reader.next)
		status = read_one(&reader);

	return status ? status : check(&reader);
}

void args_fini(struct args *args)
{
	free(args->given);
	free(args->words);
	*args = (struct args){ NULL };
}

const char *args_get(const struct args *args, const char *name)
{
	const char *value = NULL;

	for (const struct given *given = args->given; given->option; given++)
		if (strcmp(given->option->name, name) == 0)
			value = given->value;

	return value;
}

bool args_has(const struct args *args, const char *name)
{
	return args_get(args, name) != NULL;
}
