# SPDX-License-Identifier: Apache-2.0
"""Where nodes stand: stores, paths, and how a node is removed."""
import os
import urllib.parse

from . import _core
from .errors import ExistsError, NotFoundError, make


def normal(path):
    """A path below a root: names with '/' between them."""
    names = [n for n in str(path or "").replace("\\", "/").split("/") if n]
    if any(n in (".", "..") for n in names):
        raise ValueError(f"'{path}': '.' and '..' are not allowed in a path")
    return "/".join(names)


def root_of(store):
    """Absolute directory of what zarr users hand over as a store: a path, a
    file: URL, or one of the directory stores of zarr 2 and 3."""
    for attribute in ("root", "path"):
        if not isinstance(store, (str, bytes, os.PathLike)) \
                and isinstance(getattr(store, attribute, None),
                               (str, os.PathLike)):
            store = getattr(store, attribute)
    if not isinstance(store, (str, bytes, os.PathLike)):
        raise TypeError("a store is the path of a directory, or a store of "
                        f"zarr that is one, not {type(store).__name__}: "
                        "there is none in memory or on other machines")
    path = os.fsdecode(store)
    if path.startswith("file://"):
        path = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
    elif "://" in path or "::" in path:
        raise make(-7, 22, 0, f"'{path}': only directories of local file "
                   "systems are stores here")
    return os.path.abspath(path)


def kind_at(path):
    """(kind, zarr format), kind 0 if there is nothing."""
    try:
        return _core.node_at(path)
    except NotFoundError:
        return 0, 0


def remove(path, timeout_ms, insist=False):
    """Take away a node and all below it, at one instant for every path and
    every handle, once its writers are done.

    A directory with files that are no node is left alone (ExistsError).
    """
    kind, _ = _core.node_at(path)
    path = os.path.realpath(path)
    if kind != _core.NODE_DIRECTORY:
        _core.remove(path, _core.TREE_RECURSIVE
                     | (_core.TREE_INSIST if insist else 0), timeout_ms)
    elif os.listdir(path):
        raise make(-3, 0, 0, f"'{path}' is a directory with files in it, and "
                   "neither an array nor a group; remove it yourself")
    else:
        os.rmdir(path)


def make_groups(root, path, zarr_format, timeout_ms):
    """The groups that a node at `path` needs: the root, if `path` is below it,
    and what is between."""
    os.makedirs(os.path.dirname(os.path.join(root, path).rstrip("/")) or "/",
                exist_ok=True)
    names = path.split("/") if path else []
    for k in range(len(names)):
        place = os.path.join(root, *names[:k])
        os.makedirs(place, exist_ok=True)
        kind, _ = kind_at(place)
        if kind == _core.NODE_ARRAY:
            raise make(-3, 0, 0, f"'{place}' is an array, nothing can be below")
        if kind != _core.NODE_GROUP:
            try:
                _core.create_group(place, timeout_ms, 0, zarr_format, None)
            except ExistsError:
                pass  # another one was faster
