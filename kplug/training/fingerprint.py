"""A fingerprint of data, by which a resumed run knows that they are still the same."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from keras import tree


def fingerprint(arrays: Any) -> str | None:
    """Return the SHA-256 of arrays with their shapes and dtypes, or `None` if there are no arrays.

    Args:
        arrays: A structure of NumPy arrays, or `None`.
    """
    if arrays is None:
        return None
    digest = hashlib.sha256()
    for array in tree.flatten(arrays):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).data)
    return digest.hexdigest()
