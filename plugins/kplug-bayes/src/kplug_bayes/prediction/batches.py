"""Samples that come in batches."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def in_batches(x: Any) -> bool:
    """Say whether these are batches: a `keras.utils.PyDataset`, a `tf.data.Dataset` or a PyTorch `DataLoader`."""
    return isinstance(x, keras.utils.PyDataset) or hasattr(x, "element_spec") or _is_loader(x)


def _is_loader(x: Any) -> bool:
    return any(base.__module__.startswith("torch.utils.data") for base in type(x).__mro__)


def all_samples(batches: Any) -> Any:
    """Return the samples of all batches in one structure of arrays; what else a batch has is left out.

    Args:
        batches: Batches of samples, or of `(samples, targets, …)`, in order.

    Raises:
        ValueError: If there are none, or they never end.
    """
    if not _ends(batches):
        raise ValueError("`x` must be batches that end: give one pass over the samples. Received: endless batches")
    indexed = isinstance(batches, keras.utils.PyDataset)
    each = (batches[index] for index in range(batches.num_batches)) if indexed else iter(batches)
    # A loader gives samples and targets as a list, which is several inputs elsewhere.
    pairs = (tuple, list) if _is_loader(batches) else tuple
    parts = [batch[0] if isinstance(batch, pairs) else batch for batch in each]
    if not parts:
        raise ValueError("`x` must have one sample at least. Received: x with 0 batches")
    return keras.tree.map_structure(
        lambda *arrays: np.concatenate([ops.convert_to_numpy(one) for one in arrays]), *parts
    )


def _ends(batches: Any) -> bool:
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches is not None
    return not hasattr(batches, "cardinality") or int(batches.cardinality()) != -1
