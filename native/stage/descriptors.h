/*
 * descriptors.h: dup2 names descriptor numbers, and any number may already be one of stage's own or of a slot.
 */
#ifndef TARE_STAGE_DESCRIPTORS_H
#define TARE_STAGE_DESCRIPTORS_H

/* Moves whatever stage holds at `number` elsewhere, unless it is `keep` itself. 0, or an errno. */
int descriptor_make_room(int keep, int number);

/*
 * Closes every descriptor of this process but 0, 1, 2, `keep` (or -1), and what stage itself still needs: its sockets and
 * the pidfd of its parent, none of which leads into a file system. The slots of the others are empty afterwards.
 */
int descriptors_close_others(int keep);

#endif
