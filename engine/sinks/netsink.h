/* What every sink over a network shares: a thread, a bounded queue, retries, the spool.
 *
 * Threads: the writer puts rows into the queue and never waits; the sink's own thread takes them out in
 * chunks (by rows, or every NETSINK_PERIOD_MS), and hands each chunk to the transport until it is delivered,
 * backing off between tries. A row that finds the queue full is shed, and counted by name; when rows come
 * from files (sink_options.may_wait) the writer waits for room instead, as long as the far end takes any.
 *
 * With --spool, rows that the far end cannot take now go from the queue to disk and are sent later, in order,
 * also by a later run. A chunk keeps its number over tries and runs: by it a far end that can tells a
 * repetition from a new chunk. At the end of the run what is left is sent for NETSINK_DRAIN_MS at most, then
 * spooled or, without a spool, shed.
 */
#ifndef WEIR_ENGINE_SINKS_NETSINK_H
#define WEIR_ENGINE_SINKS_NETSINK_H

#include "engine/sinks/row_sink.h"
#include "engine/sinks/sinks.h"
#include "engine/sinks/url.h"

#define NETSINK_CHUNK 65536u       /* rows of a chunk at most */
#define NETSINK_QUEUE (1u << 18)   /* rows of the queue */
#define NETSINK_PERIOD_MS 200u     /* rows wait at most so long for a chunk to fill */
#define NETSINK_DRAIN_MS 10000u    /* for what is left at the end */
#define NETSINK_PATIENCE_MS 30000u /* a reader of files waits for room so long without a delivery */
#define NETSINK_SPOOL_LIMIT (UINT64_C(4) << 30) /* bytes, unless ?spool= says else */

struct netsink;

struct chunk {
	void *rows;
	uint32_t count;
	uint64_t number; /* never 0 */
	bool again;      /* an earlier try, perhaps of an earlier run, may have delivered it */
};

/* The far end. All calls but close come from the sink's thread, and what open did before it existed. */
struct netsink_transport {
	/* Delivers the chunk. While it waits it calls netsink_service at least every 50 ms, and gives up with
	 * -EAGAIN when that returns false. Returns 0: delivered; another -errno with *error: not, to be tried
	 * again; it may leave in the chunk only the rows that were not delivered. */
	int (*send)(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
		    struct error *error);
	/* All chunks of the run were sent: a last word to the far end. May be NULL. */
	void (*end)(struct netsink_transport *transport, struct netsink *netsink,
		    const struct ledger *ledger);
	/* Figures of its own for the ledger. May be NULL. */
	void (*events)(struct netsink_transport *transport, struct source_counter *events, unsigned *count);
	void (*close)(struct netsink_transport *transport);
	_Atomic uint64_t bytes; /* sent */
	struct error unreachable; /* set by open when the far end is not there yet; code 0: it is */
};

/* Starts the sink over an open transport, which it owns from here on (also when this fails). target: as the
 * user named it, without a password: it names the spool. */
int netsink_start(struct netsink_transport *transport, const char *target, const struct url *url,
		  const struct row_kind *kind, const struct sink_options *options, struct row_sink **rows,
		  struct error *error);

/* For transports that wait: moves rows to the spool when the queue fills. False: stop waiting, the run is
 * over. */
bool netsink_service(struct netsink *netsink);

/* Options that every network target takes, for url_check_options: rows of the queue, MiB of the spool,
 * seconds of patience. */
#define NETSINK_OPTIONS "queue", "spool", "patience"

/* Opens a network target by its scheme; -EPROTONOSUPPORT when the scheme is none of them. */
int netsink_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		 struct row_sink **rows, struct error *error);

/* Each transport's opener: target is what stands behind "scheme://". */
typedef int netsink_opener(const char *target, const struct row_kind *kind,
			   const struct sink_options *options, struct row_sink **rows, struct error *error);
netsink_opener clickhouse_rows_open, kafka_rows_open, tcp_rows_open, unix_rows_open;
netsink_opener ipfix_rows_open; /* of flows only */

/* -w clickhouse://..., kafka://..., tcp://..., unix:...: records. */
sink_opener clickhouse_open, kafka_open, tcp_open, unix_open;

#endif
