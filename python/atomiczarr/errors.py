# SPDX-License-Identifier: Apache-2.0
"""Exceptions: each is Python's own where one fits, and `Error` besides.

They carry the library's message (one line: what, where, found, needed) and
``code`` (``-4``), ``status`` (``"AZR_EBUSY"``), ``sub`` and ``sys_errno``.
docs/errors.md of the project tells what to do about each.
"""
import errno as _errno

from . import _core


class Error(Exception):
    """Anything that atomiczarr raises by itself."""

    code = 0
    sub = 0
    sys_errno = 0

    @property
    def status(self):
        return _core.status_name(self.code)


class ArgumentError(Error, ValueError):
    """AZR_EINVAL: the call is to be mended."""


class BoundsCheckError(Error, IndexError):
    """AZR_EINVAL (RANGE, RANK): a selection leaves the array."""


class NotFoundError(Error, FileNotFoundError):
    """AZR_ENOTFOUND: no array or group there, or no longer the one opened."""


class ExistsError(Error, FileExistsError):
    """AZR_EEXISTS: there is one already."""


class BusyError(Error, TimeoutError):
    """AZR_EBUSY: time-out, nothing changed; the message says who holds what."""


class ConflictError(Error):
    """AZR_ECONFLICT: nothing changed; run it again (`run` does)."""


class CorruptError(Error, RuntimeError):
    """AZR_ECORRUPT: which object, what was found."""


class UnsupportedError(Error, NotImplementedError):
    """AZR_EUNSUPPORTED: a part of Zarr or a file system, refused by name."""


class StorageError(Error, OSError):
    """AZR_EIO: a system call failed."""


class NoMemoryError(Error, MemoryError):
    """AZR_ENOMEM."""


class AccessError(Error, PermissionError):
    """AZR_EPERM: no permission, or opened for reading."""


class CanceledError(Error, InterruptedError):
    """AZR_ECANCELED: a signal came in the middle of a transaction."""


class PoisonedError(StorageError):
    """AZR_EPOISONED: a sync failed on this handle; open anew."""


class UnknownOutcomeError(StorageError):
    """AZR_EUNKNOWN: nobody can know whether the commit took effect."""


# Names that zarr-python users catch.
ReadOnlyError = AccessError
ArrayNotFoundError = GroupNotFoundError = NodeNotFoundError = NotFoundError
PathNotFoundError = NotFoundError
ContainsArrayError = ContainsGroupError = ExistsError

_BY_CODE = {
    -1: ArgumentError, -2: NotFoundError, -3: ExistsError, -4: BusyError,
    -5: ConflictError, -6: CorruptError, -7: UnsupportedError,
    -8: StorageError, -9: NoMemoryError, -10: AccessError,
    -11: CanceledError, -12: PoisonedError, -13: UnknownOutcomeError,
}
for _code, _kind in _BY_CODE.items():
    _kind.code = _code
BoundsCheckError.code, BoundsCheckError.sub = -1, 1

_ERRNO = {
    -2: _errno.ENOENT, -3: _errno.EEXIST, -4: _errno.ETIMEDOUT,
    -10: _errno.EACCES, -11: _errno.EINTR,
}


def make(code, sub, sys_errno, message):
    """The exception of a status of the library."""
    kind = _BY_CODE.get(code, Error)
    if code == -1 and sub in (1, 2):
        kind = BoundsCheckError
    e = kind(message or _core.status_name(code))
    e.code, e.sub, e.sys_errno = code, sub, sys_errno
    if isinstance(e, OSError):
        e.errno = sys_errno or _ERRNO.get(code, _errno.EIO)
    return e


def unsupported(message):
    return make(-7, 0, 0, message)


_core.set_error_factory(make)
