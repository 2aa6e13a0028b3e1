#include "engine/filter/filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/filter/filter_internal.h"

#define LINK_ATM_RFC1483 100
#define LINK_ATM_CLIP 106

_Static_assert(sizeof(struct sock_filter) == sizeof(struct bpf_insn), "one instruction for both");

/* LINKTYPE_ values are those of files; libpcap's functions take DLT_ values, which differ in a few. */
int filter_dlt(uint16_t link_type)
{
	switch (link_type) {
	case LINK_RAW:
	case LINK_RAW_OLD14:
		return DLT_RAW;
	case LINK_ATM_RFC1483:
		return DLT_ATM_RFC1483;
	case LINK_ATM_CLIP:
		return DLT_ATM_CLIP;
	default:
		return link_type;
	}
}

int filter_take(const char *text, struct pcap *handle, uint32_t netmask, struct filter_program **program,
		struct error *error)
{
	struct bpf_program compiled = { 0 };
	struct filter_program *taken;

	*program = NULL;
	if (pcap_compile(handle, &compiled, text, 1, ntohl(netmask)) != 0) {
		error_set(error, -EINVAL, "the filter '%.80s' does not parse: %.120s", text, pcap_geterr(handle));
		error_hint(error, "man pcap-filter describes the language");
		return -EINVAL;
	}
	taken = calloc(1, sizeof *taken);
	if (taken != NULL)
		taken->code = malloc(compiled.bf_len * sizeof *taken->code);
	if (taken == NULL || taken->code == NULL) {
		free(taken);
		pcap_freecode(&compiled);
		return error_set_errno(error, -ENOMEM, "cannot compile the filter");
	}
	memcpy(taken->code, compiled.bf_insns, compiled.bf_len * sizeof *taken->code);
	taken->length = compiled.bf_len;
	pcap_freecode(&compiled);
	*program = taken;
	return 0;
}

int filter_compile_live(const char *text, uint16_t link_type, uint32_t netmask,
			struct filter_program **program, struct error *error)
{
	struct pcap *handle;
	int result;

	*program = NULL;
	handle = pcap_open_dead(filter_dlt(link_type), FILTER_SNAP_MOST);
	if (handle == NULL)
		return error_set_errno(error, -ENOMEM, "cannot compile the filter");
	result = filter_take(text, handle, netmask, program, error);
	pcap_close(handle);
	return result;
}

bool filter_is_empty(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* libpcap treats a file's packets otherwise than live ones: the address families of LINKTYPE_NULL are those
 * of all BSDs, and `inbound` on Ethernet is refused, not compiled into a load that only the kernel knows. An empty
 * capture file in memory makes it do so. */
static struct pcap *open_as_file(uint16_t link_type, struct error *error)
{
	struct pcap_file_header header = {
		.magic = 0xa1b2c3d4, .version_major = PCAP_VERSION_MAJOR, .version_minor = PCAP_VERSION_MINOR,
		.snaplen = FILTER_SNAP_MOST, .linktype = link_type == LINK_RAW_OLD14 ? LINK_RAW : link_type,
	};
	char message[PCAP_ERRBUF_SIZE] = "";
	FILE *file = fmemopen(&header, sizeof header, "r");
	struct pcap *handle = file != NULL ? pcap_fopen_offline(file, message) : NULL;

	if (handle != NULL)
		return handle;
	if (file != NULL)
		fclose(file);
	error_set(error, -ENOMEM, "cannot compile a filter for link type %u: %.120s", link_type, message);
	return NULL;
}

int filter_compile(const char *text, uint16_t link_type, struct filter_program **program, struct error *error)
{
	struct pcap *handle;
	int result;

	*program = NULL;
	if (filter_is_empty(text)) {
		*program = calloc(1, sizeof **program);
		return *program != NULL ? 0 : error_set_errno(error, -ENOMEM, "cannot compile the filter");
	}
	handle = open_as_file(link_type, error);
	if (handle == NULL)
		return -ENOMEM;
	result = filter_take(text, handle, 0, program, error);
	pcap_close(handle);
	return result;
}

void filter_close(struct filter_program *program)
{
	if (program == NULL)
		return;
	free(program->code);
	free(program);
}

bool filter_match(const struct filter_program *program, const uint8_t *data, uint32_t captured_length,
		  uint32_t wire_length)
{
	if (program->length == 0)
		return true;
	/* bpf_filter checks every load against captured_length itself. */
	return bpf_filter((const struct bpf_insn *)(const void *)program->code, data, wire_length,
			  captured_length) != 0;
}
