# SPDX-License-Identifier: Apache-2.0
"""What zarr's arrays do in several steps, without their codec pipeline, done as
one transaction."""
from __future__ import annotations

import os

import numpy as np

import zarr
from zarr.storage import LocalStore

from .. import _array, _core, _transaction
from ..errors import UnsupportedError, unsupported
from . import _documents
from ._pipeline import _option
from ._store import AtomicStore


def _native(z):
    """The package's own array of the directory of a zarr array; None: its codecs
    or its type are zarr's alone."""
    if _transaction.current():
        raise unsupported(f"{z!r}: append, resize and attributes of zarr's "
                          "arrays cannot take part in a transaction; do them "
                          "before or after")
    if not isinstance(z.store, LocalStore):
        raise unsupported(f"{z.store!r} is a {type(z.store).__name__}: only "
                          "arrays in a LocalStore can be changed atomically")
    if getattr(getattr(z.store, "_shared", None), "transaction", None):
        raise unsupported(f"{z.store!r} is in a transaction, of which this is "
                          "no part: use the array's own methods")
    flags = _core.OPEN_INSIST if _option("insist", False) else 0
    timeout = _option("timeout", None)
    ms = (_transaction.default_timeout_ms() if timeout is None
          else _transaction.timeout_ms(float(timeout)))
    try:
        return _array.Array(os.path.abspath(z.store.root), z.path, z.read_only,
                            ms, flags)
    except UnsupportedError:
        _handle(z)  # raises, if it is not even known where its chunks are
        return None


def _handle(z):
    """To be changed, of any array."""
    z.store._check_writable()
    return _documents.handle(
        os.path.join(os.path.abspath(z.store.root), z.path), True)


def _append_by_zarr(z, data, axis):
    """By an array of a store that commits what zarr does. The new shape."""
    return zarr.open_array(AtomicStore(z.store.root), path=z.path, mode="r+",
                           zarr_format=z.metadata.zarr_format).append(data, axis)


def append_at(z, data, axis=0) -> int:
    """``z.append(data, axis)`` of a zarr array as one transaction; where `data`
    landed. From any number of threads and processes, with handles old and new.
    """
    own = _native(z)
    if own is not None:
        at = own.append_at(data, axis)
    else:
        at = _append_by_zarr(z, data, axis)[axis] - np.shape(data)[axis]
    reload(z)
    return at


def append(z, data, axis=0):
    """As `append_at`, but returns the shape after it, as zarr does."""
    own = _native(z)
    shape = _append_by_zarr(z, data, axis) if own is None \
        else own.append(data, axis)
    reload(z)
    return shape


def resize(z, shape) -> None:
    """``z.resize(shape)`` of a zarr array as one transaction. What a smaller shape
    cuts off reads as the fill value if the array grows again; of arrays with
    codecs that are zarr's alone, only what is cut off in whole chunks."""
    own = _native(z)
    if own is not None:
        own.resize(shape)
    else:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        _handle(z).resize(shape, None, None)
    reload(z)


def update_attributes(z, attributes) -> None:
    """``z.attrs.update(attributes)`` of a zarr array: one step that keeps all
    others, and the shape, whatever this handle knows of them."""
    own = _native(z)
    if own is not None:
        own.attrs.update(attributes)
    else:
        _documents.set_attributes(_handle(z), attributes)
    reload(z)


_KEPT = ("config", "_config", "store_path", "codec_pipeline")


def reload(z) -> None:
    """Make a zarr array see the shape and attributes that stand on the disk; by
    itself it keeps those that it was opened with."""
    mine = z._async_array
    now = zarr.open_array(z.store, path=z.path, mode="r",
                          zarr_format=z.metadata.zarr_format)._async_array
    for name, value in vars(now).items():
        if name not in _KEPT:
            object.__setattr__(mine, name, value)
