# SPDX-License-Identifier: Apache-2.0
"""Attributes of arrays and groups."""
import json
from collections.abc import MutableMapping

from ._values import to_json


class Attributes(MutableMapping):
    """As they stand on the disk now. Each assignment and deletion is one atomic
    step that keeps all others, whoever changes them at the same time.

    `update` and `put` of an array take one step each attribute; `put` of a
    group is one step altogether.
    """

    def __init__(self, handle, outside, whole=False):
        self._h, self._outside, self._whole = handle, outside, whole

    def asdict(self):
        return json.loads(self._h.attributes())

    def __getitem__(self, name):
        return self.asdict()[name]

    def __setitem__(self, name, value):
        self._outside("attributes")
        self._h.attribute_set(name, to_json(value), None)

    def __delitem__(self, name):
        if name not in self.asdict():
            raise KeyError(name)
        self._outside("attributes")
        self._h.attribute_set(name, None, None)

    def __iter__(self):
        return iter(self.asdict())

    def __len__(self):
        return len(self.asdict())

    def __contains__(self, name):
        return name in self.asdict()

    def put(self, attributes):
        """Replace all of them."""
        self._outside("attributes")
        if self._whole:
            self._h.attribute_set(None, to_json(dict(attributes)), None)
            return
        for name in self.asdict():
            if name not in attributes:
                self._h.attribute_set(name, None, None)
        self.update(attributes)

    def __repr__(self):
        return f"Attributes({self.asdict()!r})"
