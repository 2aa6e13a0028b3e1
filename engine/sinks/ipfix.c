/* ipfix://host[:4739][?transport=udp|tcp]: flows to an IPFIX collector (RFC 7011), through libfixbuf.
 *
 * Each direction of a flow that has packets is a record of its own: collectors read those everywhere, the
 * two-way records of RFC 5103 do not. UDP is the default, as collectors listen on it; what it loses nobody
 * hears of, so it is paced, and the templates go with every chunk (RFC 7011, 8.1, wants them again and
 * again).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fixbuf/public.h>

#include "engine/flow/flow.h"
#include "engine/sinks/flows.h"
#include "engine/sinks/netsink.h"

#define PORT 4739
#define PACE_RECORDS 500 /* then a pause, so that a collector's socket buffer holds what UDP brings */
#define PACE_NS 2000000L

/* One direction. The members' order and sizes are those of the specifications below. */
struct ipfix_record {
	uint64_t start_ms, end_ms;
	uint64_t ip_bytes, packets, wire_bytes;
	uint32_t interface;
	uint16_t src_port, dst_port;
	uint16_t vlan_id, icmp;
	uint8_t protocol, tcp_flags, tos, end;
	union {
		struct {
			uint32_t src4, dst4; /* host order: libfixbuf turns them */
		};
		struct {
			uint8_t src6[16], dst6[16];
		};
	};
};

/* libfixbuf's names are char *, and it does not write to them. */
#define IE(name, size) { (char *)(name), (size), 0 }
#define IPFIX_COMMON \
	IE("flowStartMilliseconds", 8), IE("flowEndMilliseconds", 8), IE("octetDeltaCount", 8), \
	IE("packetDeltaCount", 8), IE("layer2OctetDeltaCount", 8), IE("ingressInterface", 4), \
	IE("sourceTransportPort", 2), IE("destinationTransportPort", 2), IE("vlanId", 2)
#define IPFIX_REST \
	IE("protocolIdentifier", 1), IE("tcpControlBits", 1), IE("ipClassOfService", 1), \
		IE("flowEndReason", 1)
#define IPFIX_IPV4 IE("sourceIPv4Address", 4), IE("destinationIPv4Address", 4), FB_IESPEC_NULL
#define IPFIX_IPV6 IE("sourceIPv6Address", 16), IE("destinationIPv6Address", 16), FB_IESPEC_NULL
#define IPFIX_TEMPLATES 4

/* By family, and whether the record has an ICMP type: collectors take one that is there for a port. */
static fbInfoElementSpec_t specs[IPFIX_TEMPLATES][20] = {
	{ IPFIX_COMMON, IE("paddingOctets", 2), IPFIX_REST, IPFIX_IPV4 },
	{ IPFIX_COMMON, IE("paddingOctets", 2), IPFIX_REST, IPFIX_IPV6 },
	{ IPFIX_COMMON, IE("icmpTypeCodeIPv4", 2), IPFIX_REST, IPFIX_IPV4 },
	{ IPFIX_COMMON, IE("icmpTypeCodeIPv6", 2), IPFIX_REST, IPFIX_IPV6 },
};
#define TEMPLATE_ID(index) ((uint16_t)(256 + (index)))

struct ipfix {
	struct netsink_transport transport;
	struct url url;
	char target[400], port[8];
	bool tcp;
	fbInfoModel_t *model;
	fBuf_t *buffer; /* NULL: not connected. Owns session and exporter */
	uint64_t records;
};

static int failed(struct ipfix *ipfix, GError **cause, struct error *error)
{
	error_set(error, -EIO, "%s: %s", ipfix->target, *cause ? (*cause)->message : "libfixbuf failed");
	g_clear_error(cause);
	if (ipfix->buffer)
		fBufFree(ipfix->buffer);
	ipfix->buffer = NULL;
	return -EIO;
}

