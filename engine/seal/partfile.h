/* An output file that has its name only when it is whole: NAME.part until then, removed if it never is.
 *
 * A .part that a killed run left behind is taken over; one that is being written (it is locked) is refused.
 * Where NAME is a device, a FIFO or a socket, there is no .part: it is written to directly.
 */
#ifndef WEIR_ENGINE_SEAL_PARTFILE_H
#define WEIR_ENGINE_SEAL_PARTFILE_H

#include <limits.h>
#include <stdbool.h>

#include "engine/error.h"

struct partfile {
	int fd;          /* to write to; -1 when closed */
	int dirfd;       /* not owned */
	bool direct;     /* no regular file */
	bool replace;
	char path[PATH_MAX];
	char part[PATH_MAX];
};

/* Opens path (in the directory dirfd, or AT_FDCWD) with mode 0600. An existing regular file is an error
 * (-EEXIST) unless replace. */
int partfile_open(struct partfile *file, int dirfd, const char *path, bool replace, struct error *error);

/* Syncs the data to the disk and gives the file its name; closes it. Upon an error the .part is removed. */
int partfile_commit(struct partfile *file, struct error *error);

/* Removes the .part, unless committed. Safe on a zeroed, half-open or committed object. */
void partfile_close(struct partfile *file);

#endif
