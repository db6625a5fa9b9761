/* SPDX-License-Identifier: MIT */
/*
 * Files are INI as libinih reads it, with less freedom. inih has a line buffer
 * of 200 bytes on the stack and goes on with the rest of a longer line as if it
 * was another one; it cuts long section names, and ignores what follows them.
 * So it gets its lines from us, one by one, after they were looked at: what it
 * would take for something else than the person who wrote it, is refused here
 * with a sentence.
 */

#include "config-source.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "config.h"

#define INI_LINE_MAX 197   /* what every build of inih takes, without the line's end */
#define INI_SECTION_MAX 49 /* inih cuts longer ones */
#define GROWTH_MAX 4096    /* of a file that is being written while it is read */

#define BLANKS " \t"
#define BOM "\xef\xbb\xbf"

struct parser {
	struct config_source *source; /* borrowed */
	const char *at, *end;
	unsigned line;
	bool continues; /* the line goes on with the item before it */
	int r;          /* the first failure; nothing is read after it */
	struct error *err;
};

enum error_kind config_error_kind(int errnum)
{
	enum error_kind kind = file_error_kind(errnum);

	return kind == ERROR_NOT_FOUND ? ERROR_CONFIG : kind;
}

int config_fail(const char *path, unsigned line, int r, struct error *err)
{
	error_prefix(err, "%s:%u", path, line);
	if (err && err->kind == ERROR_INVALID_PARAMS)
		err->kind = ERROR_CONFIG;
	return r;
}

#define refuse(parser, ...)                                                                     \
	((parser)->r = config_fail((parser)->source->path, (parser)->line,                      \
				   error_set((parser)->err, ERROR_CONFIG, EINVAL, __VA_ARGS__), \
				   (parser)->err))

static struct config_section *last_section(const struct parser *parser)
{
	struct config_source *source = parser->source;

	return source->n_sections ? &source->sections[source->n_sections - 1] : NULL;
}

static struct config_item *last_item(const struct parser *parser)
{
	struct config_section *section = last_section(parser);

	return section && section->n_items ? &section->items[section->n_items - 1] : NULL;
}

/* Makes room for one more; sizes are powers of two, so none needs to be remembered. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;

	return reallocarray(array, n ? 2 * n : 1, size);
}

/* The length of the character that begins here, or 0 when it is no UTF-8. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (!len || len > left || p[0] > 0xf4)
		return 0;

	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;

	/* Overlong forms, surrogates, what is beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;

	return len;
}

static int check_characters(struct parser *parser, const char *line, size_t len)
{
	const unsigned char *p = (const unsigned char *)line;
	size_t step;

	for (size_t i = 0; i < len; i += step) {
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return refuse(parser, "there is a control character (0x%02x) in this line",
				      p[i]);

		step = utf8_len(p + i, len - i);
		if (!step)
			return refuse(parser, "this line is not UTF-8: save the file as UTF-8");
	}

	return 0;
}

static int add_section(struct parser *parser, const char *name, size_t len)
{
	struct config_source *source = parser->source;
	struct config_section *grown;
	char *copy;

	for (size_t i = 0; i < source->n_sections; i++)
		if (strncmp(source->sections[i].name, name, len) == 0 &&
		    !source->sections[i].name[len])
			return refuse(parser,
				      "[%.*s] is here a second time (first in line %u): "
				      "put both together, or give one another name",
				      (int)len, name, source->sections[i].line);

	grown = grow(source->sections, source->n_sections, sizeof(*grown));
	copy = strndup(name, len);
	if (grown)
		source->sections = grown;
	if (!grown || !copy) {
		free(copy);
		parser->r = error_set(parser->err, ERROR_INTERNAL, ENOMEM,
				      "no memory for the configuration");
		return parser->r;
	}

	source->sections[source->n_sections++] = (struct config_section){
		.name = copy,
		.line = parser->line,
	};
	return 0;
}

/* "[name]", and at most a comment behind it. */
static int check_section(struct parser *parser, const char *line)
{
	const char *name = line + 1 + strspn(line + 1, BLANKS);
	const char *end = strchr(name, ']');
	const char *rest = end ? end + 1 + strspn(end + 1, BLANKS) : "";

	if (!end || end == name || (*rest && *rest != ';' && *rest != '#'))
		return refuse(parser, "a section is a line of its own: [daemon], [rpc], [calls], "
				      "[plugins], [defaults] or [workspace NAME]");

	while (strchr(BLANKS, end[-1]))
		end--;
	if (end - name > INI_SECTION_MAX)
		return refuse(parser,
			      "this section's name is longer than %d characters: give the "
			      "workspace a file of its own, workspaces.d/NAME.conf",
			      INI_SECTION_MAX);

	return add_section(parser, name, (size_t)(end - name));
}

