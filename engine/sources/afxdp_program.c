#include "engine/sources/afxdp_program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "afxdp.skel.h"

struct afxdp_program {
	struct afxdp_bpf *bpf;
	struct afxdp_attach attach;
	int cpus;
	bool tai;
};

/* libbpf explains failures on stderr; the engine does not print. */
static int keep_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

static int load(struct afxdp_program *program, uint32_t queues, bool fragments, struct error *error)
{
	struct afxdp_bpf *bpf = program->bpf;
	uint32_t flags = fragments ? BPF_F_XDP_HAS_FRAGS : 0;
	int result;

	program->tai = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_tai_ns, NULL) == 1;
	bpf->rodata->use_tai = program->tai;
	bpf_map__set_max_entries(bpf->maps.sockets, queues);
	bpf_map__set_max_entries(bpf->maps.counters, queues);
	bpf_program__set_flags(bpf->progs.accept, flags);
	bpf_program__set_flags(bpf->progs.reject, flags);
	result = afxdp_bpf__load(bpf);
	return result < 0 ? afxdp_attach_bpf_error(error, result, "load the XDP program") : 0;
}

int afxdp_program_load(uint32_t queues, const struct filter_program *filter, bool fragments,
		       struct afxdp_program **out, struct error *error)
{
	struct afxdp_program *program = calloc(1, sizeof *program);
	int result = 0;

	*out = NULL;
	if (program == NULL)
		return error_set(error, -ENOMEM, "no memory for an XDP program");
	program->attach = AFXDP_ATTACH_NONE;
	program->cpus = libbpf_num_possible_cpus();
	libbpf_set_print(keep_quiet);
	program->bpf = afxdp_bpf__open();
	if (program->bpf == NULL || program->cpus <= 0)
		result = error_set(error, -ENOMEM, "no memory for an XDP program");
	if (result == 0)
		result = load(program, queues, fragments, error);
	if (result == 0 && filter != NULL && filter->length > 0)
		result = afxdp_attach_filter(&program->attach, filter, fragments,
					     bpf_program__fd(program->bpf->progs.accept),
					     bpf_program__fd(program->bpf->progs.reject), error);
	if (result < 0) {
		afxdp_program_close(program);
		return result;
	}
	*out = program;
	return 0;
}

int afxdp_program_attach(struct afxdp_program *program, const struct interfaces_entry *interface,
			 enum afxdp_mode mode, struct error *error)
{
	return afxdp_attach_link(&program->attach, interface, mode, bpf_program__fd(program->bpf->progs.accept),
				 error);
}

bool afxdp_program_generic(const struct afxdp_program *program)
{
	return program->attach.generic;
}

int afxdp_program_bind(struct afxdp_program *program, uint32_t queue, int socket)
{
	int result = bpf_map_update_elem(bpf_map__fd(program->bpf->maps.sockets), &queue, &socket, BPF_ANY);

	return result < 0 ? -errno : 0;
}

void afxdp_program_unbind(struct afxdp_program *program, uint32_t queue)
{
	bpf_map_delete_elem(bpf_map__fd(program->bpf->maps.sockets), &queue);
}

void afxdp_program_counters(const struct afxdp_program *program, uint32_t queue, struct afxdp_counters *sum)
{
	/* Workers read at the same time: room of one's own. */
	struct afxdp_counters *per_cpu = calloc((size_t)program->cpus, sizeof *per_cpu);

	memset(sum, 0, sizeof *sum);
	if (per_cpu == NULL)
		return;
	if (bpf_map_lookup_elem(bpf_map__fd(program->bpf->maps.counters), &queue, per_cpu) == 0) {
		for (int i = 0; i < program->cpus; i++) {
			sum->redirected += per_cpu[i].redirected;
			sum->passed += per_cpu[i].passed;
			sum->unbound += per_cpu[i].unbound;
			sum->unstamped += per_cpu[i].unstamped;
		}
	}
	free(per_cpu);
}

clockid_t afxdp_program_clock(const struct afxdp_program *program)
{
	return program->tai ? CLOCK_TAI : CLOCK_MONOTONIC;
}

void afxdp_program_detach(struct afxdp_program *program)
{
	afxdp_attach_detach(&program->attach);
}

void afxdp_program_close(struct afxdp_program *program)
{
	if (program == NULL)
		return;
	afxdp_attach_close(&program->attach);
	afxdp_bpf__destroy(program->bpf);
	free(program);
}
