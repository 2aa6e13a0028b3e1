/* The backend contract: where frames come from.
 *
 * The glossary. block: a kernel-handed TPACKET_V3 region. frame: one packet's bytes. chunk: a fixed
 * UMEM unit. desc: an AF_XDP ring entry. burst: the result of one rx_burst. span: what is released at
 * once (a block, a run of chunks). slot: a place in the SPSC ring. record: the fixed-size output.
 * batch: what a sink gets at once. Rings are fill/comp/rx/tx.
 *
 * A source is one ring with one owner: its worker thread. Only the worker calls rx_burst, release,
 * empty, stats, arm, check, reopen and stop; open and start run before the worker exists, close after it ended.
 *
 * Lifetime. A frame's bytes stay readable until its span is released. The worker releases a span
 * as soon as it is decoded when no sink needs bytes; else after the writer has returned it. Blocks
 * are released in order: the source itself puts early returns in order if its kernel ring wants so.
 */
#ifndef WEIR_ENGINE_SOURCE_H
#define WEIR_ENGINE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/interface.h"

#define SOURCE_BURST 64 /* frames of one rx_burst at most */
/* As many suit a source whose packets lie in memory that was written long ago: what it touches to hand out a frame
 * is decoded next, and after more frames than this it is no longer in the nearest cache (bench_replay: 23 ns a packet
 * in bursts of 64, 14 in bursts of 16). */
#define SOURCE_BURST_SHORT 16
#define SOURCE_COUNTERS 12

enum frame_flags {
	FRAME_DIRECTION_MASK = 3u << 0, /* enum record_direction */
	FRAME_LAST_OF_SPAN = 1u << 2,   /* behind this frame its span may be released */
	FRAME_MORE_FRAGMENTS = 1u << 3, /* data is the first fragment of a longer frame: captured_len is the whole
					   frame's, fragment_len what data holds */
	FRAME_IS_RECORD = 1u << 4,      /* data is a struct record, already decoded */
	FRAME_TIME_HARDWARE = 1u << 5,
	FRAME_CSUM_NOT_READY = 1u << 6,
	FRAME_TAG_RESTORED = 1u << 7,   /* the kernel had taken the tag out; the source put it back into the bytes */
	FRAME_AGGREGATED = 1u << 8,     /* GRO/LRO: one frame for several on the wire */
	FRAME_NO_PACKET = 1u << 9,      /* carries no packet, only ends a span (with FRAME_LAST_OF_SPAN) */
};

/* Most frames have none of these: one look tells. */
#define FRAME_UNUSUAL (~(uint32_t)(FRAME_DIRECTION_MASK | FRAME_LAST_OF_SPAN))

struct frame {
	const uint8_t *data;   /* points into the backend's memory; NULL with FRAME_NO_PACKET */
	uint64_t timestamp_ns; /* UNIX epoch */
	uint32_t captured_len;
	uint32_t wire_len;
	uint32_t span;         /* id, below source.span_count */
	uint32_t flags;        /* enum frame_flags */
	uint32_t fragment_len; /* with FRAME_MORE_FRAGMENTS only */
	uint16_t link_type;    /* enum link_type */
	uint16_t interface;    /* index into the run's interface table */
};

struct source_counter {
	const char *name; /* static string, snake_case: a key of --stats-json */
	uint64_t count;
};

/* What a source knows of its ring, 64-bit and accumulated since start.
 * seen = every packet that the source's own counter saw, among them the losses:
 * after drain, frames handed out = seen - sum of losses. */
struct source_stats {
	uint64_t seen;
	uint64_t handed_out;                               /* frames with a packet given by rx_burst so far */
	struct source_counter losses[SOURCE_COUNTERS];     /* packets, inside seen: balance */
	unsigned loss_count;
	struct source_counter outside[SOURCE_COUNTERS];    /* packets lost or passed on before seen (NIC, softnet, ...): shown */
	unsigned outside_count;
	struct source_counter events[SOURCE_COUNTERS];     /* not packets: freezes, sequence gaps, wakeups */
	unsigned event_count;
	uint32_t spans_total;
	uint32_t spans_held_most;                          /* worst case so far of spans held at once */
	char mode[64];                                     /* "TPACKET_V3", "native copy", ... for people and the ledger */
};

struct source;

struct source_ops {
	const char *name; /* "afpacket", ... */

	/* Lets packets in. Called once for every source of the run, after all are open. */
	int (*start)(struct source *source, struct error *error);

	/* Hands out up to max (at most SOURCE_BURST) frames that the worker now holds. Never blocks. Returns
	 * how many; 0: none now; -ENODATA: the end (a file), for ever; -ENETDOWN: the interface went away and
	 * everything it had delivered has been handed out (see reopen); other -errno: the source is broken,
	 * and error() of the source says why. */
	int (*rx_burst)(struct source *source, struct frame *frames, unsigned max);

	/* Gives a span back to the kernel. Each span once, after its FRAME_LAST_OF_SPAN frame. */
	void (*release)(struct source *source, uint32_t span);

