/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A table for people: columns as wide as their widest cell, two blanks
 * between, "-" for what is empty. Widths are columns of a terminal, not bytes.
 *
 *	table_init(&table, names, n);
 *	show_member(table_cell(&table), row, "name");
 *	show_state(table_cell(&table), ...); table_colour(&table, COLOUR_RED);
 *	table_render(&table, out, coloured);
 *	table_fini(&table);
 *
 * Cells fill rows from left to right.
 */

#include "base/buffer.h"
#include "ctl/show.h"

struct table_cell {
	size_t at; /* where its text begins */
	enum colour colour;
};

struct table {
	const char *const *names; /* borrowed */
	size_t n_columns;
	struct buffer text;
	struct table_cell *cells; /* owned */
	size_t n_cells;
};

/* Wiped at the end: cells may be secrets. */
void table_init(struct table *table, const char *const *names, size_t n_columns);
void table_fini(struct table *table);

/* Begins a cell and returns what its text is appended to. */
struct buffer *table_cell(struct table *table);

/* Of the cell that was begun last. */
void table_colour(struct table *table, enum colour colour);

void table_render(struct table *table, struct buffer *out, bool coloured);

static inline void table_fini_auto(struct table *table)
{
	table_fini(table);
}
