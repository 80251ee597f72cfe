# SPDX-License-Identifier: Apache-2.0
"""Zarr arrays in which every read and every write is atomic across chunks,
between threads and processes, on plain Zarr directories.

    import atomiczarr as az
    z = az.open("example.zarr", "w", shape=12, chunks=4, dtype="i4")
    z[2:6] = 8                       # two chunks, one transaction
    z[:]                             # one snapshot
    z.update(np.s_[2:6], lambda x: x + 1)
    with az.transaction():           # several reads and writes as one step
        z[0] = z[2] + z[3]

The names are zarr-python's. docs/python.md tells what differs.
"""
from . import _core, errors, storage, sync
from ._array import Array
from ._attributes import Attributes
from ._group import Group
from ._open import (array, consolidate, create, create_array, create_group,
                    empty, full, group, load, ones, open, open_array,
                    open_group, save, save_array, tree, zeros)
from ._snapshot import (Copied, Snapshot, append_all, copy, snapshot,
                        snapshots)
from ._transaction import Transaction, run, transaction, transactional
from .errors import (AccessError, ArgumentError, BoundsCheckError, BusyError,
                     CanceledError, ConflictError, CorruptError, Error,
                     ExistsError, NoMemoryError, NotFoundError, PoisonedError,
                     StorageError, UnknownOutcomeError, UnsupportedError)
from .storage import DirectoryStore, LocalStore, NestedDirectoryStore
from .sync import ProcessSynchronizer, ThreadSynchronizer

__version__ = _core.version

#: zarr's names of the same
consolidate_metadata = consolidate
open_consolidated = open_group


def set_threads(n):
    """Threads per operation over chunks, the calling one included; 0: one a
    core."""
    _core.set_threads(n)


__all__ = [
    "AccessError", "ArgumentError", "Array", "Attributes",
    "BoundsCheckError", "BusyError", "CanceledError", "ConflictError",
    "Copied", "CorruptError", "DirectoryStore", "Error", "ExistsError",
    "Group", "LocalStore", "NestedDirectoryStore", "NoMemoryError",
    "NotFoundError", "PoisonedError", "ProcessSynchronizer", "Snapshot",
    "StorageError", "ThreadSynchronizer", "Transaction",
    "UnknownOutcomeError", "UnsupportedError", "append_all", "array",
    "consolidate", "consolidate_metadata", "copy", "create",
    "create_array", "create_group", "empty", "errors", "full", "group",
    "load", "ones", "open", "open_array", "open_consolidated",
    "open_group", "run", "save", "save_array", "set_threads", "snapshot",
    "snapshots", "storage", "sync", "transaction", "transactional", "tree",
    "zeros",
]
