/*
 * in_root.h: makes a directory or file below a root that an attacker can change at any moment. The kernel resolves each
 * prefix inside the root (openat2(2), RESOLVE_IN_ROOT), and a component is made only in a directory held open
 * (CVE-2024-45310: making by path after a check lets a symlink take the path out of the root).
 */
#ifndef TARE_STAGE_IN_ROOT_H
#define TARE_STAGE_IN_ROOT_H
#include <sys/types.h>

/* Opens `path` below `root` (O_PATH), and makes what is missing: directories of mode 0755 on the way, at the end what
 * `mode` says: S_IFDIR or S_IFREG, and permissions. What is there already is taken as it is, except that S_IFDIR wants a
 * directory. 0 and *fd, or an errno and the name of the call that gave it. */
int make_in_root(int root, const char *path, mode_t mode, int *fd, const char **failed);

#endif
