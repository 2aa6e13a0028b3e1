/* `weir digest`: print or check the digests of files, in the format of sha256sum. */
#ifndef WEIR_TOOLS_WEIR_DIGEST_H
#define WEIR_TOOLS_WEIR_DIGEST_H

int weir_digest(int argc, char **argv);

#endif
