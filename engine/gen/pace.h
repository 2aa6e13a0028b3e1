/* When the next packet is due: a schedule on the clock, not a budget per tick, so that packets leave
 * one by one as far as the sender keeps up.
 *
 * A sender that was held up (descheduled, a full ring) does not make up for it by a burst: debt beyond
 * `debt_packets` is forfeited, the schedule shifts, and that is counted as a slip. Pure arithmetic on
 * the times that the caller reads.
 */
#ifndef WEIR_ENGINE_GEN_PACE_H
#define WEIR_ENGINE_GEN_PACE_H

#include <stdint.h>

#define PACE_BURST 64 /* packets handed over in one go at most */
#define PACE_DEBT_NS 1000000 /* what is made up for at most; PACE_DEBT_LEAST packets at least */
#define PACE_DEBT_LEAST 2

struct pace {
	double interval_ns;      /* 0: as fast as it goes */
	uint64_t start_ns;
	uint64_t scheduled;      /* packets since start_ns */
	uint64_t debt_packets;
	uint64_t slips;          /* times that debt was forfeited */
	uint64_t slipped;        /* packets forfeited so */
};

/* rate_pps 0: no limit. */
static inline void pace_start(struct pace *pace, double rate_pps, uint64_t now_ns)
{
	*pace = (struct pace){ .interval_ns = rate_pps > 0 ? 1e9 / rate_pps : 0, .start_ns = now_ns };
	pace->debt_packets = (uint64_t)(rate_pps * PACE_DEBT_NS / 1e9);
	if (pace->debt_packets < PACE_DEBT_LEAST)
		pace->debt_packets = PACE_DEBT_LEAST;
}

/* How many packets are due now, at most PACE_BURST; pace_sent says how many went. */
static inline unsigned pace_due(struct pace *pace, uint64_t now_ns)
{
	uint64_t due;

	if (pace->interval_ns == 0)
		return PACE_BURST;
	due = (uint64_t)((double)(now_ns - pace->start_ns) / pace->interval_ns) + 1;
	if (due <= pace->scheduled)
		return 0;
	due -= pace->scheduled;
	if (due > pace->debt_packets) {
		uint64_t forfeit = due - 1;

		pace->slips++;
		pace->slipped += forfeit;
		pace->scheduled += forfeit;
		due = 1;
	}
	return due < PACE_BURST ? (unsigned)due : PACE_BURST;
}

static inline void pace_sent(struct pace *pace, unsigned count)
{
	pace->scheduled += count;
}

/* When the next packet is due. */
static inline uint64_t pace_next_ns(const struct pace *pace)
{
	return pace->start_ns + (uint64_t)((double)pace->scheduled * pace->interval_ns);
}

#endif
