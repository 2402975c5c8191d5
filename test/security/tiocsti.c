/* Types "typed\n" into the terminal on standard input, as whoever reads from it next would see it: once plainly, once with bits that
 * the kernel does not look at in the command. Says how both ended. ioctl_tty(2), TIOCSTI. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int type(unsigned long command)
{
    for (const char *key = "typed\n"; *key; key++)
        if (syscall(SYS_ioctl, 0, command, key) < 0)
            return errno;
    return 0;
}

int main(void)
{
    printf("plain %d masked %d\n", type(TIOCSTI), type(TIOCSTI | 1ul << 32));
    return 0;
}
