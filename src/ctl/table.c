/* SPDX-License-Identifier: MIT */
/*
 * All cells' text lies in one buffer, end to end; a cell is where its text
 * begins.
 */

#include "ctl/table.h"

#include <errno.h>
#include <string.h>

#include "ctl/width.h"

#define TABLE_MAX ((size_t)64 << 20) /* a few times the largest answer */
#define GAP 2

void table_init(struct table *table, const char *const *names, size_t n_columns)
{
	*table = (struct table){
		.names = names,
		.n_columns = n_columns,
		.text = BUFFER_INIT(TABLE_MAX),
	};
}

void table_fini(struct table *table)
{
	buffer_fini(&table->text);
	free(table->cells);
	table->cells = NULL;
	table->n_cells = 0;
}

struct buffer *table_cell(struct table *table)
{
	struct table_cell *cells;
	size_t n = table->n_cells;

	/* Grows whenever the number is a power of two. */
	if ((n & (n - 1)) == 0) {
		cells = reallocarray(table->cells, MAX(n * 2, (size_t)1), sizeof(*cells));
		if (!cells) {
			table->text.failed = -ENOMEM;
			return &table->text;
		}
		table->cells = cells;
	}

	table->cells[table->n_cells++] = (struct table_cell){ .at = buffer_len(&table->text) };
	return &table->text;
}

void table_colour(struct table *table, enum colour colour)
{
	if (table->n_cells)
		table->cells[table->n_cells - 1].colour = colour;
}

static const char *cell_text(const struct table *table, size_t i, size_t *ret_len)
{
	size_t at = table->cells[i].at;
	size_t end = i + 1 < table->n_cells ? table->cells[i + 1].at : buffer_len(&table->text);

	if (end == at) {
		*ret_len = 1;
		return "-";
	}

	*ret_len = end - at;
	return buffer_at(&table->text) + at;
}

static unsigned column_width(const struct table *table, size_t column)
{
	unsigned width = width_of(table->names[column], strlen(table->names[column]));
	const char *text;
	size_t len;

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		text = cell_text(table, i, &len);
		width = MAX(width, width_of(text, len));
	}
	return width;
}

static void render_cell(struct buffer *out, const char *text, size_t len, unsigned pad_to)
{
	unsigned width = width_of(text, len);

	(void)buffer_append(out, text, len);
	for (; width < pad_to; width++)
		(void)buffer_append_char(out, ' ');
}

void table_render(struct table *table, struct buffer *out, bool coloured)
{
	size_t n_rows = table->n_cells / table->n_columns;
	AUTO(free) unsigned *widths = calloc(table->n_columns, sizeof(*widths));
	enum colour colour;
	const char *text;
	size_t len;

	if (!widths || table->text.failed) {
		out->failed = widths ? table->text.failed : -ENOMEM;
		return;
	}

	/* The last column is not padded. */
	for (size_t c = 0; c + 1 < table->n_columns; c++)
		widths[c] = column_width(table, c) + GAP;

	show_begin_colour(out, coloured, COLOUR_BOLD);
	for (size_t c = 0; c < table->n_columns; c++)
		render_cell(out, table->names[c], strlen(table->names[c]), widths[c]);
	show_end_colour(out, coloured, COLOUR_BOLD);
	(void)buffer_append_char(out, '\n');

	for (size_t i = 0; i < n_rows * table->n_columns; i++) {
		colour = table->cells[i].colour;
		text = cell_text(table, i, &len);
		show_begin_colour(out, coloured, colour);
		render_cell(out, text, len, widths[i % table->n_columns]);
		show_end_colour(out, coloured, colour);
		if ((i + 1) % table->n_columns == 0)
			(void)buffer_append_char(out, '\n');
	}
}
