/* A filter made of words that the input chooses, over a capture file: what a program does with a packet
 * depends on the packet alone, and a file's interfaces all get one.
 *
 * Input: number of words 1 (at most 15), words 1 each, file. */
#include <stdbool.h>
#include <string.h>

#include "engine/filter/filter.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/read_source.h"

#define WORDS_MOST 15

/* No names of hosts: libpcap would ask a name server for them. */
static const char *const words[] = {
	"ip",
	"ip6",
	"arp",
	"tcp",
	"udp",
	"icmp",
	"icmp6",
	"sctp",
	"igmp",
	"vlan",
	"mpls",
	"pppoes",
	"geneve",
	"(",
	")",
	"and",
	"or",
	"not",
	"src",
	"dst",
	"host",
	"net",
	"port",
	"portrange",
	"proto",
	"ether",
	"less",
	"greater",
	"len",
	"broadcast",
	"multicast",
	"inbound",
	"outbound",
	"10.0.0.1",
	"192.168.0.0/16",
	"2001:db8::1",
	"fe80::/10",
	"02:00:00:00:00:01",
	"80",
	"443",
	"1-1024",
	"0",
	"1",
	"6",
	"17",
	"100",
	"60",
	"1500",
	"[",
	"]",
	":",
	"&",
	"|",
	"=",
	"!=",
	"<",
	">",
	"+",
	"-",
	"*",
	"/",
	"<<",
	">>",
	"%",
	"^",
	"0xff",
	"4294967295",
	"tcp[tcpflags]",
	"ip[0]",
	"ether[12:2]",
	"protochain",
	"ifindex",
	"!",
	"&&",
	"||",
	"link",
	"type",
	"mgt",
	"wlan",
	"vlan 100",
	"ip6[40]",
	"iso",
	"stp",
	"llc",
	"aarp",
	"decnet",
	"atalk",
	"rarp",
	"ah",
	"esp",
	"pim",
	"vrrp",
	"carp",
	"gateway",
	"udp[0:4]",
};
#define WORD_COUNT (sizeof words / sizeof words[0])

struct outcome {
	uint64_t accepted;
	uint64_t rejected;
};

static void match(void *context, const struct frame *frame, const struct interface_table *table)
{
	const struct interface *interface = interface_table_get(table, frame->interface);
	struct outcome *outcome = context;
	bool accepted;

	if (frame->flags & FRAME_IS_RECORD)
		return;
	FUZZ_CHECK(interface->user_filter != NULL);
	accepted = filter_match(interface->user_filter, frame->data, frame->captured_len, frame->wire_len);
	FUZZ_CHECK(accepted ==
		   filter_match(interface->user_filter, frame->data, frame->captured_len, frame->wire_len));
	outcome->accepted += accepted;
	outcome->rejected += !accepted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome outcome = { 0 };
	struct read_result result;
	char text[WORDS_MOST * 24] = "";
	size_t count, used = 0;

	if (size < 1)
		return 0;
	count = data[0] % (WORDS_MOST + 1);
	if (size < 1 + count)
		return 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
					 words[data[1 + i] % WORD_COUNT]);
	if (count == 0)
		return 0;
	result = read_source(data + 1 + count, size - 1 - count, 0, text, match, &outcome);
	FUZZ_CHECK(outcome.accepted + outcome.rejected <= result.frames);
	return 0;
}
