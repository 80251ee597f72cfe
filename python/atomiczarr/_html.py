# SPDX-License-Identifier: Apache-2.0
"""How arrays and groups show themselves: as text, and in a notebook."""
import html


def _size(n):
    for unit in ("", "K", "M", "G", "T"):
        if n < 1024 or unit == "T":
            return f"{n:.1f}{unit}" if unit else str(n)
        n /= 1024


class Info:
    """A table of what an array or group is."""

    def __init__(self, node, complete=False):
        self._rows = node._info_rows() if hasattr(node, "_info_rows") \
            else _array_rows(node, complete)

    def __repr__(self):
        wide = max(len(k) for k, _ in self._rows)
        return "\n".join(f"{k:<{wide}} : {v}" for k, v in self._rows) + "\n"

    def _repr_html_(self):
        return _table(self._rows)


def _array_rows(a, complete):
    stored, nbytes = a._h.usage()
    shape = a.shape
    rows = [
        ("Name", a.name), ("Type", "atomiczarr.Array"),
        ("Zarr format", a.zarr_format), ("Data type", a.dtype),
        ("Shape", shape), ("Chunk shape", a.chunks), ("Order", a.order),
        ("Codecs", a.codecs), ("Fill value", a.fill_value),
        ("Read-only", a.read_only), ("Durability", a.durability),
        ("Store", a.store), ("No. bytes", f"{a.nbytes} ({_size(a.nbytes)})"),
        ("Chunks initialized", f"{stored}/{a.nchunks}"),
    ]
    if complete or nbytes:
        rows.append(("No. bytes stored", f"{nbytes} ({_size(nbytes)})"))
    return rows


def _table(rows):
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(str(k))}</th>"
        f"<td style='text-align:left'>{html.escape(str(v))}</td></tr>"
        for k, v in rows)
    return f"<table>{cells}</table>"


_MOST = 24  # lines of the grid that are drawn in one direction


def _grid(shape, chunks):
    """The last two dimensions with the borders of chunks, as SVG."""
    shape = (1,) * (2 - len(shape)) + tuple(shape)[-2:]
    chunks = (1,) * (2 - len(chunks)) + tuple(chunks)[-2:]
    if 0 in shape:
        return ""
    long = max(shape)
    h, w = [max(160 * n / long, 12) for n in shape]
    lines = []
    for d, (n, c) in enumerate(zip(shape, chunks)):
        count = -(-n // c)
        every = -(-count // _MOST)
        for k in range(every, count, every):
            at = k * c / n * (h if d == 0 else w)
            x1, y1, x2, y2 = (0, at, w, at) if d == 0 else (at, 0, at, h)
            lines.append(f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' "
                         f"y2='{y2:.1f}' stroke='#667' stroke-width='0.6'/>")
    return (f"<svg width='{w + 2:.0f}' height='{h + 2:.0f}' "
            f"viewBox='-1 -1 {w + 2:.0f} {h + 2:.0f}'><rect width='{w:.1f}' "
            f"height='{h:.1f}' fill='#e8ecf4' stroke='#334'/>"
            f"{''.join(lines)}</svg>")


def of_array(a):
    return (f"<div style='display:flex;gap:1.5em;align-items:center'>"
            f"{_table(_array_rows(a, False))}{_grid(a.shape, a.chunks)}</div>")