/* The same template as internal and external one: what is sent is what the struct holds. */
static bool add_template(struct ipfix *ipfix, fbSession_t *session, fbInfoElementSpec_t *spec, uint16_t id,
			 GError **cause)
{
	fbTemplate_t *template = fbTemplateAlloc(ipfix->model);

	if (!fbTemplateAppendSpecArray(template, spec, 0, cause)) {
		fbTemplateFreeUnused(template);
		return false;
	}
	return fbSessionAddTemplate(session, TRUE, id, template, cause) &&
	       fbSessionAddTemplate(session, FALSE, id, template, cause);
}

static int ipfix_connect(struct ipfix *ipfix, struct error *error)
{
	fbConnSpec_t connection = { .transport = ipfix->tcp ? FB_TCP : FB_UDP,
				    .host = ipfix->url.host,
				    .svc = ipfix->port };
	fbSession_t *session = fbSessionAlloc(ipfix->model);
	GError *cause = NULL;

	ipfix->buffer = fBufAllocForExport(session, fbExporterAllocNet(&connection));
	for (unsigned i = 0; i < IPFIX_TEMPLATES; i++) {
		if (!add_template(ipfix, session, specs[i], TEMPLATE_ID(i), &cause))
			return failed(ipfix, &cause, error);
	}
	return 0;
}

static uint8_t end_reason(uint8_t end)
{
	static const uint8_t reasons[] = { /* RFC 5102, 5.11.3 */
		[FLOW_END_IDLE] = 1, [FLOW_END_ACTIVE] = 2, [FLOW_END_FIN] = 3,
		[FLOW_END_RST] = 3,  [FLOW_END_EVICTED] = 5, [FLOW_END_RUN] = 4,
	};

	return reasons[end];
}

static uint32_t host_ipv4(const uint8_t address[16])
{
	return (uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 | (uint32_t)address[14] << 8 |
	       address[15];
}

static size_t fill(struct ipfix_record *record, const struct flow *flow, unsigned direction)
{
	const uint8_t *src = direction ? flow->dst_ip : flow->src_ip,
		      *dst = direction ? flow->src_ip : flow->dst_ip;

	*record = (struct ipfix_record){
		.start_ms = flow->start_ns / 1000000, .end_ms = flow->end_ns / 1000000,
		.ip_bytes = flow->ip_bytes[direction], .packets = flow->packets[direction],
		.wire_bytes = flow->bytes[direction], .interface = flow->interface,
		.src_port = direction ? flow->dst_port : flow->src_port,
		.dst_port = direction ? flow->src_port : flow->dst_port,
		.vlan_id = flow->has_vlan ? flow->vlan_id : 0,
		.icmp = (uint16_t)(flow->icmp_type << 8 | flow->icmp_code),
		.protocol = flow->ip_protocol, .tcp_flags = flow->tcp_flags[direction], .tos = flow->ip_tos,
		.end = end_reason(flow->end),
	};
	if (flow->has_icmp)
		record->src_port = record->dst_port = 0;
	if (flow->ip_version == 6) {
		memcpy(record->src6, src, 16);
		memcpy(record->dst6, dst, 16);
		return offsetof(struct ipfix_record, src6) + 32;
	}
	record->src4 = host_ipv4(src);
	record->dst4 = host_ipv4(dst);
	return offsetof(struct ipfix_record, src4) + 8;
}

static int send_flow(struct ipfix *ipfix, struct netsink *netsink, const struct flow *flow,
		     struct error *error)
{
	uint16_t id = TEMPLATE_ID((flow->ip_version == 6) + 2 * flow->has_icmp);
	GError *cause = NULL;

	for (unsigned direction = 0; direction < 2; direction++) {
		struct ipfix_record record;
		size_t size;

		if (flow->packets[direction] == 0)
			continue;
		size = fill(&record, flow, direction);
		if (!fBufSetInternalTemplate(ipfix->buffer, id, &cause) ||
		    !fBufSetExportTemplate(ipfix->buffer, id, &cause) ||
		    !fBufAppend(ipfix->buffer, (uint8_t *)&record, size, &cause))
			return failed(ipfix, &cause, error);
		if (++ipfix->records % PACE_RECORDS == 0 && !ipfix->tcp) {
			nanosleep(&(struct timespec){ .tv_nsec = PACE_NS }, NULL);
			if (!netsink_service(netsink))
				return -EAGAIN;
		}
	}
	return 0;
}

static int ipfix_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
		      struct error *error)
{
	struct ipfix *ipfix = (struct ipfix *)transport;
	const struct flow *flows = chunk->rows;
	GError *cause = NULL;
	int rc = ipfix->buffer ? 0 : ipfix_connect(ipfix, error);

