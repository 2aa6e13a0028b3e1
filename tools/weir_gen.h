/* `weir gen`: the command line of engine/gen. */
#ifndef WEIR_TOOLS_WEIR_GEN_H
#define WEIR_TOOLS_WEIR_GEN_H

int weir_gen(int argc, char **argv);

#endif
