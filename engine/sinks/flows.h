/* -w flows:TARGET: one row for each bidirectional flow, when it ends.
 *
 *	flows:x.ndjson  flows:x.csv  flows:x.arrow  flows:clickhouse://host/db/table  ...
 *	ipfix://host:port           to an IPFIX collector
 *
 * Thread owner: the writer. Behind the target may stand ?idle=SECONDS (default 120), active=SECONDS (default
 * 1800) and flows=N (at most so many at once, default 4 Mi, 192 bytes each; then the longest idle goes).
 * A flow ends by FIN both ways or RST (and 5 s for what still comes of it), by a SYN that begins anew, by
 * the timeouts, or with the run. Its times are the packets' own, also those that decide on timeouts.
 * Packets without IP belong to no flow; the ledger's events count them.
 */
#ifndef WEIR_ENGINE_SINKS_FLOWS_H
#define WEIR_ENGINE_SINKS_FLOWS_H

#include "engine/sinks/row_sink.h"
#include "engine/sinks/sinks.h"

sink_opener flows_open, flows_ipfix_open;

#endif
