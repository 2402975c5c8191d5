/*
 * descriptors.c: moves a descriptor, and every place that knows it by its number.
 */
#include "descriptors.h"
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool move(int *place, int from, int *to);

int descriptor_make_room(int keep, int number)
{
    int to = -1;
    if (number < 0)
        return EBADF;
    if (number == keep)
        return 0;
    for (uint32_t i = 0; i < self.plan.header->slots; i++)
        if (self.plan.slot_letter[i] == 'd' && !move(&self.slot[i], number, &to))
            return errno;
    for (unsigned lane = 0; lane < PLAN_MAX_LANES; lane++) {
        if (!move(&self.control[lane], number, &to))
            return errno;
        for (unsigned other = 0; other < PLAN_MAX_LANES; other++)
            if (!move(&self.peer[lane][other], number, &to))
                return errno;
    }
    return move(&self.parent, number, &to) ? 0 : errno;
}

static bool move(int *place, int from, int *to)
{
    if (*place != from)
        return true;
    if (*to < 0)
        *to = fcntl(from, F_DUPFD_CLOEXEC, from + 1);
    if (*to >= 0)
        *place = *to;
    return *to >= 0;
}
