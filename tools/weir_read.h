/* The subcommand `weir read`. */
#ifndef WEIR_TOOLS_WEIR_READ_H
#define WEIR_TOOLS_WEIR_READ_H

int weir_read(int argc, char **argv);

#endif
