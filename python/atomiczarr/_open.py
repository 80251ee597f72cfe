# SPDX-License-Identifier: Apache-2.0
"""Opening and creating, with zarr-python's names, modes and arguments."""
from __future__ import annotations

import os

import numpy as np

from . import _core, _places, _transaction
from ._array import Array
from ._group import Group
from ._values import (DTYPES, attributes_json, chunks_of, codecs_text,
                      dtype_number, fill_json, shape_of)
from .errors import ExistsError, NotFoundError, unsupported

_MODES = ("r", "r+", "a", "w", "w-", "x")
_AUTO = "auto"


def _mode(mode):
    if mode is None:
        return "a"
    if mode not in _MODES:
        raise ValueError(f"mode is one of {', '.join(_MODES)}, not {mode!r}")
    return "w-" if mode == "x" else mode


def _ms(timeout, timeout_ms):
    if timeout_ms is not None:
        return timeout_ms
    return _transaction.timeout_ms(timeout, _transaction.default_timeout_ms())


def _flags(insist, write_empty_chunks):
    return ((_core.OPEN_INSIST if insist else 0)
            | (_core.OPEN_WRITE_EMPTY if write_empty_chunks else 0))


def _place(store, path, name=None):
    if store is None:
        raise TypeError("store= is missing: the path of a directory; there "
                        "are no arrays in memory")
    return _places.root_of(store), _places.normal(path or name)


# ------------------------------------------------------------------- arrays ---


def _codec_argument(compressor, compressors, codecs, filters):
    if filters is not None and filters != _AUTO and len(filters) > 0:
        raise unsupported("filters")
    said = [c for c in (codecs, compressors, compressor)
            if not (isinstance(c, str) and c in (_AUTO, "default"))]
    return codecs_text(said[0]) if said else None


def create_array(store=None, *, name=None, path=None, shape=None, dtype=None,
                 data=None, chunks=None, shards=None, fill_value=0, order="C",
                 compressor=_AUTO, compressors=_AUTO, codecs=_AUTO,
                 filters=None, attributes=None, zarr_format=None,
                 zarr_version=None, dimension_names=None,
                 dimension_separator=None, chunk_key_encoding=None,
                 overwrite=False, durability="process", timeout=None,
                 timeout_ms=None, write_empty_chunks=False, insist=False,
                 read_only=False, config=None, synchronizer=None,
                 cache_metadata=None, cache_attrs=None, object_codec=None,
                 storage_options=None) -> Array:
    """Create an array and open it for writing.

    Of two creators exactly one succeeds, the other gets FileExistsError; with
    `overwrite` what is there is removed first. `data` gives shape and type, and
    is written after creation, which are two steps. `durability`: "process" or
    "power". In a transaction the array is there for others with the commit; groups
    above it that are missing are made at once. `synchronizer`, `cache_metadata`, `cache_attrs` are taken, and mean
    nothing: every operation is synchronized, nothing is cached.
    """
    del synchronizer, cache_metadata, cache_attrs, config
    root, path = _place(store, path, name)
    if shards not in (None, _AUTO):
        raise unsupported("shards")
    if storage_options or object_codec:
        raise unsupported("storage_options and object_codec")
    if data is not None:
        data = np.asarray(data)
        shape = data.shape if shape is None else shape
        dtype = data.dtype if dtype is None else dtype
    if shape is None:
        raise TypeError("shape= is missing")
    dtype = np.dtype("f8" if dtype is None else dtype)
    number, big = dtype_number(dtype)
    shape = shape_of(shape)
    zarr_format = zarr_format or zarr_version or 3
    separator, encoding = _keys(dimension_separator, chunk_key_encoding)
    where = os.path.join(root, path) if path else root
    ms = _ms(timeout, timeout_ms)
    if durability not in ("process", "power"):
        raise ValueError(f"durability is 'process' or 'power', "
                         f"not {durability!r}")
    flags = _flags(insist, write_empty_chunks)
    spec = (zarr_format, number, shape,
            chunks_of(chunks, shape, dtype.itemsize), big, order or "C",
            separator, encoding,
            _codec_argument(compressor, compressors, codecs, filters),
            fill_json(fill_value, dtype, zarr_format),
            attributes_json(attributes),
            None if dimension_names is None else tuple(dimension_names),
            int(durability == "power"))
    running = _transaction.current()
    if running is None:
        _create(where, root, path, zarr_format, ms, overwrite,
                lambda place, how: _core.create_array(
                    place, ms, how | flags & _core.OPEN_INSIST, *spec))
        z = Array(root, path, read_only and data is None, ms, flags)
    else:
        z = _create_in(running, root, path, ms, flags, overwrite, spec,
                       fill_value)
    if data is not None:
        z[...] = data
    if running is None and read_only:
        return z.with_options(read_only=True)
    return z


