# SPDX-License-Identifier: Apache-2.0
"""The synchronizers of zarr 2, so that programs which name them run unchanged.

There is nothing left for them to do: every read and every write of atomiczarr
is one step between all threads and processes, across chunks, which these could
not give. They create no files and hold no locks.
"""


class ThreadSynchronizer:
    """Taken as ``synchronizer=`` and left aside: threads are synchronized."""

    def __repr__(self):
        return f"{type(self).__name__}()"


class ProcessSynchronizer:
    """Taken as ``synchronizer=`` and left aside: processes are synchronized.
    Nothing is made at `path`, and what older runs left there may be deleted.
    """

    def __init__(self, path=None):
        self.path = path

    def __repr__(self):
        return f"{type(self).__name__}({self.path!r})"
