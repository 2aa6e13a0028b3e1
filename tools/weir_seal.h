/* weir seal and weir unseal: encrypt a file, and open it again once it has proved whole. */
#ifndef WEIR_TOOLS_WEIR_SEAL_H
#define WEIR_TOOLS_WEIR_SEAL_H

int weir_seal(int argc, char **argv);
int weir_unseal(int argc, char **argv);

#endif