def _create_in(running, root, path, ms, flags, overwrite, spec, fill_value):
    """As a part of the running transaction; groups above it are made at once."""
    if overwrite:
        raise unsupported(f"'{os.path.join(root, path)}': replacing an array "
                          "cannot take part in a transaction")
    zarr_format, number, shape, chunks, _, order = spec[:6]
    _places.make_groups(root, path, zarr_format, ms)
    where = os.path.join(root, path) if path else root
    handle = running.core.create_array(where, ms, flags, *spec)
    fill = np.asarray(0 if fill_value is None else fill_value, DTYPES[number])
    z = Array._of_transaction(root, path, ms, flags, handle, {
        "dtype": number, "chunks": chunks, "shape": shape, "order": order,
        "zarr_format": zarr_format, "codecs": "",
        "fill": None if spec[9] == "null" else fill.tobytes()})
    running.adopt(z)
    return z


def _keys(separator, encoding):
    kind = " "
    if isinstance(encoding, str):
        kind = encoding
    elif isinstance(encoding, dict):
        kind = encoding.get("name", " ")
        conf = encoding.get("configuration", encoding)
        separator = conf.get("separator", separator)
    kind = {"default": "d", "v2": "2"}.get(kind, kind)
    return separator or " ", kind


def _create(where, root, path, zarr_format, ms, overwrite, create):
    """create(place, flags): what is there is replaced at one instant."""
    _places.make_groups(root, path, zarr_format, ms)
    if os.path.islink(where):
        where = os.path.realpath(where)
        os.makedirs(where, exist_ok=True)  # if the other end was removed
    create(where, _core.CREATE_REPLACE if overwrite else 0)


def open_array(store=None, mode="a", *, path=None, timeout=None,
               timeout_ms=None, insist=False, write_empty_chunks=False,
               **options) -> Array:
    """Open an array. Modes: "r" and "r+" must exist; "a" creates it if it is
    missing (needs ``shape=``); "w" removes what is there and creates; "w-"
    creates and fails if there is one. `options` are `create_array`'s, and left
    aside where nothing is created.
    """
    mode = _mode(mode)
    root, path = _place(store, path, options.pop("name", None))
    ms = _ms(timeout, timeout_ms)
    flags = _flags(insist, write_empty_chunks)
    if mode in ("r", "r+"):
        return Array(root, path, mode == "r", ms, flags)
    while True:
        if mode == "a":
            try:
                return Array(root, path, False, ms, flags)
            except NotFoundError:
                kind = _places.kind_at(os.path.join(root, path))[0]
                if (options.get("shape") is None and options.get("data") is None
                        or kind == _core.NODE_GROUP):
                    raise
        try:
            return create_array(root, path=path, overwrite=mode == "w",
                                timeout_ms=ms, insist=insist,
                                write_empty_chunks=write_empty_chunks,
                                **options)
        except ExistsError:
            kind = _places.kind_at(os.path.join(root, path))[0]
            if mode != "a" or kind != _core.NODE_ARRAY:
                raise  # else another process was faster: open its array


def create(shape, chunks=True, dtype=None, *, store=None, **options) -> Array:
    """zarr's `create`: as `create_array`, shape first."""
    return create_array(store, shape=shape, chunks=chunks, dtype=dtype,
                        **options)


def zeros(shape, **options) -> Array:
    return full(shape, 0, **options)


def ones(shape, **options) -> Array:
    return full(shape, 1, **options)


def empty(shape, **options) -> Array:
    """As `zeros`: what is not written reads as 0."""
    return full(shape, 0, **options)


