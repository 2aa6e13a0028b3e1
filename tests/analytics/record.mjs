// The record, decoded by hand from its 128 bytes: an oracle for readers of the other formats, written from the
// table in the man page and not from engine/schema.h.
export const layer = { ETH: 1 << 0, ETHERTYPE: 1 << 1, VLAN: 1 << 3, VLAN_INNER: 1 << 4, ARP: 1 << 9,
  IPV4: 1 << 10, IPV6: 1 << 11, IPV6_FRAG: 1 << 13, TCP: 1 << 16, UDP: 1 << 17, ICMP: 1 << 21, ICMPV6: 1 << 22,
  IGMP: 1 << 23, TUNNEL: 1 << 27, TUNNEL_ID: 1 << 28, PORTS: 1 << 29 };
const IP = layer.IPV4 | layer.IPV6, IPA = IP | layer.ARP;
const L4 = 0x1ff << 16, ID4 = layer.IPV4 | layer.IPV6_FRAG, always = ~0;

// name: [offset, kind, layers that make it valid, or a predicate]
export const fields = {
  timestamp_ns: [0, 'time', always], wire_length: [8, 4, always], captured_length: [12, 4, always],
  src_ip: [16, 'ip', IPA], dst_ip: [32, 'ip', IPA], src_port: [48, 2, layer.PORTS], dst_port: [50, 2, layer.PORTS],
  payload_length: [52, 4, IP], flow_hash: [56, 4, IP], ethertype: [60, 2, layer.ETHERTYPE],
  ip_protocol: [62, 1, IP], tcp_flags: [63, 1, layer.TCP], packet_offset: [64, 8, () => false],
  tcp_seq: [72, 4, layer.TCP], icmp_id: [72, 2, echo], icmp_sequence: [74, 2, echo], tcp_ack: [76, 4, layer.TCP],
  tunnel_id: [80, 4, layer.TUNNEL_ID], ip_id: [84, 4, ID4], layers: [88, 4, always], status: [92, 4, always],
  src_mac: [96, 'mac', layer.ETH], dst_mac: [102, 'mac', layer.ETH], vlan_tci: [108, 2, layer.VLAN],
  inner_vlan_tci: [110, 2, layer.VLAN_INNER], l3_offset: [112, 2, IPA], l4_offset: [114, 2, L4],
  payload_offset: [116, 2, IP], fragment_offset: [118, 2, ID4], tcp_window: [120, 2, layer.TCP],
  icmp_type: [120, 1, layer.ICMP | layer.ICMPV6 | layer.IGMP], icmp_code: [121, 1, layer.ICMP | layer.ICMPV6],
  arp_operation: [120, 2, layer.ARP], ip_ttl: [122, 1, IP], ip_tos: [123, 1, IP], tunnel_type: [124, 1, layer.TUNNEL],
  tunnel_depth: [125, 1, always], interface: [126, 2, always],
};

function echo(record, layers) {
  const type = record[120];
  if (layers & layer.ICMP) return type === 0 || type === 8 || (type >= 13 && type <= 18);
  return (layers & layer.ICMPV6) !== 0 && (type === 128 || type === 129);
}

const hex = (bytes) => Buffer.from(bytes).toString('hex');

export function ipText(bytes, layers) {
  if (!(layers & layer.IPV6)) return Array.from(bytes.subarray(12)).join('.');
  const groups = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] << 8) | bytes[i + 1]).toString(16));
  let best = 0, at = -1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === '0') n++;
    if (n > best && n > 1) [best, at] = [n, i];
  }
  if (at < 0) return groups.join(':');
  return groups.slice(0, at).join(':') + '::' + groups.slice(at + best).join(':');
}

// All values of one record: BigInt or number, hex of bytes (or text addresses), null where there is none.
export function decode(record, text) {
  const view = new DataView(record.buffer, record.byteOffset, 128), layers = view.getInt32(88, true), out = {};
  for (const [name, [at, kind, valid]] of Object.entries(fields)) {
    if (typeof valid === 'function' ? !valid(record, layers) : valid !== always && !(layers & valid)) out[name] = null;
    else if (kind === 'time' || kind === 8) out[name] = view.getBigUint64(at, true);
    else if (kind === 4) out[name] = view.getUint32(at, true);
    else if (kind === 2) out[name] = view.getUint16(at, true);
    else if (kind === 1) out[name] = view.getUint8(at);
    else if (kind === 'ip') out[name] = text ? ipText(record.subarray(at, at + 16), layers) : hex(record.subarray(at, at + 16));
    else out[name] = text ? hex(record.subarray(at, at + 6)).match(/../g).join(':') : hex(record.subarray(at, at + 6));
  }
  return out;
}