/* What was meant to be a line of its own, and what some versions of inih cut. */
static int check_continuation(struct parser *parser, const char *text)
{
	size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
	const char *behind = text + word + strspn(text + word, BLANKS);

	if (word && *behind == '=')
		return refuse(parser,
			      "\"%.*s\" is indented, so it would continue the line above: "
			      "remove the blanks before it",
			      (int)MIN(word, (size_t)40), text);

	/* No JSON array begins so: true, false and null are its only words. */
	if (text[0] == '[' && text[1] >= 'a' && text[1] <= 'z' && !strchr("tfn", text[1]))
		return refuse(parser, "this section is indented, so it would continue the line "
				      "above: remove the blanks before it");

	if (strstr(text, " ;") || strstr(text, "\t;"))
		return refuse(parser, "a line that continues another cannot have a comment: put it "
				      "on a line of its own (or, in JSON, write \\u003b for ;)");

	return 0;
}

/* line is NUL-terminated, without its end, and fits. */
static int check_line(struct parser *parser, const char *line)
{
	const char *text = line + strspn(line, BLANKS);

	parser->continues = text > line && last_item(parser);
	if (!*text)
		return 0;

	if (parser->continues)
		return check_continuation(parser, text);

	if (*text == '[')
		return check_section(parser, text);

	if (!last_section(parser))
		return refuse(parser, "this stands before any section: write one above it, "
				      "such as [daemon] (or [workspace] in a workspace's file)");

	return 0;
}

/* Reads a line for inih, as fgets() would. */
static char *next_line(char *line, int size, void *context)
{
	struct parser *parser = context;
	const char *start = parser->at, *end;
	size_t len, blanks;

	if (parser->r < 0 || parser->at == parser->end || size < 3)
		return NULL;

	parser->line++;
	end = memchr(start, '\n', (size_t)(parser->end - start));
	parser->at = end ? end + 1 : parser->end;
	len = (size_t)((end ? end : parser->end) - start);
	if (len && start[len - 1] == '\r')
		len--;

	if (check_characters(parser, start, len) < 0)
		return NULL;

	/* A comment may be as long as it likes. */
	for (blanks = 0; blanks < len && strchr(BLANKS, start[blanks]);)
		blanks++;
	if (blanks < len && strchr(";#", start[blanks]))
		len = 0;

	if (len > MIN((size_t)INI_LINE_MAX, (size_t)size - 3)) {
		(void)refuse(parser,
			     "this line is longer than %d bytes: go on in the next line, "
			     "which then begins with a blank",
			     INI_LINE_MAX);
		return NULL;
	}

	memcpy(line, start, len);
	line[len] = '\0';
	if (check_line(parser, line) < 0)
		return NULL;

	memcpy(line + len, "\n", 2);
	return line;
}

static int add_item(struct parser *parser, const char *name, const char *value)
{
	struct config_section *section = last_section(parser);
	struct config_item *grown = grow(section->items, section->n_items, sizeof(*grown));
	struct config_item item = { strdup(name), strdup(value), parser->line };

	if (grown)
		section->items = grown;
	if (!grown || !item.name || !item.value) {
		free(item.name);
		free(item.value);
		return -ENOMEM;
	}

	section->items[section->n_items++] = item;
	return 0;
}

