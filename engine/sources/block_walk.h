/* Walks a TPACKET_V3 block: kernel layout in, frames out, nothing copied.
 *
 * Shared by every source whose memory has this layout: afpacket (the kernel fills it) and memory (a
 * test or a bench does). It knows one block at a time and neither polls, nor releases, nor owns
 * anything: whoever calls it has acquired the block (block_walk_acquire) and gives it back
 * (block_walk_return). Owner: the worker thread.
 *
 * A block as the kernel lays it out (net/packet/af_packet.c):
 *
 *	tpacket_block_desc | priv | frame | frame | ...      num_pkts frames, chained by tp_next_offset
 *	frame: tpacket3_hdr (48) | sockaddr_ll (20) | gap + PACKET_RESERVE | link header | payload | pad to 8
 *	                                                                   ^ tp_mac
 *
 * The VLAN tag. kernel: __netif_receive_skb_core (and most NICs) takes the tag out of the bytes and
 * leaves it in tp_vlan_tci/tp_vlan_tpid, with tp_snaplen and tp_len four bytes short. The walk puts it
 * back: the two MAC addresses move four bytes down into the gap, which PACKET_RESERVE 4 guarantees
 * to exist, and the tag follows them. The frame's header is corrected to match (tp_mac, tp_snaplen, tp_len,
 * and BLOCK_STATUS_RESTORED in place of TP_STATUS_VLAN_VALID), so that a block that is written
 * to disk whole, or walked again, tells the same.
 *
 * The walk trusts the chain: it was written by the kernel or by memory_builder, not by a peer.
 */
#ifndef WEIR_ENGINE_SOURCES_BLOCK_WALK_H
#define WEIR_ENGINE_SOURCES_BLOCK_WALK_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "decoders/record.h"
#include "engine/source.h"
#include "engine/uapi.h"
#include "ringbuf/atomics.h"

/* Ours, in a tp_status the kernel has handed over: this frame's header was corrected by the walk.
 * The kernel writes the whole word anew with each packet and uses none of bits 9 to 28. */
#define BLOCK_STATUS_RESTORED (1u << 24)
#define BLOCK_STATUS_TAGGED (1u << 25) /* and a VLAN tag is part of the correction */

#define BLOCK_TAG_SIZE 4
#define BLOCK_SLL2_SIZE 20
#define BLOCK_RESERVE BLOCK_TAG_SIZE /* bytes to ask for with PACKET_RESERVE */

enum block_walk_mode {
	BLOCK_WALK_ETHERNET = 0, /* SOCK_RAW, Ethernet header: the tag goes back into the bytes */
	BLOCK_WALK_PLAIN,        /* SOCK_RAW, another link type: no header has a place for a tag, it is not told */
	BLOCK_WALK_COOKED,       /* SOCK_DGRAM: a LINKTYPE_LINUX_SLL2 header is made from the sockaddr_ll */
};

/* What stays the same for a ring. Const while it is walked. */
struct block_walk_setup {
	enum block_walk_mode mode;
	uint16_t link_type;   /* of the frames handed out: LINK_LINUX_SLL2 when cooked */
	uint16_t interface;   /* index into the run's table */
	uint32_t snap_length; /* a restored frame is cut to this again, bytes; 0: no limit */
	uint32_t wire_most;   /* a frame longer than this was no single one on the wire, bytes; 0: unknown */
};

/* Where in a block the walk stands. */
struct block_walk {
	struct tpacket3_hdr *next; /* the frame to hand out next */
	uint32_t left;             /* frames not handed out yet */
	uint32_t span;             /* the block's span id */
	bool ended;                /* FRAME_LAST_OF_SPAN was handed out */
};

