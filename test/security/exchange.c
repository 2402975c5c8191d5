/* Exchanges two names as fast as it can until its standard input ends: renameat2(2) RENAME_EXCHANGE. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

int main(int count, char **words)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    if (count != 3)
        return 2;
    for (;;) {
        for (int i = 0; i < 64; i++)
            if (renameat2(AT_FDCWD, words[1], AT_FDCWD, words[2], RENAME_EXCHANGE) < 0)
                return 1;
        if (poll(&input, 1, 0) != 0)
            return 0;
    }
}
