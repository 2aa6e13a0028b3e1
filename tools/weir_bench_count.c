#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "engine/clock.h"
#include "engine/gen/stamp.h"
#include "engine/sinks/records.h"
#include "tools/weir_bench.h"

#define STAMP_AT 42 /* the bench sends UDP over IPv4 without tags: the payload's offset */

static int tally_ledger(const char *stats, struct bench_tally_result *result, struct error *error)
{
	static char text[65536];
	double written;
	int status = read_text(stats, text, sizeof text);

	if (status != 0)
		return error_set_errno(error, status, "it left no statistics");
	if (!json_number(text, "written", &written))
		return error_set(error, -EINVAL, "its statistics name no packets written");
	if (strstr(text, "\"balanced\":false") != NULL)
		return error_set(error, -EINVAL, "its ledger does not balance");
	result->received = (uint64_t)written;
	return 0;
}

/* Our own record file, by its size: the header, then whole records, then the index behind them. */
static int tally_records(const char *output, const char *stats, struct bench_tally_result *result,
			 struct error *error)
{
	struct stat file;
	int status = tally_ledger(stats, result, error);

	if (status != 0)
		return status;
	if (stat(output, &file) != 0)
		return error_set_errno(error, -errno, "it left no file");
	if ((uint64_t)file.st_size < RECORDS_HEADER_SIZE + result->received * sizeof(struct record))
		return error_set(error, -EINVAL, "its file is shorter than the records it says it wrote");
	return 0;
}

/* What others wrote is believed only as far as libpcap reads it back. Each sequence number once. */
static int tally_pcap(const char *output, uint64_t sent, unsigned senders, struct bench_tally_result *result,
		      struct error *error)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(output, text);
	uint8_t *seen = calloc(sent * senders / 8 + 1, 1);
	struct pcap_pkthdr *header;
	const u_char *data;
	int status = 0;

	if (pcap == NULL)
		status = error_set(error, -EIO, "its file cannot be read: %.150s", text);
	else if (seen == NULL)
		status = error_set_errno(error, -ENOMEM, "no memory to count");
	while (status == 0 && pcap_next_ex(pcap, &header, &data) == 1) {
		struct stamp stamp;
		uint64_t sender, number;

		if (header->caplen < STAMP_AT || !stamp_read(data + STAMP_AT, header->caplen - STAMP_AT, &stamp))
			continue;
		sender = stamp.sequence >> TALLY_SENDER_SHIFT;
		number = stamp.sequence & ((UINT64_C(1) << TALLY_SENDER_SHIFT) - 1);
		if (sender >= senders || number >= sent)
			continue;
		number += sender * sent;
		if (seen[number / 8] & (1u << number % 8))
			result->doubled++;
		else
			result->received++;
		seen[number / 8] |= (uint8_t)(1u << number % 8);
	}
	if (pcap != NULL)
		pcap_close(pcap);
	free(seen);
	return status;
}

/* Packets of a capture file whoever sent them: live traffic has no stamps. */
static int tally_foreign(const char *output, struct bench_tally_result *result, struct error *error)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(output, text);
	struct pcap_pkthdr *header;
	const u_char *data;

	if (pcap == NULL)
		return error_set(error, -EIO, "its file cannot be read: %.150s", text);
	while (pcap_next_ex(pcap, &header, &data) == 1)
		result->received++;
	pcap_close(pcap);
	return 0;
}

int tally(enum bench_tally kind, const char *output, const char *stats, uint64_t sent, unsigned senders,
	  struct bench_tally_result *result, struct error *error)
{
	*result = (struct bench_tally_result){ 0 };
	switch (kind) {
	case TALLY_LEDGER:
		return tally_ledger(stats, result, error);
	case TALLY_RECORDS:
		return tally_records(output, stats, result, error);
	default:
		return sent > 0 ? tally_pcap(output, sent, senders, result, error) : tally_foreign(output, result, error);
	}
}

/* --- the latency at the end of a pipe ------------------------------------------------------------------ */

/* Consumes whole packets of a pcap stream; returns how many bytes were used. */
static size_t take_packets(const uint8_t *bytes, size_t length, uint64_t now_ns, double *samples, size_t max,
			   size_t *count)
{
	size_t at = 0;

	while (length - at >= 16) {
		uint32_t captured;
		struct stamp stamp;

		memcpy(&captured, bytes + at + 8, sizeof captured);
		if (captured > 262144 || length - at - 16 < captured)
			break;
		if (captured > STAMP_AT && stamp_read(bytes + at + 16 + STAMP_AT, captured - STAMP_AT, &stamp) &&
		    *count < max)
			samples[(*count)++] = ((double)now_ns - (double)stamp.timestamp_ns) / 1e3;
		at += 16 + captured;
	}
	return at;
}

size_t pipe_latencies(int fd, double *samples, size_t max, bool (*ended)(void *context), void *context)
{
	static uint8_t buffer[1 << 20];
	size_t used = 0, count = 0;
	bool header = false;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t got;
		size_t taken = 0;

		if (poll(&wait, 1, 20) == 0) {
			if (ended(context))
				return count;
			continue;
		}
		got = read(fd, buffer + used, sizeof buffer - used);
		if (got <= 0)
			return count;
		used += (size_t)got;
		if (!header && used >= 24) {
			header = true;
			taken = 24;
		}
		if (header)
			taken += take_packets(buffer + taken, used - taken, clock_wall_ns(), samples, max, &count);
		memmove(buffer, buffer + taken, used - taken);
		used -= taken;
		if (used == sizeof buffer)
			return count; /* no pcap */
	}
}