static int continue_item(struct parser *parser, const char *value)
{
	struct config_item *item = last_item(parser);
	size_t old = strlen(item->value), len = strlen(value);
	char *grown = realloc(item->value, old + len + 2);

	if (!grown)
		return -ENOMEM;

	item->value = grown;
	grown[old] = '\n';
	memcpy(grown + old + 1, value, len + 1);
	return 0;
}

/* Returns 0 to say no, as inih wants it. */
static int on_item(void *context, const char *section, const char *name, const char *value)
{
	struct parser *parser = context;
	int r;

	if (parser->r < 0)
		return 0;

	r = parser->continues ? continue_item(parser, value ? value : "")
			      : add_item(parser, name, value ? value : "");
	if (r < 0)
		parser->r = error_set(parser->err, ERROR_INTERNAL, -r,
				      "no memory for the configuration");
	return r == 0;
}

int config_source_parse(const char *path, const char *bytes, size_t len, struct config_source **ret,
			struct error *err)
{
	AUTO(config_source_free) struct config_source *source = NULL;
	struct parser parser = { .err = err };
	int line;

	source = calloc(1, sizeof(*source));
	if (source)
		source->path = strdup(path);
	if (!source || !source->path)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the configuration");

	parser.source = source;
	parser.at = bytes;
	parser.end = bytes + len;
	if (len >= strlen(BOM) && memcmp(bytes, BOM, strlen(BOM)) == 0)
		parser.at += strlen(BOM);

	line = ini_parse_stream(next_line, &parser, on_item, &parser);
	if (line > 0 && (parser.r == 0 || (unsigned)line < parser.line)) {
		parser.line = (unsigned)line;
		(void)refuse(&parser,
			     "this is neither \"key = value\" nor a [section]; a line that "
			     "continues the one above begins with a blank");
	}
	if (parser.r < 0)
		return parser.r;

	*ret = TAKE(source);
	return 0;
}

int config_read_text(const char *path, size_t max, char **ret, size_t *ret_len, struct error *err)
{
	AUTO(free) char *text = NULL;
	AUTO(fd_close) int fd = -1;
	struct stat st;
	size_t room;
	int r;

	/* O_NONBLOCK: a FIFO in the place of a file does not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set(err, config_error_kind(errno), errno, "cannot open %s: %m", path);

	if (fstat(fd, &st) < 0)
		return error_set(err, config_error_kind(errno), errno, "cannot stat %s: %m", path);

	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_CONFIG, EINVAL, "%s is no regular file", path);

	if ((uint64_t)st.st_size > max)
		return error_set(err, ERROR_CONFIG, EFBIG, "%s is larger than %zu bytes", path,
				 max);

	/* Not of the limit's size: it is wiped when it is freed, and most files are small. */
	room = MIN((size_t)st.st_size + GROWTH_MAX, max);
	text = malloc(room + 1);
	if (!text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for %s", path);

	r = fd_read_all(fd, text, room, ret_len);
	if (r < 0)
		return error_set(err, config_error_kind(-r), -r, "cannot read %s: %m", path);

	text[*ret_len] = '\0';
	*ret = TAKE(text);
	return 0;
}

int config_source_read(const char *path, struct config_source **ret, struct error *err)
{
	AUTO(free) char *text = NULL;
	size_t len;
	int r;

	r = config_read_text(path, CONFIG_FILE_MAX, &text, &len, err);
	if (r < 0)
		return r;

	return config_source_parse(path, text, len, ret, err);
}

void config_source_free(struct config_source *source)
{
	if (!source)
		return;

	for (size_t i = 0; i < source->n_sections; i++) {
		struct config_section *section = &source->sections[i];

		for (size_t j = 0; j < section->n_items; j++) {
			free(section->items[j].name);
			free(section->items[j].value);
		}
		free(section->items);
		free(section->name);
	}
	free(source->sections);
	free(source->path);
	free(source);
}
