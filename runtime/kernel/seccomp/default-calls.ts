/**
 * The system calls of the default profile, by what they are for: data for `default-profile.ts`. A call that is in no list is
 * refused. What is here, and what is not, follows Docker's documentation of its own default
 * (https://docs.docker.com/engine/security/seccomp/).
 */

/** Allowed always: their effects stay with the process, its files and its namespaces, or the kernel checks rights by itself. */
export const ALLOWED: readonly { readonly what: string; readonly names: string }[] = [
  {
    what: 'files: open, read, write, move, and what is known about them',
    names: `access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
      fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock
      fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 lchown lchown32
      link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64
      preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir sendfile
      sendfile64 splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64
      umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev pipe pipe2 cachestat`,
  },
  {
    what: 'extended attributes; the kernel checks who may set which',
    names: `fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
      lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat`,
  },
  {
    what: 'mounts, read only: what statmount and listmount show is in the caller’s own mount namespace',
    names: 'listmount statmount',
  },
  {
    what: 'waiting for events',
    names: `epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
      eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch _newselect poll ppoll ppoll_time64
      pselect6 pselect6_time64 select signalfd signalfd4`,
  },
  {
    what: 'asynchronous input and output by aio; io_uring is not here: too many holes in the kernel were found through it',
    names:
      'io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set',
  },
  {
    what: 'sockets; making one is restricted by family. socketcall hides its arguments behind a pointer that no filter can follow',
    names: `accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
      send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`,
  },
  {
    what: 'memory',
    names: `brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect
      mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages`,
  },
  {
    what: 'message queues, semaphores and shared memory: the ipc namespace bounds them',
    names: `ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
      msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`,
  },
  {
    what: 'processes and threads; clone is restricted by flags',
    names: `arch_prctl execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
      get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid kill
      modify_ldt pause pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending
      rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
      sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
      sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
      sched_yield set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid sigaltstack sigprocmask
      sigreturn tgkill tkill ugetrlimit uretprobe vfork wait4 waitid waitpid`,
  },
  {
    what: 'users and groups, capabilities, and giving up rights; the kernel checks who may take which',
    names: `capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
      getresuid getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp setfsgid
      setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid
      setresuid32 setreuid setreuid32 setuid setuid32`,
  },
  {
    what: 'clocks and timers, read and waited for; adjtimex reads too, and the kernel asks for CAP_SYS_TIME to change',
    names: `adjtimex alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
      getitimer gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
      timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times`,
  },
  { what: 'facts about the machine, and random numbers', names: 'getrandom sysinfo uname' },
];

/** Allowed with a capability, and then all that it is needed for: without it they could only fail, or worse. */
export const BY_CAPABILITY: readonly { readonly capability: string; readonly why: string; readonly names: string }[] = [
  {
    capability: 'CAP_SYS_ADMIN',
    why: 'mounts, namespaces and tracing of the whole machine',
    names: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
      lsm_set_self_attr mount mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname
      sethostname setns syslog umount umount2 unshare`,
  },
  { capability: 'CAP_BPF', why: 'programs in the kernel', names: 'bpf' },
  {
    capability: 'CAP_DAC_READ_SEARCH',
    why: 'a file handle is open without a path, in any mount: an old way out (CVE-2014-9357 and its kin)',
    names: 'open_by_handle_at',
  },
  { capability: 'CAP_PERFMON', why: 'profiling tells about other processes', names: 'perf_event_open' },
  { capability: 'CAP_SYS_BOOT', why: 'a reboot is one of the machine', names: 'reboot' },
  { capability: 'CAP_SYS_CHROOT', why: 'in the default set', names: 'chroot' },
  { capability: 'CAP_SYS_MODULE', why: 'modules run in the kernel', names: 'delete_module finit_module init_module' },
  {
    capability: 'CAP_SYS_NICE',
    why: 'memory of other processes can be moved between NUMA nodes',
    names: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  },
  { capability: 'CAP_SYS_PACCT', why: 'accounting is of the whole machine', names: 'acct' },
  {
    capability: 'CAP_SYS_PTRACE',
    why: 'other processes are looked into',
    names: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  },
  { capability: 'CAP_SYS_RAWIO', why: 'input and output ports of the machine', names: 'ioperm iopl' },
  {
    capability: 'CAP_SYS_TIME',
    why: 'the clock is one for the whole machine',
    names: 'clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday stime',
  },
  { capability: 'CAP_SYS_TTY_CONFIG', why: 'it hangs up a terminal of the machine', names: 'vhangup' },
  { capability: 'CAP_SYSLOG', why: 'the kernel’s log is one for the whole machine', names: 'syslog' },
];
