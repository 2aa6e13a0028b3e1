#include "engine/filter/filter_live.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/filter/filter_internal.h"

#define LOOPBACK_INDEX 1 /* of lo in every network namespace (kernel: LOOPBACK_IFINDEX) */
#define SLL2_LENGTH 20
#define SLL2_PROTOCOL 0
#define SLL2_INTERFACE 4
#define SLL2_PACKET_TYPE 10
#define PROLOGUE_MOST 5

int filter_attach(int fd, const struct filter_program *program)
{
	struct sock_fprog fprog = { .len = (unsigned short)program->length, .filter = program->code };

	if (program->length > BPF_MAXINSNS)
		return -EINVAL;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &fprog, sizeof fprog) == 0 ? 0 : -errno;
}

int filter_attach_reject(int fd)
{
	struct sock_filter reject = BPF_STMT(BPF_RET | BPF_K, 0);
	struct filter_program program = { .code = &reject, .length = 1 };

	return filter_attach(fd, &program);
}

/* The steps that drop what goes the wrong way; the program follows them. Jumps are relative, so nothing
 * in the program changes. Returns their number. */
static unsigned direction_prologue(const struct interfaces_entry *interface, enum source_direction direction,
				   struct sock_filter *steps)
{
	const struct sock_filter packet_type = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE);
	const struct sock_filter index = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_IFINDEX);
	const struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	bool loopback = interface->hardware_type == ARPHRD_LOOPBACK;
	unsigned count = 0;

	if (direction == SOURCE_OUT) {
		steps[count++] = packet_type;
		steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0);
		steps[count++] = drop;
	} else if (direction == SOURCE_IN || loopback) {
		steps[count++] = packet_type;
		steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1);
		steps[count++] = drop;
	} else if (interface->index == 0) {
		steps[count++] = packet_type;
		steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 3);
		steps[count++] = index;
		steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LOOPBACK_INDEX, 0, 1);
		steps[count++] = drop;
	}
	return count;
}

/* prologue + program (NULL: accept) with the snap length returned: a new program. */
static struct filter_program *assemble(const struct interfaces_entry *interface,
				       enum source_direction direction, const struct filter_program *program,
				       uint32_t snap)
{
	struct filter_program *whole = calloc(1, sizeof *whole);
	unsigned length = program != NULL ? program->length : 1;

	if (whole != NULL)
		whole->code = calloc(PROLOGUE_MOST + length, sizeof *whole->code);
	if (whole == NULL || whole->code == NULL) {
		filter_close(whole);
		return NULL;
	}
	whole->length = direction_prologue(interface, direction, whole->code);
	for (unsigned i = 0; i < length; i++) {
		struct sock_filter step = BPF_STMT(BPF_RET | BPF_K, 1);

		if (program != NULL)
			step = program->code[i];
		if (step.code == (BPF_RET | BPF_K) && step.k != 0)
			step.k = snap;
		whole->code[whole->length++] = step;
	}
	return whole;
}

/* A tiny libpcap handle on the interface: libpcap decides only on activated ones how the kernel must
 * look at VLAN tags. */
static int compile_activated(const char *text, const struct interfaces_entry *interface,
			     struct filter_program **program, struct error *error)
{
	char message[PCAP_ERRBUF_SIZE];
	struct pcap *handle = pcap_create(interface->name, message);
	int result;

	if (handle == NULL)
		return error_set(error, -ENOMEM, "cannot compile the filter: %.160s", message);
	pcap_set_snaplen(handle, 64);
	pcap_set_promisc(handle, 0);
	pcap_set_timeout(handle, 1);
	pcap_set_buffer_size(handle, 65536);
	result = pcap_activate(handle);
	if (result < 0) {
		const char *text_of_result = result == PCAP_ERROR ? pcap_geterr(handle) : pcap_statustostr(result);

		error_set(error, result == PCAP_ERROR_PERM_DENIED ? -EPERM : -EIO,
			  "cannot compile the filter for %s: %.160s", interface->name, text_of_result);
		pcap_close(handle);
		return error->code;
	}
	if (pcap_datalink(handle) != filter_dlt(interface->link_type))
		result = pcap_set_datalink(handle, filter_dlt(interface->link_type));
	if (result < 0)
		result = error_set(error, -EIO, "cannot compile the filter for %s: %.160s", interface->name,
				   pcap_geterr(handle));
	else
		result = filter_take(text, handle, interface->netmask, program, error);
	pcap_close(handle);
	return result;
}

/* Moves a program for SLL2 bytes to the kernel's view of a cooked socket: bytes from the network header
 * on, the header's fields as ancillary loads. False: some load has no counterpart. */
