# SPDX-License-Identifier: Apache-2.0
"""Transactions: several reads and writes, of several arrays, as one step."""
from __future__ import annotations

import contextvars
import functools
import math
import os
import threading

from . import _core
from .errors import ConflictError

_current = contextvars.ContextVar("atomiczarr_transaction", default=None)


def timeout_ms(timeout, default=None):
    """Milliseconds of `timeout` in seconds; infinite is below 0."""
    if timeout is None:
        return default
    if math.isinf(timeout) or timeout < 0:
        return -1
    return min(int(timeout * 1000 + 0.5), 2**53)


def default_timeout_ms():
    """Of the environment's ATOMICZARR_TIMEOUT (seconds), else 60 s."""
    text = os.environ.get("ATOMICZARR_TIMEOUT")
    if not text:
        return _core.TIMEOUT_DEFAULT_MS
    try:
        return timeout_ms(float(text))
    except ValueError:
        raise ValueError(f"ATOMICZARR_TIMEOUT is {text!r}, need seconds or "
                         "'inf'") from None


class Transaction:
    """What `transaction()` gives: a context manager.

    Inside, everything that this thread reads and writes with ``z[…]`` and its
    kin, of any array, takes part. Leaving commits all of it at one instant;
    an exception gives all of it up.
    """

    def __init__(self, timeout=None):
        ms = timeout_ms(timeout)
        self._timeout_ms = default_timeout_ms() if ms is None else ms
        self._core = None
        self._token = None
        self._outer = None

    def __enter__(self):
        if self._token is not None:
            raise RuntimeError("this transaction was entered already")
        self._outer = current()
        self._token = self._outer or _Running(_core.begin(self._timeout_ms))
        if self._outer is None:
            self._reset = _current.set(self._token)
        return self

    def __exit__(self, kind, value, traceback):
        running = self._token
        if self._outer is not None:
            return  # the outer one decides
        _current.reset(self._reset)
        if kind is None:
            running.core.commit()
        else:
            running.core.rollback()


class _Running:
    """A transaction in progress: one thread's, with a handle of each array. What
    runs again takes the handles of its `before`, since the library has locked by
    them what it lost against; only what it was about to make it makes anew."""

    __slots__ = ("core", "thread", "handles", "lock", "made", "adopted",
                 "before")

    def __init__(self, core, before=None):
        self.core = core
        self.thread = threading.get_ident()
        self.before = before  # all handles stay open until the last try is over
        self.adopted = set()
        self.handles = {} if before is None else {
            k: a for k, a in before.handles.items() if k not in before.adopted}
        self.made = {}  # of those, what is not there yet, by its directory
        self.lock = threading.Lock()  # of the threads that work for this one

    def adopt(self, array):
        """One that it has made."""
        self.handles[array._key] = array
        self.adopted.add(array._key)

    def handle(self, array):
        """One handle of each array, however often it was opened."""
        mine = self.handles.setdefault(array._key, array)
        if mine is not array and mine.read_only and not array.read_only:
            raise RuntimeError(
                f"'{array._dir}' was used in this transaction through a "
                "handle for reading; use the one for writing from the start")
        return mine._h


def current():
    """The transaction that this thread is in, or None."""
    running = _current.get()
    if running is not None and running.thread != threading.get_ident():
        raise RuntimeError("a transaction belongs to the thread that began it")
    return running


def transaction(timeout=None) -> Transaction:
    """``with transaction(): …``: all that is read and written inside is one
    step, of this thread, over any number of arrays of one file system.

    Raises `ConflictError` at the end if what was read has been changed by
    others meanwhile; nothing has been written then. A ``with`` block cannot be
    run again by itself: where others write to the same chunks use `run`.
    """
    return Transaction(timeout)


def run(fn, *args, timeout=None, **kwargs):
    """``fn(*args, **kwargs)`` in a transaction, again on conflict; its result.

    The function may run several times, so what it does besides arrays should be
    harmless to repeat. After three conflicts the chunks of the last try are
    locked first, so that it gets through.
    """
    ms = timeout_ms(timeout)
    return run_within(default_timeout_ms() if ms is None else ms,
                      lambda: fn(*args, **kwargs))


def run_within(ms, fn):
    """`run` with milliseconds."""
    if current() is not None:
        return fn()
    result = []
    tries = []  # handles stay open until the transaction has ended, below

    def body(core):
        del result[:]
        tries.append(_Running(core, tries.pop() if tries else None))
        token = _current.set(tries[-1])
        try:
            result.append(fn())
            return True
        except ConflictError:
            return False
        except Exception:
            # Reads may disagree with each other until the commit says so: was
            # that the cause?
            if core.wrote() or _stands(core):
                raise
            return False
        finally:
            _current.reset(token)

    _core.run(body, ms)
    return result[0]


def _stands(core):
    try:
        core.commit()
    except ConflictError:
        return False
    return True


def transactional(fn):
    """Decorator: every call of the function is `run`."""
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return run(lambda: fn(*args, **kwargs))
    return wrapper
