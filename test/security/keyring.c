/*
 * keyring.c: joins the session keyring of a name, gives everybody all rights to it and plants a key; then waits for a line, and says
 * whether a key `secret` has come into it. With two words it adds a key to the session keyring that it has, or looks for one there.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/keyctl.h, which musl-gcc does not find */
enum { KEY_SPEC_SESSION_KEYRING = -3, KEYCTL_JOIN_SESSION_KEYRING = 1, KEYCTL_SETPERM = 5, KEYCTL_SEARCH = 10 };

int main(int count, char **words)
{
    if (count == 3 && strcmp(words[1], "add") == 0)
        return syscall(SYS_add_key, "user", words[2], "x", 1, KEY_SPEC_SESSION_KEYRING) < 0;
    if (count == 3 && strcmp(words[1], "find") == 0)
        return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", words[2], 0) < 0;
    long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, words[1]);
    if (ring < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, ring, 0x3f3f3f3f) < 0)
        return 2;
    if (syscall(SYS_add_key, "user", "planted", "x", 1, ring) < 0)
        return 3;
    puts("ready");
    fflush(stdout);
    char line[8];
    if (read(STDIN_FILENO, line, sizeof line) < 0)
        return 4;
    puts(syscall(SYS_keyctl, KEYCTL_SEARCH, ring, "user", "secret", 0) < 0 ? "nothing" : "secret");
    return 0;
}
