/* The subcommand `weir capture`. */
#ifndef WEIR_TOOLS_WEIR_CAPTURE_H
#define WEIR_TOOLS_WEIR_CAPTURE_H

int weir_capture(int argc, char **argv);

#endif
