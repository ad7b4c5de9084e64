/* A filter on system calls: what no plugin needs and what has been a way out of confinement before answers EPERM. It is
 * a list of refusals, not of permissions: third-party libraries use whatever they use, and a plugin that stops working
 * with the next libc would protect nobody. */
#include "host/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* CALL(name): refused on every architecture. */
#define REFUSED_CALLS(CALL)                                                                                            \
    CALL(io_uring_setup)                                                                                               \
    CALL(io_uring_enter)                                                                                               \
    CALL(io_uring_register)                                                                                            \
    CALL(process_vm_readv)                                                                                             \
    CALL(process_vm_writev)                                                                                            \
    CALL(pidfd_getfd)                                                                                                  \
    CALL(kcmp)                                                                                                         \
    CALL(mount)                                                                                                        \
    CALL(umount2)                                                                                                      \
    CALL(move_mount)                                                                                                   \
    CALL(open_tree)                                                                                                    \
    CALL(fsopen)                                                                                                       \
    CALL(fsconfig)                                                                                                     \
    CALL(fsmount)                                                                                                      \
    CALL(fspick)                                                                                                       \
    CALL(mount_setattr)                                                                                                \
    CALL(pivot_root)                                                                                                   \
    CALL(chroot)                                                                                                       \
    CALL(setns)                                                                                                        \
    CALL(unshare)                                                                                                      \
    CALL(bpf)                                                                                                          \
    CALL(perf_event_open)                                                                                              \
    CALL(userfaultfd)                                                                                                  \
    CALL(kexec_load)                                                                                                   \
    CALL(init_module)                                                                                                  \
    CALL(finit_module)                                                                                                 \
    CALL(delete_module)                                                                                                \
    CALL(reboot)                                                                                                       \
    CALL(swapon)                                                                                                       \
    CALL(swapoff)                                                                                                      \
    CALL(acct)                                                                                                         \
    CALL(quotactl)                                                                                                     \
    CALL(add_key)                                                                                                      \
    CALL(request_key)                                                                                                  \
    CALL(keyctl)                                                                                                       \
    CALL(open_by_handle_at)                                                                                            \
    CALL(settimeofday)                                                                                                 \
    CALL(clock_settime)                                                                                                \
    CALL(sethostname)                                                                                                  \
    CALL(setdomainname)                                                                                                \
    CALL(syslog)                                                                                                       \
    CALL(vhangup)

#if defined(__x86_64__)
#define FILTER_ARCH    AUDIT_ARCH_X86_64
#define FILTER_HIGHEST 0x3FFFFFFFu /* above: the x32 way of calling, which no list here covers */
#elif defined(__aarch64__)
#define FILTER_ARCH    AUDIT_ARCH_AARCH64
#define FILTER_HIGHEST 0x7FFFFFFFu
#endif

#ifdef FILTER_ARCH

/* The leak check of a sanitized build traces its own process when it ends. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FILTER_MAY_TRACE
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FILTER_MAY_TRACE
#endif

static const int refused[] = {
#ifndef FILTER_MAY_TRACE
    SYS_ptrace,
#endif
#define CALL(name) SYS_##name,
    REFUSED_CALLS(CALL)
#undef CALL
#ifdef SYS_kexec_file_load
        SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
};

enum { FILTER_LENGTH = 5 + COUNT_OF(refused) + 2 };

int confine_calls(struct err *e)
{
    struct sock_filter code[FILTER_LENGTH];
    size_t n = 0;
    const unsigned char to_refusal = (unsigned char)(COUNT_OF(refused) + 1);
    _Static_assert(COUNT_OF(refused) + 4 < 256, "jumps of a filter are one byte");
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 0, to_refusal + 2);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, FILTER_HIGHEST, to_refusal, 0);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i],
                                                 (unsigned char)(COUNT_OF(refused) - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    CHECK(n <= FILTER_LENGTH);
    const struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
        return ERR_OK;
    int number = errno, result = err_errno(e, number, "seccomp");
    return number == ENOMEM ? result : ERR_VERSION;
}

#else

int confine_calls(struct err *e)
{
    return err_set(e, ERR_VERSION, "no system call filter for this architecture");
}

#endif
