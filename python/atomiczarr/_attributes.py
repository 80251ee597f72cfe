# SPDX-License-Identifier: Apache-2.0
"""Attributes of arrays and groups."""
import json
from collections.abc import MutableMapping

from . import _transaction
from ._values import to_json


class Attributes(MutableMapping):
    """As they stand on the disk now; in a transaction, as that sees them. Each
    assignment and deletion is one atomic step that keeps all others, whoever
    changes them at the same time; so are `update` and `put`, and those of an
    array can be parts of a transaction.
    """

    def __init__(self, node):
        self._node = node

    def asdict(self):
        """All of them, at one instant."""
        return json.loads(self._node._attributes())

    def __getitem__(self, name):
        return self.asdict()[name]

    def __setitem__(self, name, value):
        self._node._set_attributes({name: to_json(value)})

    def __delitem__(self, name):
        if name not in self.asdict():
            raise KeyError(name)
        self._node._set_attributes({name: None})

    def __iter__(self):
        return iter(self.asdict())

    def __len__(self):
        return len(self.asdict())

    def __contains__(self, name):
        return name in self.asdict()

    def update(self, *args, **more):
        """Set several in one step."""
        new = {name: to_json(value)
               for name, value in dict(*args, **more).items()}
        if new:
            self._node._set_attributes(new)

    def put(self, attributes):
        """Replace all of them, in one step."""
        self._node._put_attributes(dict(attributes))

    def __repr__(self):
        return f"Attributes({self.asdict()!r})"


class OfArray:
    """Of an array: several in one step are one transaction."""

    def _attributes(self):
        running = _transaction.current()
        if running is None:
            return self._h.attributes(None)
        return running.handle(self).attributes(running.core)

    def _set_attributes(self, new):
        self._writable()
        running = _transaction.current()
        if running is None and len(new) == 1:
            (name, text), = new.items()
            self._h.attribute_set(name, text, None, None)
        elif running is None:
            _transaction.run_within(self._timeout_ms,
                                    lambda: self._set_attributes(new))
        else:
            h = running.handle(self)
            for name, text in new.items():
                h.attribute_set(name, text, None, running.core)

    def _put_attributes(self, new):
        def body():
            gone = {name: None for name in json.loads(self._attributes())
                    if name not in new}
            self._set_attributes(gone | {k: to_json(v)
                                         for k, v in new.items()})
        self._writable()
        _transaction.run_within(self._timeout_ms, body)
