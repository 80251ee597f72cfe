# SPDX-License-Identifier: Apache-2.0
"""zarr-python 3 itself, made atomic; docs/python.md tells how far it goes."""
from __future__ import annotations

from ._functions import append, append_at, reload, resize, update_attributes
from ._pipeline import AtomicCodecPipeline
from ._staging import StoreTransaction, transaction
from ._store import AtomicStore
from . import _callers  # noqa: F401  zarr tells the store who calls

__all__ = ["AtomicCodecPipeline", "AtomicStore", "StoreTransaction", "append",
           "append_at", "reload", "resize", "transaction", "update_attributes"]
