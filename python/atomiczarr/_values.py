# SPDX-License-Identifier: Apache-2.0
"""Types, chunks, fill values and codecs: from Python to the library's words."""
import json
import math

import numpy as np

from .errors import unsupported

# In the order of azr_dtype, which begins at 1.
_TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4",
          "f8", "c8", "c16"]
DTYPES = {k + 1: np.dtype(t) for k, t in enumerate(_TYPES)}
_NUMBERS = {t: k for k, t in DTYPES.items()}


def dtype_number(dtype):
    """(azr_dtype, stored big-endian?) of what NumPy takes for a dtype."""
    d = np.dtype(dtype)
    number = _NUMBERS.get(d.newbyteorder("="))
    if number is None:
        raise unsupported(f"data type {d}; there are bool, int8 to int64, "
                          "uint8 to uint64, float16 to float64, complex64 "
                          "and complex128")
    return number, int(d.byteorder == ">")


def shape_of(shape):
    """A tuple; an integer is one dimension, as in ``shape=(12)``."""
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple([int(n) for n in shape])


_TARGET = 1 << 20  # bytes of a chunk, if nobody says how large


def chunks_of(chunks, shape, itemsize):
    """`chunks` as zarr takes them: None or True guess, False is one chunk."""
    if chunks is None or chunks is True or chunks == "auto":
        return _guess(shape, itemsize)
    if chunks is False:
        return tuple([max(n, 1) for n in shape])
    if isinstance(chunks, (int, np.integer)):
        chunks = (int(chunks),) * len(shape)
    chunks = list(chunks) + list(shape[len(chunks):])
    if len(chunks) > len(shape):
        raise ValueError(f"chunks {tuple(chunks)} for {len(shape)} dimensions")
    return tuple([max(n, 1) if c is None or c == -1 else int(c)
                  for c, n in zip(chunks, shape)])


def _guess(shape, itemsize):
    """Halve the longest dimension until a chunk has about 1 MiB."""
    chunks = [max(n, 1) for n in shape]
    while chunks and math.prod(chunks) * itemsize > _TARGET:
        d = max(range(len(chunks)), key=chunks.__getitem__)
        if chunks[d] == 1:
            break
        chunks[d] = -(-chunks[d] // 2)
    return tuple(chunks)


def _number(x):
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    x = float(x)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    return x


def fill_json(value, dtype, zarr_format):
    """JSON of a fill value; None: the default of the library, which is 0."""
    if value is None:
        return "null" if zarr_format == 2 else None
    x = np.asarray(value, dtype=np.dtype(dtype).newbyteorder("="))[()]
    if np.dtype(dtype).kind == "c":
        return json.dumps([_number(x.real), _number(x.imag)])
    return json.dumps(_number(x))


def attributes_json(attributes):
    return None if not attributes else to_json(dict(attributes))


class _Encoder(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, np.generic):
            return o.item()
        if isinstance(o, np.ndarray):
            return o.tolist()
        return super().default(o)


def to_json(value):
    """One value as JSON. NumPy's numbers and arrays become plain ones."""
    return json.dumps(value, cls=_Encoder, ensure_ascii=False)


# ------------------------------------------------------------------ codecs ---

_SHUFFLE = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "shuffle"}


def _blosc(c):
    shuffle = c.get("shuffle", "shuffle")
    shuffle = _SHUFFLE.get(shuffle, getattr(shuffle, "value", shuffle))
    cname = c.get("cname", "lz4")
    return f"blosc:{getattr(cname, 'value', cname)}:{c.get('clevel', 5)}:" \
           f"{shuffle}"


def _codec_text(c):
    """One codec in the library's short form: of numcodecs and zarr objects,
    their dictionaries, or that form itself."""
    if isinstance(c, str):
        return c
    for method in ("get_config", "to_dict"):
        if hasattr(c, method):
            c = getattr(c, method)()
            break
    if not isinstance(c, dict) or not ("id" in c or "name" in c):
        raise TypeError(f"a compressor is None, a text like 'zstd:3', or an "
                        f"object of numcodecs or zarr, not {c!r}")
    name = c.get("id") or c["name"]
    conf = c.get("configuration", c) or {}
    name = name.removeprefix("numcodecs.")
    if name == "blosc":
        return _blosc(conf)
    if name in ("zstd", "gzip", "zlib") and conf.get("level") is not None:
        return f"{name}:{int(conf['level'])}"
    if name in ("zstd", "gzip", "zlib", "lz4", "crc32c"):
        return name
    raise unsupported(f"codec '{name}'; there are zstd, gzip, zlib, lz4, blosc "
                      "and crc32c")


def codecs_text(compressor):
    """The codecs of a new array; None: the library's default."""
    if isinstance(compressor, str) and compressor in ("auto", "default"):
        return None
    if compressor is None or compressor == () or compressor == []:
        return "none"
    if isinstance(compressor, (list, tuple)):
        return ",".join(_codec_text(c) for c in compressor)
    return _codec_text(compressor)