	/* True when the kernel holds nothing for us that rx_burst has not handed out (not even in an open
	 * block): whoever comes later has a later timestamp. May make a syscall; called when idle. NULL: never known. */
	bool (*empty)(struct source *source);

	/* Before the worker sleeps: refill, kick, ask for a wake-up. Returns true when there is something to
	 * do instead of sleeping. NULL: nothing to arm. */
	bool (*arm)(struct source *source);

	/* After epoll reported EPOLLERR or EPOLLHUP on source->fd: read SO_ERROR, resynchronise. Returns 0 to go
	 * on, or -ENETDOWN, or another -errno as rx_burst. NULL: errors cannot happen. */
	int (*check)(struct source *source);

	/* After -ENETDOWN, and only when every span is back: tries to come to life again (a new socket and
	 * ring; source->fd may change). Returns 0 when packets flow again, -EAGAIN while the interface is not
	 * there or down, other -errno when it cannot be. NULL: cannot reopen. */
	int (*reopen)(struct source *source);

	/* Rejects all further packets at the kernel (what the ring already has is still to be walked). */
	void (*stop)(struct source *source);

	void (*stats)(struct source *source, struct source_stats *stats);

	/* Unmaps and closes; every span is back. Safe on a half-built source; frees it. */
	void (*close)(struct source *source);
};

/* The head of every backend's own struct (first member, so that a cast goes both ways). */
struct source {
	const struct source_ops *ops;
	int fd;                 /* pollable (edge-triggered EPOLLIN), or -1: rx_burst always knows (files, memory) */
	uint16_t interface;     /* index of its interface (a file: the first) */
	uint32_t span_count;    /* span ids are below this; sizes the return queue */
	uint32_t burst;         /* frames of one rx_burst that suit it, 1 to SOURCE_BURST; 0: SOURCE_BURST */
	uint32_t spans_lazy;    /* so many returned spans may wait until the worker wakes for another reason; 0: each
				   is wanted at once */
	uint32_t drain_ms;      /* how long after stop the kernel may still hand over what it had (two retire periods) */
	uint32_t look_ms;       /* the worker sleeps at most so long before it calls arm again: something that fd does
				   not tell (an interface that goes away); 0: for ever */
	uint32_t coalesce_us;   /* the ring wakes for a single packet: let more come for so long after a wake-up, and
				   instead of waiting for them while they come; 0: the kernel gathers them itself (blocks) */
	bool costly_look;       /* each rx_burst is a system call: none is made on the chance that something just came */
	bool live;              /* timestamps follow the wall clock, and what is not read in time may be lost */
	bool (*progress)(struct source *source, uint64_t *done, uint64_t *total); /* bytes, any thread; NULL: unknown */
	struct error error;     /* why rx_burst or reopen failed (worker writes, read after it ended) */
	struct error warning;   /* something that a person should know; code 0: none. Not live and -ENODATA (cut off) or
				   -EBADMSG (corrupted): the run's exit status is 1, with all before it written */
};

static inline unsigned source_burst(const struct source *source)
{
	return source->burst != 0 ? source->burst : SOURCE_BURST;
}

/* Which packets by their direction, -Q. */
enum source_direction {
	SOURCE_IN_OUT = 0,
	SOURCE_IN = 1,
	SOURCE_OUT = 2,
};

enum source_fanout {
	FANOUT_HASH = 0, /* symmetric flow hash */
	FANOUT_CPU,
	FANOUT_QM,
	FANOUT_LB,
	FANOUT_ROLLOVER,
};

/* Options that live backends share; each backend's header adds its own. Validated by tools/, const after. */
struct source_options {
	uint32_t snap_length;       /* bytes kept of each packet, 1 to 262144 */
	bool headers_only;          /* no sink needs bytes behind snap_length: the kernel copies headers only */
	bool promiscuous;
	enum source_direction direction;
	enum source_fanout fanout;
	uint64_t ring_size;         /* bytes for each worker; 0: default */
	uint32_t block_size;        /* bytes; 0: default */
	uint32_t block_timeout_ms;  /* 1 to 1000 */
	const char *filter;         /* pcap-filter(7), NULL or empty: all */
	bool time_hardware;         /* ask the NIC for timestamps */
	bool exit_on_interface_loss;
};

/* What a person should know of a source that was opened: the ring really got after a fallback, a filter that
 * runs in user space and why, offloads that make big frames. Every live backend's open takes one (may be NULL). */
#define SOURCE_NOTES 8
struct source_report {
	char summary[160]; /* "Ethernet, TPACKET_V3, 64 MiB ring": behind "capturing on eth0" */
	char notes[SOURCE_NOTES][256];
	unsigned note_count;
};

/* Appends a note; the ninth and later are dropped. */
void source_report_note(struct source_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void source_stats_add(struct source_counter *counters, unsigned *count, const char *name, uint64_t value)
{
	if (*count < SOURCE_COUNTERS)
		counters[(*count)++] = (struct source_counter){ .name = name, .count = value };
}

#endif
