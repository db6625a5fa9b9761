/* SPDX-License-Identifier: MIT */
/*
 * The agenda of a workspace. Its timer is set for what is due first; when it
 * ends one item is taken off, so that whoever does that work may do anything.
 */

#include "agent/agenda.h"

/* What is due first; false when nothing is planned. */
static bool agenda_first(const struct agenda *agenda, enum agenda_item *ret)
{
	int64_t first_ms = 0;

	for (unsigned i = 0; i <= AGENDA_LAST; i++) {
		if (!agenda->due_ms[i] || (first_ms && first_ms <= agenda->due_ms[i]))
			continue;
		first_ms = agenda->due_ms[i];
		*ret = (enum agenda_item)i;
	}

	return first_ms;
}

static void agenda_arm(struct agenda *agenda)
{
	enum agenda_item first;

	if (agenda_first(agenda, &first))
		timer_start(&agenda->timer, agenda_left_ms(agenda, first));
	else
		timer_stop(&agenda->timer);
}

static void agenda_on_timer(struct timer *timer)
{
	struct agenda *agenda = container_of(timer, struct agenda, timer);
	enum agenda_item item;
	int64_t due_ms;

	if (!agenda_first(agenda, &item))
		return;

	due_ms = agenda->due_ms[item];
	agenda_drop(agenda, item);
	agenda->on_due(agenda, item, due_ms);
	/* Careful: the agenda may be gone. */
}

void agenda_init(struct agenda *agenda, struct loop *loop, agenda_fn on_due)
{
	*agenda = (struct agenda){ .on_due = on_due };
	timer_init(&agenda->timer, loop, agenda_on_timer);
}

void agenda_fini(struct agenda *agenda)
{
	timer_stop(&agenda->timer);
}

void agenda_plan(struct agenda *agenda, enum agenda_item item, int64_t after_ms)
{
	agenda->due_ms[item] = loop_now_ms(agenda->timer.loop) + MAX(after_ms, (int64_t)0);
	agenda_arm(agenda);
}

void agenda_drop(struct agenda *agenda, enum agenda_item item)
{
	if (!agenda_has(agenda, item))
		return;

	agenda->due_ms[item] = 0;
	agenda_arm(agenda);
}

bool agenda_has(const struct agenda *agenda, enum agenda_item item)
{
	return agenda->due_ms[item];
}

int64_t agenda_left_ms(const struct agenda *agenda, enum agenda_item item)
{
	return agenda->due_ms[item] - loop_now_ms(agenda->timer.loop);
}
