/* `weir verify`: check the chain of a capture's manifest, and the files that it names. */
#ifndef WEIR_TOOLS_WEIR_VERIFY_H
#define WEIR_TOOLS_WEIR_VERIFY_H

int weir_verify(int argc, char **argv);

#endif
