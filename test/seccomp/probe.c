/*
 * probe: asks the real kernel what a seccomp filter answers. For each line of standard input, "abi number arg0 ... arg5" in hexadecimal,
 * a child installs the filter and makes that one system call; the answer is a line on standard output: "errno N",
 * "return" or "signal N". abi is 64 (syscall instruction) or 32 (int 0x80). Filters under test never allow a call that
 * does harm, but they may refuse exit: so the child answers through shared memory and ends by a trap.
 *
 *   probe ask FILTER < questions        probe exec FILTER COMMAND ...   runs a command under the filter
 *   probe call < questions              makes the calls itself, under whatever filter it was started with
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter code[4096];
static struct sock_fprog program = { .filter = code };

static void read_filter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, code, sizeof code);
    if (size <= 0) {
        perror(path);
        exit(2);
    }
    close(fd);
    program.len = (unsigned short)(size / (ssize_t)sizeof code[0]);
}

static void install(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
        fprintf(stderr, "seccomp: %s\n", strerror(errno));
        _exit(3);
    }
}

static long call64(unsigned long nr, const unsigned long *a)
{
    long result;
    register unsigned long r10 __asm__("r10") = a[3];
    register unsigned long r8 __asm__("r8") = a[4];
    register unsigned long r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* The sixth argument is in ebp, which the compiler may need: it is 0 for the time of the call, beyond the red zone. */
static long call32(unsigned long nr, const unsigned long *a)
{
    long result;
    __asm__ volatile("sub $128, %%rsp\n\tpush %%rbp\n\txor %%ebp, %%ebp\n\tint $0x80\n\tpop %%rbp\n\tadd $128, %%rsp"
                     : "=a"(result)
                     : "a"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "r8", "r9", "r10", "r11", "memory");
    return (int)result;
}

static volatile long *shared;

static void print(long result)
{
    if (result < 0 && result >= -4095)
        printf("errno %ld\n", -result);
    else
        printf("return\n");
}

static void call_here(unsigned abi, unsigned long nr, const unsigned long *args)
{
    print(abi == 32 ? call32(nr, args) : call64(nr, args));
}

static void ask(unsigned abi, unsigned long nr, const unsigned long *args)
{
    *shared = 1; /* no system call returns this under a filter that refuses: "return" */
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        install();
        *shared = abi == 32 ? call32(nr, args) : call64(nr, args);
        __builtin_trap();
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        exit(2);
    }
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    if (WTERMSIG(status) != SIGILL && WTERMSIG(status) != SIGTRAP)
        printf("signal %d\n", WTERMSIG(status));
    else
        print(*shared);
}

static void answer_all(void (*answer)(unsigned, unsigned long, const unsigned long *))
{
    unsigned abi;
    unsigned long nr, a[6];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (scanf("%u %lx %lx %lx %lx %lx %lx %lx", &abi, &nr, a, a + 1, a + 2, a + 3, a + 4, a + 5) == 8)
        answer(abi, nr, a);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "call") == 0) {
        answer_all(call_here);
        return 0;
    }
    if (argc < 3)
        return 2;
    read_filter(argv[2]);
    if (strcmp(argv[1], "exec") == 0) {
        install();
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        return 127;
    }
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    answer_all(ask);
    return 0;
}