static bool shift_cooked(struct filter_program *program)
{
	for (unsigned i = 0; i < program->length; i++) {
		struct sock_filter *step = &program->code[i];
		unsigned class = BPF_CLASS(step->code), mode = BPF_MODE(step->code);

		if (class != BPF_LD && class != BPF_LDX)
			continue;
		/* kernel: skb->len has no link header; one more step to add it would shift the jumps. */
		if (mode == BPF_LEN)
			return false;
		if (mode != BPF_ABS && mode != BPF_IND && mode != BPF_MSH)
			continue;
		if (step->k >= (uint32_t)SKF_AD_OFF)
			continue;
		if (step->k >= SLL2_LENGTH)
			step->k -= SLL2_LENGTH;
		else if (mode != BPF_ABS)
			return false;
		else if (step->k == SLL2_PROTOCOL && BPF_SIZE(step->code) == BPF_H)
			step->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL);
		else if (step->k == SLL2_INTERFACE && BPF_SIZE(step->code) == BPF_W)
			step->k = (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX);
		else if (step->k == SLL2_PACKET_TYPE && BPF_SIZE(step->code) == BPF_B)
			step->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
		else
			return false;
	}
	return true;
}

/* Whether the kernel takes the program, tried on a socket that is bound to nothing. 0, -EINVAL (refused)
 * or -ENOMEM (longer than net.core.optmem_max allows), or another -errno when no socket could be had. */
static int try_kernel(const struct filter_program *program, bool *refused)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int result;

	*refused = false;
	if (fd < 0)
		return -errno;
	result = filter_attach(fd, program);
	*refused = result != 0;
	close(fd);
	return result;
}

/* The person's filter as the kernel would see it; *program stays NULL when it cannot be said so, and *why is
 * set. */
static int compile_for_kernel(const char *text, const struct interfaces_entry *interface,
			      struct filter_program **program, const char **why, struct error *error)
{
	int result;

	if (interface->link_type == LINK_ETHERNET)
		result = compile_activated(text, interface, program, error);
	else
		result = filter_compile_live(text, interface->link_type, interface->netmask, program, error);
	if (result == 0 && interface->form == INTERFACES_COOKED && !shift_cooked(*program)) {
		*why = "on a cooked socket it cannot see the link header or the length";
		filter_close(*program);
		*program = NULL;
	}
	return result;
}

/* Assembles what the kernel is to run and tries it. A refusal of the person's filter is no error: it sets
 * *why. */
static int fit_to_kernel(const struct interfaces_entry *interface, enum source_direction direction,
			 const struct filter_program *program, uint32_t snap, struct filter_live *live,
			 const char **why, struct error *error)
{
	bool refused;
	int result;

	filter_close(live->kernel);
	live->kernel = assemble(interface, direction, program, snap);
	if (live->kernel == NULL)
		return error_set_errno(error, -ENOMEM, "cannot compile the filter");
	result = try_kernel(live->kernel, &refused);
	if (result == 0)
		return 0;
	if (!refused || program == NULL) {
		error_set_errno(error, result, "cannot put a filter on a packet socket");
		if (result == -EPERM || result == -EACCES)
			error_hint(error, "run as root, or give the program the right: setcap cap_net_raw+ep");
		return result;
	}
	if (live->kernel->length > BPF_MAXINSNS)
		*why = "it has more than 4096 instructions";
	else if (result == -ENOMEM)
		*why = "it is longer than net.core.optmem_max allows";
	else
		*why = "the kernel refuses it (a loop over headers)";
	return 0;
}

int filter_live_compile(const char *text, const struct interfaces_entry *interface, uint32_t snap_length,
			enum source_direction direction, struct filter_live *live, struct error *error)
{
	struct filter_program *program = NULL;
	const char *why = NULL;
	uint32_t snap = snap_length;
	int result = 0;

	*live = (struct filter_live){ 0 };
	if (interface->form == INTERFACES_COOKED)
		snap = snap_length > SLL2_LENGTH ? snap_length - SLL2_LENGTH : 1;
	if (!filter_is_empty(text))
		result = compile_for_kernel(text, interface, &program, &why, error);
	if (result == 0)
		result = fit_to_kernel(interface, direction, program, snap, live, &why, error);
	if (result == 0 && why != NULL) {
		/* It is left to the worker: the kernel's part shrinks to direction and snap length. */
		snprintf(live->why, sizeof live->why, "%s", why);
		if (program != NULL)
			result = fit_to_kernel(interface, direction, NULL, snap, live, &why, error);
		if (result == 0)
			result = filter_compile(text, interface->link_type, &live->user, error);
	}
	filter_close(program);
	if (result != 0)
		filter_live_close(live);
	return result;
}

void filter_live_close(struct filter_live *live)
{
	filter_close(live->kernel);
	filter_close(live->user);
	*live = (struct filter_live){ 0 };
}