def full(shape, fill_value, **options) -> Array:
    return create_array(options.pop("store", None), shape=shape,
                        fill_value=fill_value, **options)


def array(data, **options) -> Array:
    return create_array(options.pop("store", None), data=data, **options)


def save_array(store, data, **options) -> Array:
    """An array with these values, in place of what is there."""
    options.setdefault("overwrite", True)
    return create_array(store, data=data, **options)


save = save_array


def load(store, path=None) -> np.ndarray:
    """All values of an array, in memory."""
    return open_array(store, "r", path=path)[...]


# ------------------------------------------------------------------- groups ---


def create_group(store=None, *, path=None, overwrite=False, attributes=None,
                 zarr_format=None, zarr_version=None, timeout=None,
                 timeout_ms=None, synchronizer=None,
                 storage_options=None) -> Group:
    """Create a group, with the groups above it, and open it for writing."""
    del synchronizer
    if storage_options:
        raise unsupported("storage_options")
    root, path = _place(store, path)
    zarr_format = zarr_format or zarr_version or 3
    ms = _ms(timeout, timeout_ms)
    where = os.path.join(root, path) if path else root
    text = attributes_json(attributes)
    _create(where, root, path, zarr_format, ms, overwrite,
            lambda place, flags: _core.create_group(place, ms, flags,
                                                    zarr_format, text))
    return Group(root, path, False, ms)


def open_group(store=None, mode="a", *, path=None, timeout=None,
               timeout_ms=None, insist=False, **options) -> Group:
    """Open a group; modes as in `open_array`, `options` `create_group`'s."""
    mode = _mode(mode)
    root, path = _place(store, path)
    ms = _ms(timeout, timeout_ms)
    flags = _flags(insist, False)
    for name in ("synchronizer", "cache_attrs", "use_consolidated",
                 "meta_array", "chunk_store"):
        options.pop(name, None)
    if mode in ("r", "r+"):
        return Group(root, path, mode == "r", ms, flags)
    while True:
        if mode == "a":
            try:
                return Group(root, path, False, ms, flags)
            except NotFoundError:
                kind = _places.kind_at(os.path.join(root, path))[0]
                if kind == _core.NODE_ARRAY:
                    raise
        try:
            return create_group(root, path=path, overwrite=mode == "w",
                                timeout_ms=ms, **options)
        except ExistsError:
            kind = _places.kind_at(os.path.join(root, path))[0]
            if mode != "a" or kind != _core.NODE_GROUP:
                raise


def group(store=None, *, overwrite=False, path=None, **options) -> Group:
    """zarr's `group`: open it, created if it is missing."""
    return open_group(store, "w" if overwrite else "a", path=path, **options)


def open(store=None, mode="a", *, path=None, **options) -> Array | Group:
    """Open an array or a group, whichever is there. Where nothing is, and the
    mode lets it, an array is created if ``shape=`` is given, else a group.

    `timeout` (seconds, default 60 or the environment's ATOMICZARR_TIMEOUT,
    ``float("inf")`` for ever) holds for each operation of what is opened.
    """
    mode = _mode(mode)
    root, below = _place(store, path)
    kind = _places.kind_at(os.path.join(root, below) if below else root)[0]
    wants_array = options.get("shape") is not None \
        or options.get("data") is not None
    if mode in ("w", "w-"):
        is_array = wants_array
    elif kind in (_core.NODE_ARRAY, _core.NODE_GROUP):
        is_array = kind == _core.NODE_ARRAY
    elif mode in ("r", "r+"):
        is_array = kind == 0  # nothing there: say so of an array
    else:
        is_array = wants_array
    opener = open_array if is_array else open_group
    if not is_array:
        options = {k: v for k, v in options.items() if k in _GROUP_OPTIONS}
    return opener(store, mode, path=path, **options)


_GROUP_OPTIONS = {"attributes", "zarr_format", "zarr_version", "timeout",
                  "insist", "storage_options"}


def consolidate(store, path=None) -> Group:
    """Write the consolidated metadata of a group, as zarr-python does: a copy
    of all documents below, for readers far away. Gives the group."""
    g = open_group(store, "r+", path=path)
    g.consolidate()
    return g


def tree(store, path=None):
    return open_group(store, "r", path=path).tree()