/* True when the block is ours to read; all that the kernel wrote into it is visible then. */
static inline bool block_walk_acquire(const struct tpacket_block_desc *block)
{
	/* pairs with: the kernel's smp_wmb before prb_close_block's status store, and with
	 * memory_refill. A plain load lets the compiler, and arm64, read num_pkts first. */
	return __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

/* Gives the block back; nothing in it may be read after. */
static inline void block_walk_return(struct tpacket_block_desc *block)
{
	/* pairs with: the kernel's read of block_status in prb_dispatch_next_block, and with
	 * memory_refill. Our reads of the packets are over before it writes new ones. */
	__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* Starts on a block that block_walk_acquire has said is ours. span: its id. */
static inline void block_walk_begin(struct block_walk *walk, struct tpacket_block_desc *block, uint32_t span)
{
	walk->next = (struct tpacket3_hdr *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	walk->left = block->hdr.bh1.num_pkts;
	walk->span = span;
	walk->ended = false;
	__builtin_prefetch(walk->next);
}

static inline struct sockaddr_ll *block_walk_address(struct tpacket3_hdr *header)
{
	return (struct sockaddr_ll *)((uint8_t *)header + TPACKET_ALIGN(sizeof *header));
}

/* kernel: sll_pkttype of if_packet.h; broadcast and multicast were received as well. */
static inline uint32_t block_walk_direction(uint8_t packet_type)
{
	static const uint8_t directions[] = {
		[PACKET_HOST] = DIRECTION_IN,      [PACKET_BROADCAST] = DIRECTION_IN,  [PACKET_MULTICAST] = DIRECTION_IN,
		[PACKET_OTHERHOST] = DIRECTION_OTHER, [PACKET_OUTGOING] = DIRECTION_OUT,
	};

	return packet_type < sizeof directions ? directions[packet_type] : DIRECTION_UNKNOWN;
}

/* The tag's TPID, in host order. kernel: before TP_STATUS_VLAN_TPID_VALID it was always 0x8100. */
static inline uint16_t block_walk_tpid(const struct tpacket3_hdr *header)
{
	return header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETH_P_8021Q;
}

/* The frame grew by grown bytes at its front, of which (at most) all were captured. */
static inline void block_walk_correct(const struct block_walk_setup *setup, struct tpacket3_hdr *header,
				      uint32_t grown, bool tagged)
{
	uint32_t captured = header->tp_snaplen + grown;

	header->tp_mac = (uint16_t)(header->tp_mac - grown);
	header->tp_len += grown;
	header->tp_snaplen =
		setup->snap_length != 0 && captured > setup->snap_length ? setup->snap_length : captured;
	header->tp_status &= ~(uint32_t)TP_STATUS_VLAN_VALID;
	header->tp_status |= BLOCK_STATUS_RESTORED | (tagged ? BLOCK_STATUS_TAGGED : 0);
}

static inline void block_walk_put_be16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

/* Puts the tag back between the addresses and the EtherType. A frame cut inside its addresses has no place
 * for it: only its length on the wire grows. */
static inline void block_walk_restore_tag(const struct block_walk_setup *setup, struct tpacket3_hdr *header)
{
	uint8_t *mac = (uint8_t *)header + header->tp_mac;
	const uint32_t addresses = 2 * ETH_ALEN;

	if (header->tp_snaplen < addresses) {
		header->tp_len += BLOCK_TAG_SIZE;
		header->tp_status &= ~(uint32_t)TP_STATUS_VLAN_VALID;
		header->tp_status |= BLOCK_STATUS_RESTORED;
		return;
	}
	memmove(mac - BLOCK_TAG_SIZE, mac, addresses);
	block_walk_put_be16(mac + addresses - BLOCK_TAG_SIZE, block_walk_tpid(header));
	block_walk_put_be16(mac + addresses - 2, (uint16_t)header->hv1.tp_vlan_tci);
	block_walk_correct(setup, header, BLOCK_TAG_SIZE, true);
}

/* Makes the SLL2 header (https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html) in the gap, and the tag
 * behind it: its protocol field then holds the TPID, and TCI and EtherType come first in the payload. */
static inline void block_walk_cook(const struct block_walk_setup *setup, struct tpacket3_hdr *header)
{
	struct sockaddr_ll address;
	uint8_t *payload = (uint8_t *)header + header->tp_mac;
	bool tagged = header->tp_status & TP_STATUS_VLAN_VALID;
	uint8_t *at = payload - BLOCK_SLL2_SIZE - (tagged ? BLOCK_TAG_SIZE : 0);
	uint32_t index;

	/* A copy: the header that is made may reach down to it when PACKET_RESERVE was not asked for. */
	memcpy(&address, block_walk_address(header), sizeof address);
	if (tagged) {
		block_walk_put_be16(payload - 4, (uint16_t)header->hv1.tp_vlan_tci);
		memcpy(payload - 2, &address.sll_protocol, 2);
		block_walk_put_be16(at, block_walk_tpid(header));
	} else {
		memcpy(at, &address.sll_protocol, 2);
	}
	block_walk_put_be16(at + 2, 0);
	index = htonl((uint32_t)address.sll_ifindex);
	memcpy(at + 4, &index, sizeof index);
	block_walk_put_be16(at + 8, address.sll_hatype);
	at[10] = address.sll_pkttype;
	at[11] = address.sll_halen;
	memcpy(at + 12, address.sll_addr, 8);
	block_walk_correct(setup, header, (uint32_t)(payload - at), tagged);
}

static inline uint32_t block_walk_flags(const struct block_walk_setup *setup, struct tpacket3_hdr *header)
{
	const uint32_t told = TP_STATUS_CSUMNOTREADY | TP_STATUS_GSO_TCP | TP_STATUS_TS_RAW_HARDWARE | BLOCK_STATUS_TAGGED;
	uint32_t status = header->tp_status;
	uint32_t flags = block_walk_direction(block_walk_address(header)->sll_pkttype);

	flags |= setup->wire_most != 0 && header->tp_len > setup->wire_most ? FRAME_AGGREGATED : 0;
	if (__builtin_expect((status & told) == 0, true))
		return flags;
	flags |= status & TP_STATUS_CSUMNOTREADY ? FRAME_CSUM_NOT_READY : 0;
	flags |= status & TP_STATUS_GSO_TCP ? FRAME_AGGREGATED : 0;
	flags |= status & TP_STATUS_TS_RAW_HARDWARE ? FRAME_TIME_HARDWARE : 0;
	flags |= status & BLOCK_STATUS_TAGGED ? FRAME_TAG_RESTORED : 0;
	return flags;
}

/* Hands out one frame and puts back what the kernel took out of it. */
static inline void block_walk_frame(const struct block_walk_setup *setup, struct tpacket3_hdr *header,
				    uint32_t span, struct frame *frame)
{
	if (!(header->tp_status & BLOCK_STATUS_RESTORED)) {
		if (setup->mode == BLOCK_WALK_COOKED)
			block_walk_cook(setup, header);
		else if (setup->mode == BLOCK_WALK_ETHERNET && header->tp_status & TP_STATUS_VLAN_VALID)
			block_walk_restore_tag(setup, header);
	}
	frame->data = (uint8_t *)header + header->tp_mac;
	frame->timestamp_ns = (uint64_t)header->tp_sec * UINT64_C(1000000000) + header->tp_nsec;
	frame->captured_len = header->tp_snaplen;
	frame->wire_len = header->tp_len;
	frame->span = span;
	frame->flags = block_walk_flags(setup, header);
	frame->link_type = setup->link_type;
	frame->interface = setup->interface;
	frame->fragment_len = 0;
}

/* Hands out up to max (at least 1) further frames of the block that was begun; the block's last one carries
 * FRAME_LAST_OF_SPAN, and walk->ended is true then. A block without packets gives one FRAME_NO_PACKET frame.
 * Returns how many; 0 only when the walk had ended. */
static inline unsigned block_walk_frames(struct block_walk *walk, const struct block_walk_setup *setup,
					 struct frame *frames, unsigned max)
{
	struct tpacket3_hdr *header = walk->next;
	unsigned count = walk->left < max ? walk->left : max;

	if (walk->ended)
		return 0;
	if (walk->left == 0) {
		frames[0] =
			(struct frame){ .span = walk->span, .flags = FRAME_NO_PACKET | FRAME_LAST_OF_SPAN };
		walk->ended = true;
		return 1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct tpacket3_hdr *next =
			(struct tpacket3_hdr *)((uint8_t *)header + header->tp_next_offset);

		/* The chain's next link is known; what lies two further on is guessed from this one's
		 * length, for the packet sizes of a burst repeat. A wrong guess costs nothing. */
		__builtin_prefetch(next);
		__builtin_prefetch((uint8_t *)next + 2 * (size_t)header->tp_next_offset);
		block_walk_frame(setup, header, walk->span, &frames[i]);
		header = next;
	}
	walk->next = header;
	walk->left -= count;
	if (walk->left == 0) {
		frames[count - 1].flags |= FRAME_LAST_OF_SPAN;
		walk->ended = true;
	}
	return count;
}

#endif
