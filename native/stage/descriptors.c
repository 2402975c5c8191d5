/*
 * descriptors.c: moves a descriptor, and every place that knows it by its number; closes those that nobody needs.
 */
#include "descriptors.h"
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN_MAX (PLAN_MAX_LANES + PLAN_MAX_LANES * PLAN_MAX_LANES + 2)

static bool move(int *place, int from, int *to);
static bool is_kept(int fd, const int *keep, size_t keeps);
static size_t own_descriptors(int *list);
static int by_number(const void *a, const void *b);

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

int descriptors_close_others(unsigned from, const int *keep, size_t keeps)
{
    int kept[OWN_MAX + KEEP_MAX];
    size_t count = own_descriptors(kept);
    for (size_t i = 0; i < keeps; i++)
        kept[count++] = keep[i];
    qsort(kept, count, sizeof *kept, by_number);
    unsigned first = from > STDERR_FILENO ? from : STDERR_FILENO + 1;
    const int lowest = (int)first;
    for (size_t i = 0; i < count; i++) {
        if (kept[i] < (int)first)
            continue;
        if ((unsigned)kept[i] > first && syscall(SYS_close_range, first, kept[i] - 1, 0) < 0)
            return errno;
        first = (unsigned)kept[i] + 1;
    }
    if (syscall(SYS_close_range, first, ~0u, 0) < 0)
        return errno;
    for (uint32_t i = 0; i < self.plan.header->slots; i++)
        if (self.plan.slot_letter[i] == 'd' && self.slot[i] >= lowest && !is_kept(self.slot[i], keep, keeps))
            self.slot[i] = -1;
    return 0;
}

static bool is_kept(int fd, const int *keep, size_t keeps)
{
    for (size_t i = 0; i < keeps; i++)
        if (keep[i] == fd)
            return true;
    return false;
}

static size_t own_descriptors(int *list)
{
    size_t count = 0;
    list[count++] = self.parent;
    for (unsigned lane = 0; lane < PLAN_MAX_LANES; lane++) {
        list[count++] = self.control[lane];
        for (unsigned other = 0; other < PLAN_MAX_LANES; other++)
            list[count++] = self.peer[lane][other];
    }
    return count;
}

static int by_number(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
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
