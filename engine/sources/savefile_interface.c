/* A file's interfaces: their place in the run's table, their filter, their clock. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/sources/savefile_private.h"

#define SECOND_NS UINT64_C(1000000000)

/* An interface whose packets no filter can be run on gives none. */
static struct sock_filter reject_code[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
static const struct filter_program reject_all = { .code = reject_code, .length = 1 };

/* ---- clock ---- */

void savefile_clock_set(struct savefile_clock *clock, uint8_t resolution, int64_t offset)
{
	clock->resolution = resolution;
	clock->offset = offset;
	clock->exact = offset == 0 && resolution <= 9;
	clock->multiplier = 1;
	for (uint8_t power = resolution; clock->exact && power < 9; power++)
		clock->multiplier *= 10;
	clock->limit = UINT64_MAX / clock->multiplier;
}

/* stamp units of 10^-power seconds, in nanoseconds. */
static unsigned __int128 decimal_ns(uint64_t stamp, uint8_t power)
{
	unsigned __int128 ns = stamp;

	for (; power < 9; power++)
		ns *= 10;
	/* 2^64 units of 10^-29 seconds are less than a nanosecond. */
	for (; power > 9 && ns != 0; power--)
		ns /= 10;
	return ns;
}

uint64_t savefile_clock_slow(const struct savefile_clock *clock, uint64_t stamp)
{
	bool binary = clock->resolution & 0x80;
	uint8_t power = clock->resolution & 0x7f;
	/* Below 2^64 * 10^9 in every case, so that a signed 128-bit sum with the offset cannot overflow. */
	unsigned __int128 ns =
		binary ? (unsigned __int128)stamp * SECOND_NS >> power : decimal_ns(stamp, power);
	__int128 sum = (__int128)ns + (__int128)clock->offset * (int64_t)SECOND_NS;

	return sum < 0 ? 0 : sum > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* ---- filter ---- */

/* The filter for a link type, compiled when it is first met. *program NULL: none is needed. */
static int filter_of(struct savefile *file, uint16_t link_type, const struct filter_program **program,
		     struct error *error)
{
	struct savefile_filter *filters;
	struct filter_program *compiled;
	int result;

	*program = NULL;
	if (file->options.filter == NULL || file->options.filter[0] == '\0')
		return 0;
	for (uint32_t i = 0; i < file->filter_count; i++) {
		if (file->filters[i].link_type == link_type) {
			*program = file->filters[i].program != NULL ? file->filters[i].program : &reject_all;
			return 0;
		}
	}
	filters = realloc(file->filters, (file->filter_count + 1) * sizeof *filters);
	if (filters == NULL)
		return error_set_errno(error, -ENOMEM, "%s", file->input->name);
	file->filters = filters;
	result = filter_compile(file->options.filter, link_type, &compiled, error);
	if (result != 0 && file->filter_count == 0)
		return result;
	filters[file->filter_count++] = (struct savefile_filter){ link_type, result == 0 ? compiled : NULL };
	*program = result == 0 ? compiled : &reject_all;
	if (result != 0) {
		error_set(&file->source.warning, result,
			  "%s: the filter does not fit link type %u: none of its packets match",
			  file->input->name, link_type);
		if (error != NULL)
			*error = (struct error){ 0 };
	}
	return 0;
}

/* ---- table ---- */

/* The same interface at the same place of the section before: concatenated files are one interface each,
 * not thousands. */
static bool same_interface(const struct savefile *file, const struct savefile_interface *before,
			   const struct interface *described)
{
	const struct interface *known = interface_table_get(file->table, before->index);

	return known != NULL && known->link_type == described->link_type &&
	       known->snap_length == described->snap_length && strcmp(known->name, described->name) == 0 &&
	       strcmp(known->description, described->description) == 0 &&
	       strcmp(known->filter, described->filter) == 0 &&
	       memcmp(known->mac, described->mac, sizeof known->mac) == 0;
}

static int grow(struct savefile *file)
{
	uint32_t capacity = file->interface_capacity == 0 ? 8 : file->interface_capacity * 2;
	struct savefile_interface *interfaces;

	if (file->interface_count < file->interface_capacity)
		return 0;
	if (file->interface_count >= INTERFACE_TABLE_MAX)
		return -ENOSPC;
	interfaces = realloc(file->interfaces, capacity * sizeof *interfaces);
	if (interfaces == NULL)
		return -ENOMEM;
	file->interfaces = interfaces;
	file->interface_capacity = capacity;
	return 0;
}

int savefile_interface_add(struct savefile *file, const struct interface *described, uint8_t fcs,
			   const struct savefile_clock *clock, struct error *error)
{
	struct interface interface = *described;
	struct savefile_interface *added;
	bool known;
	int result = grow(file);

	if (result == 0)
		result = filter_of(file, interface.link_type, &interface.user_filter, error);
	else
		error_set_errno(error, result, "%s: interface %u", file->input->name, file->interface_count);
	if (result != 0)
		return result;
	if (interface.name[0] == '\0')
		snprintf(interface.name, sizeof interface.name, "%.*s", (int)sizeof interface.name - 1,
			 file->input->base);
	added = &file->interfaces[file->interface_count];
	known = file->interface_count < file->previous_count && same_interface(file, added, &interface);
	if (!known) {
		result = interface_table_add(file->table, &interface, &added->index);
		if (result != 0)
			return error_set_errno(error, result, "%s: interface %u", file->input->name,
					       file->interface_count);
	}
	added->link_type = interface.link_type;
	added->fcs = fcs;
	added->snap_length = interface.snap_length;
	added->clock = *clock;
	file->interface_count++;
	if (file->previous_count < file->interface_count)
		file->previous_count = file->interface_count;
	return 0;
}

void savefile_interfaces_close(struct savefile *file)
{
	for (uint32_t i = 0; i < file->filter_count; i++)
		filter_close(file->filters[i].program);
	free(file->filters);
	free(file->interfaces);
}
