/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call → errnos, by the manual pages of Linux (man-pages 6), section ERRORS, and
 * besides them what file systems are known to return (EIO, ESTALE, EDQUOT). Left
 * out are those that only a wrong argument of ours could bring about: EBADF,
 * EFAULT, ESPIPE, EMEDIUMTYPE, and EOVERFLOW on 64-bit hosts.
 */
#include "fault/inject.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[CALLS] = {
    [C_OPENAT] = "openat",
    [C_CLOSE] = "close",
    [C_PREAD] = "pread",
    [C_PWRITE] = "pwrite",
    [C_FSTAT] = "fstat",
    [C_FSTATAT] = "fstatat",
    [C_FACCESSAT] = "faccessat",
    [C_FSTATFS] = "fstatfs",
    [C_FCHMOD] = "fchmod",
    [C_FCHOWN] = "fchown",
    [C_FALLOCATE] = "fallocate",
    [C_FSYNC] = "fsync",
    [C_FDATASYNC] = "fdatasync",
    [C_SYNCFS] = "syncfs",
    [C_RENAMEAT2] = "renameat2",
    [C_LINKAT] = "linkat",
    [C_UNLINKAT] = "unlinkat",
    [C_MKDIRAT] = "mkdirat",
    [C_CLONE] = "clone",
    [C_COPY_RANGE] = "copy_range",
    [C_MMAP] = "mmap",
    [C_MUNMAP] = "munmap",
    [C_LOCK] = "lock",
    [C_FLOCK] = "flock",
    [C_FUTEX_WAIT] = "futex_wait",
    [C_FUTEX_WAKE] = "futex_wake",
    [C_GETRANDOM] = "getrandom",
    [C_READDIR] = "readdir",
};

static const int errors[CALLS][24] = {
    [C_OPENAT] = {EACCES, EBUSY,  EDQUOT, EEXIST, EFBIG,  EINTR,
                  EINVAL, EIO,    EISDIR, ELOOP,  EMFILE, ENAMETOOLONG,
                  ENFILE, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTDIR,
                  ENXIO,  EPERM,  EROFS,  ESTALE, ETXTBSY},
    [C_CLOSE] = {EINTR, EIO, ENOSPC, EDQUOT},
    [C_PREAD] = {EAGAIN, EINTR, EINVAL, EIO, EISDIR, ENXIO, ESTALE, SHORT_ZERO,
                 SHORT_ONE, SHORT_HALF},
    [C_PWRITE] = {EAGAIN, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM,
                  ENXIO, ESTALE, SHORT_ZERO, SHORT_ONE, SHORT_HALF},
    [C_FSTAT] = {EIO, ENOMEM, ESTALE},
    [C_FSTATAT] = {EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
                   ESTALE},
    [C_FACCESSAT] = {EACCES, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM,
                     ENOTDIR, EPERM, EROFS, ETXTBSY},
    [C_FSTATFS] = {EINTR, EIO, ENOMEM, ENOSYS, ESTALE},
    [C_FCHMOD] = {EIO, ENOMEM, EPERM, EROFS},
    [C_FCHOWN] = {EDQUOT, EIO, ENOMEM, EPERM, EROFS},
    [C_FALLOCATE] = {EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, ENOSYS,
                     EOPNOTSUPP, EPERM, ETXTBSY},
    [C_FSYNC] = {EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS},
    [C_FDATASYNC] = {EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS},
    [C_SYNCFS] = {EDQUOT, EIO, ENOSPC},
    [C_RENAMEAT2] = {EACCES,    EBUSY,  EDQUOT, EEXIST, EINVAL,
                     EIO,       EISDIR, ELOOP,  EMLINK, ENAMETOOLONG,
                     ENOENT,    ENOMEM, ENOSPC, ENOSYS, ENOTDIR,
                     ENOTEMPTY, EPERM,  EROFS,  ESTALE, EXDEV},
    [C_LINKAT] = {EACCES, EDQUOT, EEXIST, EIO, ELOOP, EMLINK, ENAMETOOLONG,
                  ENOENT, ENOMEM, ENOSPC, ENOTDIR, EOPNOTSUPP, EPERM, EROFS,
                  EXDEV},
    [C_UNLINKAT] = {EACCES, EBUSY, EINVAL, EIO, EISDIR, ELOOP, ENAMETOOLONG,
                    ENOENT, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM, EROFS, ESTALE},
    [C_MKDIRAT] = {EACCES, EDQUOT, EEXIST, EINVAL, EIO, ELOOP, EMLINK,
                   ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR, EPERM, EROFS},
    [C_CLONE] = {EINVAL, EIO, EISDIR, ENOSPC, ENOTTY, EOPNOTSUPP, EPERM,
                 ETXTBSY, EXDEV},
    [C_COPY_RANGE] = {EFBIG, EINTR, EINVAL, EIO, EISDIR, ENOMEM, ENOSPC, ENOSYS,
                      EOPNOTSUPP, EPERM, ETXTBSY, EXDEV, SHORT_ZERO, SHORT_ONE,
                      SHORT_HALF},
    [C_MMAP] = {EACCES, EAGAIN, EINVAL, ENFILE, ENODEV, ENOMEM, EPERM},
    [C_MUNMAP] = {EINVAL, ENOMEM},
    [C_LOCK] = {EACCES, EAGAIN, EDEADLK, EINTR, EINVAL, EIO, ENOLCK},
    [C_FLOCK] = {EINTR, EINVAL, EIO, ENOLCK, EWOULDBLOCK},
    [C_FUTEX_WAIT] = {EAGAIN, EINTR, EINVAL, ENOSYS, ETIMEDOUT},
    [C_FUTEX_WAKE] = {EINVAL, ENOSYS},
    [C_GETRANDOM] = {EAGAIN, EINTR, EINVAL, ENOSYS, SHORT_ZERO, SHORT_ONE,
                     SHORT_HALF},
    [C_READDIR] = {EIO, ENOENT},
};

const char *call_name(call c)
{
    return names[c];
}

const int *call_errors(call c)
{
    return errors[c];
}

const char *error_text(int error)
{
    switch (error) {
    case SHORT_ZERO:
        return "none";
    case SHORT_ONE:
        return "one";
    case SHORT_HALF:
        return "half";
    default:
        return strerrorname_np(error);
    }
}
