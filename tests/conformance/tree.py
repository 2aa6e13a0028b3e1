"""What tshark's PDML says of one packet, walked as weir walks it: levels, tags, tunnels, and where the walk ended."""

# What weir walks through; anything else ends the path. PDML's names.
LINK = {'eth', 'vlan', 'ieee8021ad', 'llc', 'ieee8021ah', 'macsec', 'mpls', 'pwethheuristic', 'pwethcw', 'pwethnocw',
        'pppoes', 'ppp', 'chdlc', 'sll', 'null', 'loop', 'etag', 'vntag', 'ieee8021cb', 'hsr', 'bcp_bpdu', 'raw',
        'ethertype', 'ppp_hdlc', 'pwach', 'pweth', 'pwmcw', 'prp', 'fr', 'wlan', 'radiotap', 'ppi', 'pktap', 'pflog', 'enc',
        'nflog', 'ipnet', 'ipoib', 'juniper', 'isl', 'cfp', 'fddi', 'tr', 'slip'}
TRANSPORT = {'tcp', 'udp', 'udplite', 'sctp', 'dccp', 'icmp', 'icmpv6', 'igmp'}
IP_EXTRA = {'ah', 'mipv6', 'hip', 'shim6', 'ipv6.hopopts', 'ipv6.dstopts', 'ipv6.routing', 'ipv6.fraghdr'}
TUNNELS = {'gre': 5, 'erspan': 9, 'vxlan': 11, 'vxlan_gpe': 12, 'geneve': 13, 'gtp': 14, 'l2tp': 15, 'teredo': 17,
           'ayiya': 18, 'esp': 19, 'nsh': 20, 'etherip': 23}
OTHER = {'geninfo', 'frame', 'udpencap', 'fake-field-wrapper', 'eth.fcs', 'eth.trailer', '_ws.expert', 'pkt_comment',
         'sctp_chunk', 'wlan_radio'}
KNOWN = LINK | TRANSPORT | IP_EXTRA | set(TUNNELS) | {'ip', 'ipv6', 'arp', 'udpencap', 'frame'}
NEXT = {'ip.proto', 'ipv6.nxt', 'ipv6.hopopts.nxt', 'ipv6.dstopts.nxt', 'ipv6.routing.nxt', 'ipv6.fraghdr.nxt',
        'ah.next_header', 'mip6.proto', 'hip.proto', 'shim6.nxt', 'ipv6.shim6.nxt'}
TUNNEL_ID = {'gre.key': 5, 'erspan.spanid': 9, 'vxlan.vni': 11, 'geneve.vni': 13, 'gtp.teid': 14, 'l2tp.session': 15,
             'l2tp.sid': 16, 'nsh.spi': 20, 'esp.spi': 19}
ARP_TYPES = {'arp.opcode': 'arp_operation', 'arp.src.proto_ipv4': 'src_ip', 'arp.dst.proto_ipv4': 'dst_ip'}

PLAIN = {
    'ip.src': 'src_ip', 'ip.dst': 'dst_ip', 'ip.ttl': 'ip_ttl', 'ip.dsfield': 'ip_tos', 'ip.tos': 'ip_tos',
    'ip.id': 'ip_id',
    'ipv6.src': 'src_ip', 'ipv6.dst': 'dst_ip', 'ipv6.hlim': 'ip_ttl', 'ipv6.tclass': 'ip_tos',
    'ipv6.fraghdr.ident': 'ip_id',
    'tcp.srcport': 'src_port', 'tcp.dstport': 'dst_port', 'udp.srcport': 'src_port', 'udp.dstport': 'dst_port',
    'sctp.srcport': 'src_port', 'sctp.dstport': 'dst_port', 'dccp.srcport': 'src_port', 'dccp.dstport': 'dst_port',
    'tcp.seq_raw': 'tcp_seq', 'tcp.ack_raw': 'tcp_ack', 'tcp.window_size_value': 'tcp_window',
    'icmp.type': 'icmp_type', 'icmp.code': 'icmp_code', 'icmp.ident': 'icmp_id', 'icmp.seq': 'icmp_sequence',
    'icmpv6.type': 'icmp_type', 'icmpv6.code': 'icmp_code', 'icmpv6.echo.identifier': 'icmp_id',
    'icmpv6.echo.sequence_number': 'icmp_sequence', 'igmp.type': 'icmp_type',
}
# Status 0 bad, 1 good; 2 and 3: not verified, not there. Without --verify-checksums all are 2, or weir's are not looked at.
CHECKSUMS = {'ip.checksum.status': 'ip_checksum_bad'}
CHECKSUMS.update({name + '.checksum.status': 'l4_checksum_bad' for name in ('tcp', 'udp', 'icmp', 'icmpv6', 'sctp')})
TCP_OPTIONS = {'tcp.options.mss': 'mss', 'tcp.options.wscale': 'wscale', 'tcp.options.sack_perm': 'sack_perm',
               'tcp.options.sack': 'sack', 'tcp.options.timestamp': 'timestamps'}
