/* ESP in UDP, port 4500.
 *
 * RFC 3948 2: four zero bytes (an SPI that does not exist) mark IKE, a single FF a keepalive;
 * all else is ESP.
 *
 *     |                              SPI                              |
 *     |                        sequence number                        |
 */
#include "decoders/decode_internal.h"

enum decode_next decode_esp_udp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header;
	uint32_t spi;

	if (d->wire_end - offset <= 1) /* keepalive */
		return NEXT_END;
	header = decode_take(d, 8, STATUS_MALFORMED_L4);
	if (header == NULL)
		return NEXT_END;
	spi = load_be32(header);
	if (spi == 0) {
		decode_trace_at(d, "IKE", offset + 4, d->wire_end - offset - 4);
		return NEXT_END;
	}
	d->record->layers |= LAYER_ESP;
	decode_trace_at(d, "ESP in UDP", offset, 8);
	decode_tunnel(d, TUNNEL_ESP_UDP, true, spi);
	return NEXT_END;
}
