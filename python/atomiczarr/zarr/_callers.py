# SPDX-License-Identifier: Apache-2.0
"""Who calls: what zarr's methods do to an array, told to the store.

A store sees whole documents: not which array wrote one, what that array knew
when it was opened, nor what its user meant to change. With nothing but that,
the last writer wins, and takes with it what others have changed meanwhile. So
a few methods of zarr's classes are wrapped here. For arrays and groups of an
`AtomicStore` they leave a note, in a context variable, which `set` and `delete`
of the store find; for all others they do what they always did.
"""
from __future__ import annotations

import contextvars
import functools

from zarr.api import asynchronous
from zarr.core.array import AsyncArray
from zarr.core.attributes import Attributes
from zarr.core.group import AsyncGroup, Group
from zarr.errors import ContainsArrayError, ContainsGroupError

_change = contextvars.ContextVar("atomiczarr_change", default=None)


class Change:
    """What an array or group knew before a change, and what is to change."""

    __slots__ = ("path", "shape", "attributes", "touched")

    def __init__(self, node, touched=()):
        metadata = node.metadata
        self.path = node.store_path.path
        self.shape = getattr(metadata, "shape", None)
        self.attributes = dict(metadata.attributes)
        self.touched = set(touched)  # names that its user said


def current(path):
    """The note for the node at `path` of a store, or None."""
    found = _change.get()
    return found if found is not None and found.path == path else None


def _ours(node):
    from ._store import AtomicStore
    return isinstance(node.store_path.store, AtomicStore)


def _noted(cls, name, touched=None):
    """Wrap an asynchronous method of zarr's that writes a document."""
    original = getattr(cls, name)

    @functools.wraps(original)
    async def method(self, *args, **kwargs):
        if not _ours(self) or current(self.store_path.path) is not None:
            return await original(self, *args, **kwargs)
        names = touched(*args, **kwargs) if touched else ()
        token = _change.set(Change(self, names))
        try:
            return await original(self, *args, **kwargs)
        finally:
            _change.reset(token)

    setattr(cls, name, method)


def _noted_attributes(name, touched):
    """Wrap a method of ``z.attrs``: it clears what the array knew before it
    calls on, or hands on all attributes for the one that is meant."""
    original = getattr(Attributes, name)

    @functools.wraps(original)
    def method(self, *args):
        node = getattr(self._obj, "_async_array", None)
        if node is None:
            node = self._obj._async_group
        if not _ours(node) or current(node.store_path.path) is not None:
            return original(self, *args)
        token = _change.set(Change(node, touched(*args)))
        try:
            return original(self, *args)
        finally:
            _change.reset(token)

    setattr(Attributes, name, method)


def _update(original):
    """``z.attrs.update``, which is one assignment after the other."""
    @functools.wraps(original)
    def update(self, *args, **more):
        node = getattr(self._obj, "_async_array", None)
        if node is None:
            node = self._obj._async_group
        if not _ours(node):
            return original(self, *args, **more)
        new = dict(*args, **more)
        if new:
            self._obj = self._obj.update_attributes(new)
    return update


def _append(original):
    @functools.wraps(original)
    async def append(self, data, axis=0):
        if not _ours(self):
            return await original(self, data, axis)
        from ._store import append_whole
        return await append_whole(self, original, data, axis)
    return append


def _init(original):
    @functools.wraps(original)
    def __init__(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if _ours(self):
            from ._store import StorePipeline
            object.__setattr__(self, "codec_pipeline",
                               StorePipeline.over(self.codec_pipeline))
    return __init__


def _or_opened(place, name):
    """Wrap a function that opens what is there, or else creates it: if another
    one is faster it is there, and opened."""
    original = getattr(place, name)

    @functools.wraps(original)
    async def method(*args, **kwargs):
        try:
            return await original(*args, **kwargs)
        except (ContainsArrayError, ContainsGroupError):
            store = args[0] if args else kwargs.get("store")
            if not _may_open(store, kwargs.get("mode") or "a"):
                raise
        return await original(*args, **kwargs)

    setattr(place, name, method)


def _may_open(store, mode):
    from ._store import AtomicStore
    store = getattr(store, "store", store)  # of a group, or a StorePath
    return mode == "a" and isinstance(store, AtomicStore)


_noted(AsyncArray, "resize")
_noted(AsyncArray, "update_attributes", lambda new_attributes: new_attributes)
_noted(AsyncGroup, "update_attributes", lambda new_attributes: new_attributes)
_noted(Group, "update_attributes_async", lambda new_attributes: new_attributes)
_noted_attributes("__setitem__", lambda key, value: [key])
_noted_attributes("__delitem__", lambda key: [key])
_noted_attributes("put", lambda d: d)
Attributes.update = _update(Attributes.update)
AsyncArray.append = _append(AsyncArray.append)
AsyncArray.__init__ = _init(AsyncArray.__init__)
for _name in ("open_array", "open_group"):
    _or_opened(asynchronous, _name)
for _name in ("require_array", "require_group"):
    _or_opened(AsyncGroup, _name)