	if (rc == 0 && !fbSessionExportTemplates(fBufGetSession(ipfix->buffer), &cause))
		rc = failed(ipfix, &cause, error);
	for (uint32_t i = 0; rc == 0 && i < chunk->count; i++)
		rc = send_flow(ipfix, netsink, &flows[i], error);
	if (rc == 0 && !fBufEmit(ipfix->buffer, &cause))
		rc = failed(ipfix, &cause, error);
	if (rc == 0)
		atomic_fetch_add_explicit(&transport->bytes, chunk->count * sizeof(struct ipfix_record),
					  memory_order_relaxed);
	return rc;
}

static void ipfix_events(struct netsink_transport *transport, struct source_counter *events, unsigned *count)
{
	source_stats_add(events, count, "ipfix_records", ((struct ipfix *)transport)->records);
}

static void ipfix_close(struct netsink_transport *transport)
{
	struct ipfix *ipfix = (struct ipfix *)transport;

	if (ipfix->buffer)
		fBufFree(ipfix->buffer);
	if (ipfix->model)
		fbInfoModelFree(ipfix->model);
	free(ipfix);
}

static int parse_target(struct ipfix *ipfix, const char *target, struct error *error)
{
	static const char *const known[] = { "transport", NETSINK_OPTIONS, NULL };
	const char *transport;
	int rc = url_parse(target, PORT, &ipfix->url, error);

	if (rc == 0)
		rc = url_check_options(&ipfix->url, known, error);
	if (rc)
		return rc;
	transport = url_option(&ipfix->url, "transport");
	if (transport && strcmp(transport, "udp") != 0 && strcmp(transport, "tcp") != 0)
		return error_set(error, -EINVAL, "no transport '%s' for ipfix:// (udp or tcp)", transport);
	ipfix->tcp = transport && strcmp(transport, "tcp") == 0;
	snprintf(ipfix->port, sizeof ipfix->port, "%u", ipfix->url.port);
	snprintf(ipfix->target, sizeof ipfix->target, "ipfix://%s:%s", ipfix->url.host, ipfix->port);
	return 0;
}

int ipfix_rows_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		    struct row_sink **rows, struct error *error)
{
	struct ipfix *ipfix = calloc(1, sizeof *ipfix);
	int rc = ipfix ? parse_target(ipfix, target, error) : error_set_errno(error, -ENOMEM, "ipfix");

	*rows = NULL;
	if (rc) {
		free(ipfix);
		return rc;
	}
	ipfix->transport.send = ipfix_send;
	ipfix->transport.events = ipfix_events;
	ipfix->transport.close = ipfix_close;
	ipfix->model = fbInfoModelAlloc();
	rc = ipfix_connect(ipfix, &ipfix->transport.unreachable);
	if (rc == 0) {
		GError *cause = NULL;

		/* Connects: a host that has no address, or a TCP collector that is not there, is known
		 * now. */
		if (!fbSessionExportTemplates(fBufGetSession(ipfix->buffer), &cause) ||
		    !fBufEmit(ipfix->buffer, &cause))
			failed(ipfix, &cause, &ipfix->transport.unreachable);
	}
	if (ipfix->transport.unreachable.code)
		error_hint(&ipfix->transport.unreachable,
			   "is a collector listening there? --spool DIR keeps the flows until then");
	return netsink_start(&ipfix->transport, ipfix->target, &ipfix->url, kind, options, rows, error);
}
