/*
 * descriptors.h: dup2 names descriptor numbers, and any number may already be one of stage's own or of a slot.
 */
#ifndef TARE_STAGE_DESCRIPTORS_H
#define TARE_STAGE_DESCRIPTORS_H
#include <stddef.h>

/* Moves whatever stage holds at `number` elsewhere, unless it is `keep` itself. 0, or an errno. */
int descriptor_make_room(int keep, int number);

/*
 * Closes every descriptor of this process from `first` (at least 3) on but those in `keep` (-1: none), and what stage itself still needs: its
 * sockets and the pidfd of its parent, none of which leads into a file system. The slots of the others are empty afterwards.
 */
#define KEEP_MAX 3
int descriptors_close_others(unsigned first, const int *keep, size_t keeps);

#endif