ADDRESSES = {'src_ip', 'dst_ip', 'src_mac', 'dst_mac'}


def number(text):
    try:
        return int(text, 0)
    except ValueError:
        try:
            return int(text)
        except ValueError:
            return {'True': 1, 'False': 0}.get(text)


def fields_of(element, quoted=True):
    """All fields below a protocol, in packet order; those of packets that it quotes only if asked for."""
    for child in element:
        if child.tag == 'proto' and not quoted:
            continue
        yield child
        yield from fields_of(child, quoted)


def field_value(element, name):
    """The bytes, in hexadecimal, that a named field of an element lies in."""
    for field in element:
        if field.get('name') == name:
            return (field.get('unmaskedvalue') or field.get('value')).lower()
    return ''


class Level(dict):
    """One IP level as tshark sees it: record field names to values, None where tshark has none."""


class Tree:
    """What tshark says of one packet, walked as weir walks it."""

    def __init__(self, packet):
        self.link = {}
        self.tags = []
        self.levels = []
        self.names = []
        self.arp = None
        self.notes = set()
        self.ended_by = None
        self.last = None
        self.tunnels = []
        self.tags_open = True
        self.frame_end = 0
        self.checksum = None
        for proto in packet:
            if not self.walk(proto):
                break

    def walk(self, proto):
        name = proto.get('name')
        if name in ('_ws.malformed', '_ws.short'):
            if self.last in KNOWN:
                self.notes.add(name)
            return True
        self.last = name
        if name == 'frame':
            for field in proto:
                if field.get('name') == 'frame.len':
                    self.frame_end = self.link['wire_length'] = number(field.get('show'))
                elif field.get('name') == 'frame.cap_len':
                    self.link['captured_length'] = number(field.get('show'))
                    self.frame_end = max(self.frame_end, self.link['captured_length'])
            return True
        if self.ended_by is not None:
            if name in ('ip', 'ipv6'):
                self.notes.add('below')
            return True
        if name in OTHER or name == '':
            return True
        self.names.append(name)
        handler = getattr(self, 'on_' + name.replace('.', '_').replace('-', '_'), None)
        if handler:
            handler(proto)
        elif name in TRANSPORT:
            self.on_transport(proto, name)
        elif name in IP_EXTRA:
            self.on_extra(proto)
        if name in TUNNELS:
            self.on_tunnel(proto, name)
        elif name not in KNOWN:
            self.ended_by = name
        if name in ('icmp', 'icmpv6', 'arp', 'igmp', 'sctp', 'tcp', 'esp'):
            self.ended_by = name
        return True

    def on_eth(self, proto):
        first = 'src_mac' not in self.link
        if self.levels and self.levels[-1].get('ip_protocol') == 143 and len(self.names) - 1 == self.levels[-1]['names_end']:
            self.tunnels.append((24, None))
        self.tags_open = first and not self.tags
        for field in proto:
            name = field.get('name')
            if first and name == 'eth.src':
                self.link['src_mac'] = field.get('show')
            elif first and name == 'eth.dst':
                self.link['dst_mac'] = field.get('show')

    def on_cfp(self, proto):
        """FabricPath's addresses: fields of six bytes, that tshark shows as no MAC addresses."""
        for field in proto:
            for name, key in (('cfp.d_hmac', 'dst_mac'), ('cfp.s_hmac', 'src_mac')):
                if field.get('name') == name:
                    parts = [field_value(field, part) for part in ('cfp.swid', 'cfp.sswid', 'cfp.lid')]
                    self.link.setdefault(key, ':'.join(''.join(parts)[i:i + 2] for i in range(0, 12, 2)))

    def tag(self, proto, prefix):
        values = {field.get('name'): number(field.get('show') or '') for field in fields_of(proto)}
        if self.tags_open and values.get(prefix + '.id') is not None:
            self.tags.append((values.get(prefix + '.priority') or 0) << 13 | (values.get(prefix + '.dei') or 0) << 12 |
                             values[prefix + '.id'])

    def on_vlan(self, proto):
        self.tag(proto, 'vlan')

    def on_ieee8021ad(self, proto):
        self.tag(proto, 'ieee8021ad')
        if any(field.get('name') == 'ieee8021ah.isid' for field in fields_of(proto)):
            self.tags_open = False

    def on_ieee8021ah(self, _proto):
        self.tags_open = False

    def on_mpls(self, _proto):
        self.tags_open = False

    def on_arp(self, proto):
        if self.levels:
            return
        found = {ARP_TYPES[f.get('name')]: f for f in fields_of(proto) if f.get('name') in ARP_TYPES}
        if 'src_ip' in found and 'dst_ip' in found:
            self.arp = {k: (f.get('show') if k in ADDRESSES else number(f.get('show'))) for k, f in found.items()}
            self.arp['l3_offset'] = int(proto.get('pos'))

    def start(self, proto):
        level = Level(l3_offset=int(proto.get('pos')), tunnels=list(self.tunnels), names=list(self.names))
        self.tags_open = False
        if self.levels:
            above = self.levels[-1]
            kind = {4: {'ip': 1, 'ipv6': 2}, 41: {'ipv6': 2}}.get(above.get('ip_protocol'), {}).get(proto.get('name'))
            if kind and above['names_end'] == len(self.names) - 1:
                over6 = above['version'] == 6
                kind = (3 if proto.get('name') == 'ip' else 4) if over6 else kind
                self.tunnels.append((kind, None))
                level['tunnels'] = list(self.tunnels)
        level['version'] = 6 if proto.get('name') == 'ipv6' else 4
        return level

    def fill(self, level, field):
        name, show = field.get('name'), field.get('show') or ''
        if name in PLAIN:
            key = PLAIN[name]
            level.setdefault(key, show if key in ADDRESSES else number(show))
        elif name in NEXT:
            value = number(show)
            if not (name in ('mip6.proto', 'hip.proto', 'shim6.nxt', 'ipv6.shim6.nxt') and value == 59):
                level['ip_protocol'] = value
        elif name == 'ip.frag_offset':
            # Units changed between versions of tshark; the raw bytes did not.
            level['fragment_offset'] = (int(field.get('unmaskedvalue') or field.get('value'), 16) & 0x1fff) * 8
        elif name == 'ipv6.fraghdr.offset':
            level['fragment_offset'] = int(field.get('unmaskedvalue') or field.get('value'), 16) & 0xfff8
        elif name == 'ip.flags':
            value = number(show)
            level['fragment_df'], level['fragment_mf'] = value >> 1 & 1, value & 1
            if value > 7:
                level['fragment_df'], level['fragment_mf'] = value >> 6 & 1, value >> 5 & 1
        elif name == 'ipv6.fraghdr.more':
            level['fragment_mf'] = number(show)
        elif name == 'ip.len':
            level['total'] = number(show)
        elif name == 'ip.hdr_len':
            level['header'] = number(show)
        elif name == 'ipv6.plen':
            level['total'] = number(show) + 40
        elif name == 'ipv6.opt.jumbo':
            level['total'] = number(show) + 40
        elif name == 'tcp.flags':
            value = number(show)
            level['tcp_flags'], level['tcp_ae'] = value & 0xff, value >> 8 & 1
        elif name == 'tcp.len':
            level['payload_length'] = number(show)
        elif name.endswith('.checksum'):
            self.checksum = number(show)
        elif name.endswith('.checksum_calculated') and self.checksum == 0xffff and number(show) == 0:
            self.notes.add('negative-zero')
        elif name in CHECKSUMS and number(show) in (0, 1):
            level[CHECKSUMS[name]] = 1 - number(show)
        elif name in TCP_OPTIONS:
            level[TCP_OPTIONS[name]] = 1

    def on_ip(self, proto):
        level = self.start(proto)
        for field in fields_of(proto):
            self.fill(level, field)
        if 'src_ip' not in level:
            return
        self.levels.append(level)
        level['names_end'] = len(self.names)

    on_ipv6 = on_ip

    def on_extra(self, proto):
        if not self.levels:
            return
        for field in fields_of(proto):
            self.fill(self.levels[-1], field)
        self.levels[-1]['names_end'] = len(self.names)

    def on_transport(self, proto, name):
        if not self.levels:
            return
        level = self.levels[-1]
        level['l4'] = name
        level['l4_offset'] = int(proto.get('pos'))
        if name == 'tcp':
            for key in list(TCP_OPTIONS.values()):
                level[key] = 0
        for field in fields_of(proto, quoted=False):
            self.fill(level, field)
        if name == 'icmp':
            # tshark shows an identifier in messages that quote one, too.
            if level.get('icmp_type') not in (0, 8, 13, 14, 15, 16, 17, 18):
                level.pop('icmp_id', None)
                level.pop('icmp_sequence', None)
        level['l4_header'] = {'udp': 8, 'udplite': 8, 'sctp': 12, 'icmp': 8, 'icmpv6': 8, 'igmp': 8}.get(
            name, level.get('l4_header'))

    def on_igmp_type(self, proto):
        """DVMRP (type 0x13) and PIM version 1 (0x14) are messages of IGMP, which tshark shows under their own names."""
        level = self.levels[-1] if self.levels else {}
        if level.get('ip_protocol') != 2 or 'l4' in level:
            return
        level.update(l4='igmp', l4_offset=int(proto.get('pos')), l4_header=8,
                     icmp_type=0x13 if proto.get('name') == 'dvmrp' else 0x14)

    on_dvmrp = on_pim = on_igmp_type

    def on_tunnel(self, proto, name):
        self.tags_open = False
        kind, ident, gre_protocol, version, version1 = TUNNELS[name], None, None, None, False
        for field in fields_of(proto):
            field_name = field.get('name')
            if field_name in TUNNEL_ID:
                ident = number(field.get('show'))
            elif field_name == 'gre.proto':
                gre_protocol = number(field.get('show'))
            elif field_name == 'geneve.version' and number(field.get('show')) != 0:
                self.notes.add('tunnel-version')
            elif field_name == 'erspan.version':
                version = number(field.get('show'))
            elif field_name == 'gre.flags.version':
                if number(field.get('show')) == 1:
                    kind = 6
                    version1 = True
                elif number(field.get('show')) > 1:
                    self.notes.add('tunnel-version')
        if version1 and gre_protocol != 0x880b:
            self.notes.add('tunnel-version')
        if name == 'erspan':
            kind = {None: 8, 0: 8, 1: 9, 2: 10}.get(version, 9)
            self.tunnels[-1] = (kind, ident)
            return
        if name == 'esp' and (not self.levels or self.levels[-1].get('l4') != 'udp'):
            return
        if name == 'gtp' and self.levels and 2152 not in (self.levels[-1].get('src_port'),
                                                          self.levels[-1].get('dst_port')):
            self.ended_by = name
            return
        self.tunnels.append((kind, ident))
        self.last_gre = gre_protocol
