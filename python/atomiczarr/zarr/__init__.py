# SPDX-License-Identifier: Apache-2.0
"""zarr-python 3 itself, made atomic; docs/python.md tells how far it goes."""
from __future__ import annotations

from ._functions import append, append_at, reload, resize, update_attributes
from ._pipeline import AtomicCodecPipeline

__all__ = ["AtomicCodecPipeline", "append", "append_at", "reload", "resize",
           "update_attributes"]
