# SPDX-License-Identifier: Apache-2.0
"""Names for a directory, as zarr 2 and 3 have them; a path does as well."""
import os


class LocalStore(os.PathLike):
    """A directory."""

    def __init__(self, root, *, read_only=False, **_):
        self.root = os.fspath(root)
        self.path = self.root
        self.read_only = read_only

    def __fspath__(self):
        return self.root

    def __eq__(self, other):
        return isinstance(other, LocalStore) and self.root == other.root

    def __hash__(self):
        return hash(self.root)

    def __repr__(self):
        return f"{type(self).__name__}({self.root!r})"


class DirectoryStore(LocalStore):
    """zarr 2's name of it."""


class NestedDirectoryStore(LocalStore):
    """zarr 2's name of one whose chunk keys have slashes: say
    ``dimension_separator="/"`` when you create arrays."""
