#include "engine/sources/afxdp_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <unistd.h>

#include "engine/filter/translate.h"

int afxdp_attach_bpf_error(struct error *error, int code, const char *what)
{
	error_set_errno(error, code, "cannot %s", what);
	if (code == -EPERM || code == -EACCES)
		return error_hint(error, "it needs CAP_BPF and CAP_NET_ADMIN: run as root");
	if (code == -ENOMEM || code == -ENOBUFS)
		return error_hint(error, "raise the locked memory: ulimit -l unlimited");
	return code;
}

static int load_filter(struct afxdp_attach *attach, const struct translate_program *program, bool fragments,
		       struct error *error)
{
	/* kernel: all programs of an array must agree on type, frags and (6.17) attach type, which
	 * SEC("xdp") sets. */
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = fragments ? BPF_F_XDP_HAS_FRAGS : 0,
		    .expected_attach_type = BPF_XDP);

	attach->filter = bpf_prog_load(BPF_PROG_TYPE_XDP, "weir_filter", "Dual MIT/GPL", program->code,
				       program->length, &options);
	if (attach->filter >= 0)
		return 0;
	if (errno == E2BIG || errno == EINVAL || errno == EACCES)
		return error_set(error, -EOPNOTSUPP, "the kernel does not take the filter at XDP (%u instructions)",
				 program->length);
	return afxdp_attach_bpf_error(error, -errno, "load the filter");
}

int afxdp_attach_filter(struct afxdp_attach *attach, const struct filter_program *filter, bool fragments,
			int accept, int reject, struct error *error)
{
	const uint32_t slots[] = { TRANSLATE_ACCEPT, TRANSLATE_REJECT };
	const int programs[] = { accept, reject };
	struct translate_options options = { .tags = TRANSLATE_STRIPPED, .fragments = fragments };
	struct translate_program program;
	int result;

	attach->array = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "weir_next", sizeof(uint32_t), sizeof(uint32_t), 2,
				       NULL);
	if (attach->array < 0)
		return afxdp_attach_bpf_error(error, -errno, "make a program array");
	for (unsigned i = 0; i < 2; i++) {
		if (bpf_map_update_elem(attach->array, &slots[i], &programs[i], BPF_ANY) < 0)
			return afxdp_attach_bpf_error(error, -errno, "fill the program array");
	}
	options.tail_calls = attach->array;
	result = translate_filter(filter, &options, &program, error);
	if (result == 0)
		result = load_filter(attach, &program, fragments, error);
	translate_close(&program);
	return result;
}

static int explain(const struct interfaces_entry *interface, int code, struct error *error)
{
	uint32_t id = 0;

	error_set_errno(error, code, "cannot attach an XDP program to %s", interface->name);
	switch (code) {
	case -EBUSY:
	case -EEXIST:
		bpf_xdp_query_id((int)interface->index, 0, &id);
		error_set(error, -EBUSY, "another XDP program (id %u) is attached to %s", id, interface->name);
		return error_hint(error, "bpftool prog show id %u tells whose it is; or ip link set dev %s xdp off", id,
				  interface->name);
	case -EOPNOTSUPP:
		return error_hint(error, "its driver has no native XDP, or an offload (LRO, GRO in hardware) is in the "
					 "way: --xdp-mode generic works everywhere");
	case -ERANGE:
	case -EINVAL:
		return error_hint(error, "its MTU of %u may be too large for XDP here: a smaller MTU, or --xdp-mode "
					 "generic", interface->mtu);
	case -ENOSPC:
	case -ENOMEM:
		return error_hint(error, "the driver wants more queues: ethtool -L %s", interface->name);
	case -EPERM:
		return error_hint(error, "it needs CAP_NET_ADMIN: run as root");
	default:
		return code;
	}
}

static int link_by(struct afxdp_attach *attach, const struct interfaces_entry *interface, uint32_t flags,
		   int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

	attach->link = bpf_link_create(program, (int)interface->index, BPF_XDP, &options);
	attach->generic = flags == XDP_FLAGS_SKB_MODE;
	return attach->link >= 0 ? 0 : -errno;
}

int afxdp_attach_link(struct afxdp_attach *attach, const struct interfaces_entry *interface,
		      enum afxdp_mode mode, int accept, struct error *error)
{
	int program = attach->filter >= 0 ? attach->filter : accept, result = -EOPNOTSUPP;

	if (mode != AFXDP_GENERIC)
		result = link_by(attach, interface, XDP_FLAGS_DRV_MODE, program);
	/* In auto mode whatever the driver dislikes is no reason to fail, but two programs are. */
	if (mode == AFXDP_GENERIC || (mode == AFXDP_AUTO && result < 0 && result != -EBUSY && result != -EEXIST &&
				      result != -EPERM && result != -ENODEV))
		result = link_by(attach, interface, XDP_FLAGS_SKB_MODE, program);
	return result < 0 ? explain(interface, result, error) : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void afxdp_attach_detach(struct afxdp_attach *attach)
{
	close_one(&attach->link);
}

void afxdp_attach_close(struct afxdp_attach *attach)
{
	close_one(&attach->link);
	close_one(&attach->filter);
	close_one(&attach->array);
}
