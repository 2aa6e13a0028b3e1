/* weir capture -D. */
#ifndef WEIR_TOOLS_INTERFACES_H
#define WEIR_TOOLS_INTERFACES_H

/* Prints the interfaces of this network namespace to stdout, one a line, numbered, in tcpdump's order (the
 * first is the default). Returns the exit status. */
int cli_list_interfaces(void);

#endif
