#include "engine/sources/xdprecords_program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "xdprecords.skel.h"

struct xdprecords_program {
	struct xdprecords_bpf *bpf;
	struct afxdp_attach attach;
	uint32_t cpus;
	clockid_t clock;
};

static int keep_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

static void set_ports(struct xdprecords_program *program, const struct decode_ports *ports)
{
	struct xdprecords_bpf *bpf = program->bpf;

	_Static_assert(sizeof *ports == sizeof bpf->rodata->ports, "all of them");
	memcpy((void *)bpf->rodata->ports, ports, sizeof *ports);
	for (unsigned i = 0; i < XDPRECORDS_PORTS; i++)
		bpf->rodata->extra_ports |= bpf->rodata->ports[i] != 0;
}

static int load(struct xdprecords_program *program, const struct interfaces_entry *interface,
		const struct decode_ports *ports, bool fragments, struct error *error)
{
	struct xdprecords_bpf *bpf = program->bpf;
	uint32_t flags = fragments ? BPF_F_XDP_HAS_FRAGS : 0;
	int result;

	bpf->rodata->use_tai = program->clock == CLOCK_TAI;
	set_ports(program, ports);
	bpf_map__set_max_entries(bpf->maps.rings, program->cpus);
	bpf_program__set_flags(bpf->progs.accept, flags);
	bpf_program__set_flags(bpf->progs.reject, flags);
	result = xdprecords_bpf__load(bpf);
	if (result < 0)
		return afxdp_attach_bpf_error(error, result, "load the XDP program");
	xdprecords_program_set_mac(program, interface->mac);
	return 0;
}

int xdprecords_program_load(const struct interfaces_entry *interface, const struct decode_ports *ports,
			    const struct filter_program *filter, bool fragments,
			    struct xdprecords_program **out, struct error *error)
{
	struct xdprecords_program *program = calloc(1, sizeof *program);
	int cpus = libbpf_num_possible_cpus(), result = 0;

	*out = NULL;
	if (program == NULL || cpus <= 0) {
		free(program);
		return error_set(error, -ENOMEM, "no memory for an XDP program");
	}
	program->attach = AFXDP_ATTACH_NONE;
	program->cpus = (uint32_t)cpus;
	libbpf_set_print(keep_quiet); /* libbpf explains failures on stderr; the engine does not print */
	program->clock = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_tai_ns, NULL) == 1
				 ? CLOCK_TAI
				 : CLOCK_MONOTONIC;
	program->bpf = xdprecords_bpf__open();
	if (program->bpf == NULL)
		result = error_set(error, -ENOMEM, "no memory for an XDP program");
	if (result == 0)
		result = load(program, interface, ports, fragments, error);
	if (result == 0 && filter != NULL && filter->length > 0)
		result = afxdp_attach_filter(&program->attach, filter, fragments,
					     bpf_program__fd(program->bpf->progs.accept),
					     bpf_program__fd(program->bpf->progs.reject), error);
	if (result < 0) {
		xdprecords_program_close(program);
		return result;
	}
	xdprecords_program_set_clock(program);
	*out = program;
	return 0;
}

int xdprecords_program_attach(struct xdprecords_program *program, const struct interfaces_entry *interface,
			      enum afxdp_mode mode, struct error *error)
{
	return afxdp_attach_link(&program->attach, interface, mode, bpf_program__fd(program->bpf->progs.accept),
				 error);
}

bool xdprecords_program_generic(const struct xdprecords_program *program)
{
	return program->attach.generic;
}

uint32_t xdprecords_program_cpus(const struct xdprecords_program *program)
{
	return program->cpus;
}

int xdprecords_program_bind(struct xdprecords_program *program, uint32_t cpu, int ring)
{
	return bpf_map_update_elem(bpf_map__fd(program->bpf->maps.rings), &cpu, &ring, BPF_ANY) < 0 ? -errno : 0;
}

void xdprecords_program_unbind(struct xdprecords_program *program, uint32_t cpu)
{
	bpf_map_delete_elem(bpf_map__fd(program->bpf->maps.rings), &cpu);
}

void xdprecords_program_counters(const struct xdprecords_program *program, struct xdprecords_counters *all)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(program->bpf->maps.counters), &zero, all) < 0)
		memset(all, 0, program->cpus * sizeof *all);
}

void xdprecords_program_set_clock(struct xdprecords_program *program)
{
	uint64_t before = clock_read_ns(program->clock), wall = clock_wall_ns(),
		 after = clock_read_ns(program->clock);

	/* The program reads it as one word; any worker may write it, and any value is right. */
	__atomic_store_n(&program->bpf->bss->clock_offset, wall - (before + (after - before) / 2), __ATOMIC_RELAXED);
}

void xdprecords_program_set_mac(struct xdprecords_program *program, const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	__atomic_store_n(&program->bpf->bss->mac, word, __ATOMIC_RELAXED);
}

int xdprecords_program_descriptor(const struct xdprecords_program *program)
{
	return bpf_program__fd(program->bpf->progs.accept);
}

void xdprecords_program_detach(struct xdprecords_program *program)
{
	afxdp_attach_detach(&program->attach);
}

void xdprecords_program_close(struct xdprecords_program *program)
{
	if (program == NULL)
		return;
	afxdp_attach_close(&program->attach);
	xdprecords_bpf__destroy(program->bpf);
	free(program);
}
