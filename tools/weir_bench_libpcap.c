/* What people do who read with libpcap: count in the callback; dump the packet (pcap_dump); or take the headers apart by
 * hand and write what they need. The last is given our own decoders and record, so that it does the same work. */
#include <errno.h>
#include <string.h>

#include <pcap/pcap.h>

#include "decoders/decode.h"
#include "engine/sinks/records.h"
#include "tools/weir_bench.h"

struct loop {
	pcap_t *pcap;
	pcap_dumper_t *dump;
	FILE *records;
	uint64_t count, sum;
	bool failed;
};

static void count(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct loop *loop = (void *)user;

	loop->count++;
	loop->sum += header->len + data[12];
}

static void save(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct loop *loop = (void *)user;

	loop->count++;
	pcap_dump((u_char *)loop->dump, header, data);
}

static void record(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	static const struct decode_options options = { 0 };
	struct loop *loop = (void *)user;
	struct record made;

	decode_packet(&options, data, header->caplen, header->len, LINK_ETHERNET, &made, NULL);
	made.timestamp_ns = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec; /* nanoseconds */
	loop->count++;
	loop->failed |= fwrite(&made, sizeof made, 1, loop->records) != 1;
}

/* As most programs set it up: the ring that weir has, 10 ms, whole packets. */
static int open_live(struct loop *loop, const char *interface, struct error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";

	loop->pcap = pcap_create(interface, text);
	if (loop->pcap == NULL || pcap_set_snaplen(loop->pcap, 262144) != 0 || pcap_set_promisc(loop->pcap, 1) != 0 ||
	    pcap_set_timeout(loop->pcap, 10) != 0 || pcap_set_buffer_size(loop->pcap, 64 << 20) != 0 ||
	    pcap_set_tstamp_precision(loop->pcap, PCAP_TSTAMP_PRECISION_NANO) != 0 || pcap_activate(loop->pcap) < 0)
		return error_set(error, -EIO, "libpcap: %s", loop->pcap != NULL ? pcap_geterr(loop->pcap) : text);
	return 0;
}

/* NULL: none. Records begin where those of weir's own file do, behind a header that says nothing. */
static int open_output(struct loop *loop, const char *output, struct error *error)
{
	static const char header[RECORDS_HEADER_SIZE];
	const char *extension = output != NULL ? strrchr(output, '.') : NULL;

	if (output == NULL)
		return 0;
	if (extension != NULL && strcmp(extension, ".weir") == 0) {
		loop->records = fopen(output, "w");
		if (loop->records == NULL || fwrite(header, sizeof header, 1, loop->records) != 1)
			return error_set_errno(error, -errno, "cannot write %s", output);
		return 0;
	}
	loop->dump = pcap_dump_open(loop->pcap, output);
	return loop->dump != NULL ? 0 : error_set(error, -EIO, "libpcap: %s", pcap_geterr(loop->pcap));
}

static int close_all(struct loop *loop, struct error *error)
{
	if (loop->dump != NULL) {
		loop->failed |= pcap_dump_flush(loop->dump) != 0 || ferror(pcap_dump_file(loop->dump)) != 0;
		pcap_dump_close(loop->dump);
	}
	if (loop->records != NULL)
		loop->failed |= fclose(loop->records) != 0;
	if (loop->pcap != NULL)
		pcap_close(loop->pcap);
	return loop->failed ? error_set(error, -EIO, "not everything could be written") : 0;
}

int bench_libpcap(const char *interface, const char *output, const volatile sig_atomic_t *stop, pcap_t **running,
		  uint64_t *packets, uint64_t *sum, struct error *error)
{
	struct loop loop = { 0 };
	struct error ignored;
	int result = open_live(&loop, interface, error);

	if (result == 0)
		result = open_output(&loop, output, error);
	if (result == 0) {
		pcap_handler take = loop.dump != NULL ? save : loop.records != NULL ? record : count;

		*running = loop.pcap;
		fprintf(stderr, "capturing on %s\n", interface);
		while (!*stop && pcap_dispatch(loop.pcap, -1, take, (u_char *)&loop) >= 0)
			;
		*running = NULL;
	}
	*packets = loop.count;
	*sum = loop.sum;
	if (result == 0)
		return close_all(&loop, error);
	close_all(&loop, &ignored);
	return result;
}
