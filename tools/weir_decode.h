/* `weir decode`: one packet, given in hex, as a tree of its headers and as its record. */
#ifndef WEIR_TOOLS_WEIR_DECODE_H
#define WEIR_TOOLS_WEIR_DECODE_H

int weir_decode(int argc, char **argv);

#endif
