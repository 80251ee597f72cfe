# SPDX-License-Identifier: Apache-2.0
"""Groups."""
from __future__ import annotations

import os
from collections.abc import MutableMapping

import numpy as np

from . import _core, _html, _places, _transaction
from ._array import Array
from ._attributes import Attributes
from ._values import to_json
from .errors import NotFoundError, make, unsupported


class Group(MutableMapping):
    """A Zarr group in a directory: arrays and groups by their paths.

    Made by `open_group` and `create_group`. Nothing is kept in memory: each
    call looks at what stands on the disk. Groups pickle.
    """

    def __init__(self, root, path, read_only, timeout_ms, flags=0):
        self._root, self._path = root, path
        self._dir = os.path.join(root, path) if path else root
        self._read_only = read_only
        self._timeout_ms, self._flags = timeout_ms, flags
        if not read_only:
            flags |= _core.OPEN_WRITE
        self._h = _core.open_group(self._dir, flags, timeout_ms)

    def __reduce__(self):
        return (Group, (self._root, self._path, self._read_only,
                        self._timeout_ms, self._flags))

    # -------------------------------------------------------- properties ---

    @property
    def store(self) -> str:
        return self._root

    @property
    def path(self) -> str:
        return self._path

    @property
    def name(self) -> str:
        return "/" + self._path

    @property
    def basename(self):
        return self._path.rpartition("/")[2]

    @property
    def read_only(self) -> bool:
        return self._read_only

    @property
    def zarr_format(self) -> int:
        return self._h.info()[0]

    @property
    def attrs(self) -> Attributes:
        return Attributes(self)

    def _attributes(self):
        return self._h.attributes()

    def _set_attributes(self, new):
        self._outside("attributes")
        self._h.attributes_change(list(new.items()), None)

    def _put_attributes(self, new):
        self._outside("attributes")
        self._h.attribute_set(None, to_json(new), None)

    @property
    def synchronizer(self):
        return None

    def _outside(self, what):
        if _transaction.current():
            raise unsupported(f"'{self._dir}': {what} of a group cannot take "
                              "part in a transaction")

    # ------------------------------------------------------------- children ---

    def _below(self, name):
        name = _places.normal(name)
        if not name:
            raise KeyError("the name is empty")
        return f"{self._path}/{name}" if self._path else name

    def _open(self, path, kind):
        cls = Array if kind == _core.NODE_ARRAY else Group
        return cls(self._root, path, self._read_only, self._timeout_ms,
                   self._flags)

    def __getitem__(self, name) -> Array | Group:
        path = self._below(name)
        kind, _ = _places.kind_at(os.path.join(self._root, path))
        if kind not in (_core.NODE_ARRAY, _core.NODE_GROUP):
            raise KeyError(name)
        return self._open(path, kind)

    def get(self, name, default=None):
        try:
            return self[name]
        except KeyError:
            return default

    def __setitem__(self, name, value):
        """An array of its own with the values of `value`, in place of what is
        there. Made, then filled: two steps."""
        value = np.asarray(value)
        z = self.create_array(name, shape=value.shape, dtype=value.dtype,
                              overwrite=True)
        z[...] = value

    def __delitem__(self, name):
        """Remove an array or group, with all below it."""
        self._writable()
        path = os.path.join(self._root, self._below(name))
        try:
            _places.remove(path, self._timeout_ms,
                           self._flags & _core.OPEN_INSIST)
        except NotFoundError:
            raise KeyError(name) from None

    def __contains__(self, name) -> bool:
        if not _places.normal(name):
            return False
        kind, _ = _places.kind_at(os.path.join(self._root, self._below(name)))
        return kind in (_core.NODE_ARRAY, _core.NODE_GROUP)

    def _nodes(self, depth=1):
        found = self._h.walk(depth)
        return [(path, kind) for path, kind, _, _, _ in found
                if kind in (_core.NODE_ARRAY, _core.NODE_GROUP)]

    def __iter__(self):
        return iter([path for path, _ in self._nodes()])

    def __len__(self) -> int:
        return len(self._nodes())

    def _of_kind(self, wanted):
        return [path for path, kind in self._nodes() if kind == wanted]

    def array_keys(self):
        return iter(self._of_kind(_core.NODE_ARRAY))

    def group_keys(self):
        return iter(self._of_kind(_core.NODE_GROUP))

    def arrays(self):
        return ((name, self[name]) for name in self.array_keys())

    def groups(self):
        return ((name, self[name]) for name in self.group_keys())

    def array_values(self):
        return (self[name] for name in self.array_keys())

    def group_values(self):
        return (self[name] for name in self.group_keys())

    def members(self, max_depth=0):
        """(path, node) of what is below; `max_depth` 0: the children alone,
        None: everything."""
        depth = 0 if max_depth is None else max_depth + 1
        return tuple([(path, self[path]) for path, _ in self._nodes(depth)])

    def nmembers(self, max_depth=0) -> int:
        return len(self._nodes(0 if max_depth is None else max_depth + 1))

    def visit(self, fn):
        """fn(path) for each node below, until it returns something."""
        for path, _ in self._nodes(0):
            found = fn(path)
            if found is not None:
                return found
        return None

    def tree(self, expand=None, level=None):
        """All that is below, as text."""
        return _Tree(self, level)

    # --------------------------------------------------------------- create ---

    def _writable(self):
        if self._read_only:
            raise make(-10, 0, 0, f"'{self._dir}' was opened for reading")

    def create_array(self, name, **options) -> Array:
        """As `atomiczarr.create_array`, below this group."""
        self._writable()
        from . import _open
        options.setdefault("zarr_format", self.zarr_format)
        return _open.create_array(self._root, name=self._below(name),
                                  timeout_ms=self._timeout_ms, **options)

    def create_dataset(self, name, **options) -> Array:
        """`create_array` by zarr 2's name."""
        return self.create_array(name, **options)

    def require_array(self, name, *, shape, dtype=None, exact=False,
                      **options) -> Array:
        """The array of that name, created if there is none. Another shape, or
        a type that does not hold `dtype`, is a TypeError."""
        from . import _open
        self._writable()
        options.setdefault("zarr_format", self.zarr_format)
        z = _open.open_array(self._root, "a", path=self._below(name),
                             shape=shape, dtype=dtype,
                             timeout_ms=self._timeout_ms, **options)
        if z.shape != _open.shape_of(shape):
            raise TypeError(f"'{name}' has shape {z.shape}, not {shape}")
        if dtype is not None:
            d = np.dtype(dtype).newbyteorder("=")
            if z.dtype != d if exact else not np.can_cast(d, z.dtype):
                raise TypeError(f"'{name}' has type {z.dtype}, not {dtype}")
        return z

    require_dataset = require_array

    def create_group(self, name, *, overwrite=False, attributes=None) -> Group:
        self._writable()
        from . import _open
        return _open.create_group(self._root, path=self._below(name),
                                  overwrite=overwrite, attributes=attributes,
                                  zarr_format=self.zarr_format,
                                  timeout_ms=self._timeout_ms)

    def require_group(self, name) -> Group:
        self._writable()
        from . import _open
        return _open.open_group(self._root, "a", path=self._below(name),
                                zarr_format=self.zarr_format,
                                timeout_ms=self._timeout_ms)

    def _fill(name, value):
        def method(self, key, *, shape, dtype="f8", **options):
            return self.create_array(key, shape=shape, dtype=dtype,
                                     fill_value=value, **options)
        method.__name__ = name
        return method

    zeros, ones, empty = _fill("zeros", 0), _fill("ones", 1), _fill("empty", 0)
    del _fill

    def full(self, key, *, shape, fill_value, dtype="f8", **options):
        return self.create_array(key, shape=shape, dtype=dtype,
                                 fill_value=fill_value, **options)

    def update_attributes(self, attributes):
        self.attrs.update(attributes)
        return self

    def snapshot(self, *, timeout=None, copy=False, directory=None,
                 progress=None):
        """As `atomiczarr.snapshot` of this group: all arrays below it at one
        instant."""
        from ._snapshot import snapshot
        return snapshot(self, timeout=timeout, copy=copy, directory=directory,
                        progress=progress)

    def consolidate(self) -> None:
        """Write the consolidated metadata of all below, as it stands now."""
        self._writable()
        self._h.consolidate()

    # ----------------------------------------------------------------- show ---

    def __eq__(self, other):
        if not isinstance(other, Group):
            return NotImplemented
        return (os.path.realpath(self._dir), self._read_only) == \
            (os.path.realpath(other._dir), other._read_only)

    def __hash__(self):
        return hash(os.path.realpath(self._dir))

    def __repr__(self):
        return f"<atomiczarr.Group '{self._dir}'>"

    def _info_rows(self):
        nodes = self._nodes()
        arrays = sum(kind == _core.NODE_ARRAY for _, kind in nodes)
        zarr_format, consolidated = self._h.info()
        return [("Name", self.name), ("Type", "atomiczarr.Group"),
                ("Zarr format", zarr_format), ("Read-only", self.read_only),
                ("Consolidated", bool(consolidated)), ("Store", self.store),
                ("No. members", len(nodes)), ("No. arrays", arrays),
                ("No. groups", len(nodes) - arrays)]

    @property
    def info(self):
        return _html.Info(self)

    def _repr_html_(self):
        return _html.Info(self)._repr_html_()


class _Tree:
    def __init__(self, group, level):
        self._lines = [group.name]
        for path, kind in group._nodes(level or 0):
            line = "  " * (path.count("/") + 1) + path.rpartition("/")[2]
            if kind == _core.NODE_ARRAY:
                z = group[path]
                line += f" {z.shape} {z.dtype}"
            self._lines.append(line)

    def __repr__(self):
        return "\n".join(self._lines)
