"""One capture file as tshark and as weir read it.

Both are generators of packets. Neither raises on a bad file: a reader that refused the file, or stopped inside it,
has a line that says why in `complaint` when it is exhausted.
"""
import json
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

OPTIONS = ('ip.defragment:FALSE', 'ipv6.defragment:FALSE', 'tcp.desegment_tcp_streams:FALSE',
           'tcp.relative_sequence_numbers:FALSE', 'sctp.reassembly:FALSE')
CHECKSUMS = ('ip.check_checksum:TRUE', 'tcp.check_checksum:TRUE', 'udp.check_checksum:TRUE', 'sctp.checksum:CRC 32c', 'udplite.check_checksum:TRUE')

# tshark's PDML is not always XML: control characters of packets are put out as they are.
NOT_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


class Tshark:
    """The <packet> elements of tshark's PDML."""

    def __init__(self, path, verify_checksums=False):
        self.path = path
        self.verify_checksums = verify_checksums
        self.complaint = None

    def __iter__(self):
        command = ['tshark', '-r', self.path, '-T', 'pdml', '-n']
        for option in OPTIONS + (CHECKSUMS if self.verify_checksums else ()):
            command += ['-o', option]
        broken = None
        with tempfile.TemporaryFile() as messages:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, text=True, encoding='utf-8',
                                       errors='replace')
            parser = ElementTree.XMLPullParser(['start', 'end'])
            root = None
            try:
                while broken is None:
                    chunk = process.stdout.read(1 << 16)
                    if not chunk:
                        break
                    parser.feed(NOT_XML.sub('?', chunk))
                    for event, element in parser.read_events():
                        if root is None:
                            root = element
                        if event == 'end' and element.tag == 'packet':
                            yield element
                            root.clear()
            except ElementTree.ParseError as error:
                broken = 'its XML is broken: %s' % error
                process.stdout.read()
            finally:
                process.stdout.close()
                status = process.wait()
            messages.seek(0)
            self.complaint = complaint(messages.read().decode(errors='replace'), 'tshark: ', status) or broken


class Weir:
    """The records of `weir read` (weir) or of decode_file (decoder), one a packet, as dictionaries."""

    def __init__(self, path, weir=None, decoder=None, verify_checksums=False):
        verify = ['--verify-checksums'] * verify_checksums
        self.command = [weir, 'read'] + verify + ['-w', 'ndjson:-', path] if weir else [decoder] + verify + [path]
        self.complaint = None

    def __iter__(self):
        with tempfile.TemporaryFile() as messages:
            process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=messages, text=True)
            try:
                for line in process.stdout:
                    yield json.loads(line)
            finally:
                process.stdout.close()
                status = process.wait()
            messages.seek(0)
            self.complaint = complaint(messages.read().decode(errors='replace'), 'weir: ', status)


def complaint(text, prefix, status):
    """What a program said when it ended with this status; None: nothing was wrong."""
    if status == 0:
        return None
    lines = [line[len(prefix):] for line in text.splitlines() if line.startswith(prefix)]
    if status < 0:
        return 'killed by signal %d' % -status
    return lines[0] if lines else 'exit status %d' % status
