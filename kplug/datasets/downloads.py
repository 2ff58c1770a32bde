"""Loading what Keras fetches from the network, with words for when it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit

from kplug.errors import DataError

T = TypeVar("T")

_KERAS_SAYS = "URL fetch failure"


def load_download(name: str, load: Callable[[], T], url: str, file: str, otherwise: str) -> T:
    """Call a loader of `keras.datasets`.

    Args:
        name: The data set's name, for messages.
        load: Loads the files if they are on this machine, and fetches them if not.
        url: Where they are fetched from.
        file: Where they are kept, in Keras' folder for data sets.
        otherwise: A data set of the same kind that needs no download.

    Returns:
        What the loader returns.

    Raises:
        DataError: If the files cannot be fetched or read.
    """
    place = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / file
    try:
        return load()
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        if _is_of_the_network(error):
            message = (
                f"The data set {name} is not on this machine, and its host {urlsplit(url).hostname} cannot be reached: "
                f"{error}. Connect to the network; or fetch {url} on another machine and save it here as {place}; or "
                f"take a data set that needs no download, such as {otherwise}."
            )
        else:
            message = (
                f"The data set {name} cannot be read: {type(error).__name__}: {error}. If {place} is damaged, remove "
                f"it, and it is fetched anew; or take a data set that needs no download, such as {otherwise}."
            )
        raise DataError(message) from error


def _is_of_the_network(error: Any) -> bool:
    return isinstance(error, URLError | ConnectionError | TimeoutError) or str(error).startswith(_KERAS_SAYS)
