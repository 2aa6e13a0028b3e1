/* Any state in which a header's decoder may be called: the contract that the proof is about.
 *
 * Between two headers a struct decode is anything that holds to this: the cursor starts at the frame
 * and ends within it (its position may be anywhere, even behind its end); the record at hand is the
 * caller's or the scratch record, both with a value in every byte; the other pointers are decode_packet's;
 * at most DECODE_TUNNEL_BOUND tunnels and DECODE_TRACE_LAYERS listed headers are counted; booleans are
 * booleans. All else, packet and options included, is unknown.
 *
 * unknown() and any_state() make every such state at once, still_holds() demands one. entries.c shows that each
 * header's decoder leads from the contract to the contract, whole.c that decode_packet() establishes
 * it and needs no more of the decoders.
 */
#include "__fc_builtin.h"

#include "decoders/decode_internal.h"

/* For reading a value: uninitialised bytes and booleans that are neither 0 nor 1 are alarms. */
static volatile uint64_t seen;

/* Reading one gives any value (and costs the analyser nothing, unlike its own functions for that). */
static volatile uint32_t any32;

/* Any value up to most. */
#define ANY_UP_TO(most) (any32 % ((most) + UINT32_C(1)))
#define ANY_BOOL() ((any32 & 1) != 0)

/* Unknown in every byte or field; never tested, only copied from. */
static struct record any_record;
static struct decode any_decode;
static struct decode_options any_options;

static void unknown(void)
{
	Frama_C_make_unknown((char *)&any_record, sizeof any_record);
	any_decode.wire_end = any32;
	any_decode.levels = any32;
	any_decode.level_at = any32;
	any_decode.tunnels = ANY_UP_TO(DECODE_TUNNEL_BOUND);
	any_decode.ethertype = (uint16_t)any32;
	any_decode.protocol = (uint8_t)any32;
	any_decode.hash_protocol = (uint8_t)any32;
	Frama_C_make_unknown((char *)any_decode.final_dst, sizeof any_decode.final_dst);
	any_decode.routed = ANY_BOOL();
	any_decode.checksum_unknowable = ANY_BOOL();
	any_decode.ethertype_known = ANY_BOOL();
	any_decode.tags_open = ANY_BOOL();
	any_decode.claimed = ANY_BOOL();
	any_decode.in_fragment = ANY_BOOL();
	Frama_C_make_unknown((char *)&any_options.ports, sizeof any_options.ports);
	any_options.tunnel = ANY_BOOL() ? DECODE_TUNNEL_OUTER : DECODE_TUNNEL_INNER;
	any_options.verify_checksums = ANY_BOOL();
	any_options.checksum_not_ready = ANY_BOOL();
}

/* pointers: what stays. length: of the frame. */
static void any_state(struct decode *d, const struct decode *pointers, uint32_t length)
{
	*d = any_decode;
	d->cursor.start = pointers->cursor.start;
	d->cursor.at = any32;
	d->cursor.end = ANY_UP_TO(length);
	d->options = pointers->options;
	d->described = pointers->described;
	d->scratch = pointers->scratch;
	d->trace = ANY_BOOL() ? pointers->trace : NULL;
	*d->described = any_record;
	*d->scratch = any_record;
	d->record = ANY_BOOL() ? d->scratch : d->described;
	if (d->trace != NULL)
		d->trace->count = ANY_UP_TO(DECODE_TRACE_LAYERS);
}

/* pointers: those that the contract began with (trace: or NULL). */
static void still_holds(const struct decode *d, const struct decode *pointers, uint32_t length,
			enum decode_next next)
{
	//@ assert same_start: d->cursor.start == pointers->cursor.start;
	//@ assert end_within_frame: d->cursor.end <= length;
	//@ assert same_options: d->options == pointers->options;
	//@ assert same_records: d->described == pointers->described && d->scratch == pointers->scratch;
	//@ assert same_trace: d->trace == \null || d->trace == pointers->trace;
	//@ assert record_at_hand: d->record == d->described || d->record == d->scratch;
	//@ assert record_whole: \initialized((char *)d->described + (0 .. sizeof(struct record) - 1));
	//@ assert scratch_whole: \initialized((char *)d->scratch + (0 .. sizeof(struct record) - 1));
	//@ assert address_whole: \initialized((char *)d->final_dst + (0 .. 15));
	//@ assert tunnels_bound: d->tunnels <= DECODE_TUNNEL_BOUND;
	//@ assert trace_bound: d->trace == \null || d->trace->count <= DECODE_TRACE_LAYERS;
	//@ assert names_a_header: NEXT_END <= next <= NEXT_MPLS_UDP;
	seen = (uint64_t)d->cursor.at + d->wire_end + d->levels + d->level_at + d->ethertype + d->protocol +
	       d->hash_protocol + d->routed + d->checksum_unknowable + d->ethertype_known + d->tags_open +
	       d->claimed + d->in_fragment;
}
