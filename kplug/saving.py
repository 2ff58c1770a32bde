"""Loading saved models whose parts come from kplug and its plugins."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kplug.catalog.discovery import components
from kplug.catalog.loading import load
from kplug.errors import BrokenComponentError, SavedModelError


def load_model(
    path: str | os.PathLike,
    compile: bool = True,  # noqa: A002 - Keras' own name for it
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> Any:
    """Load a model saved as `.keras`, with the parts of kplug and of installed plugins that it uses.

    Keras itself finds a custom class only if something has imported it before. This function reads the names in the
    file's `config.json`, imports the plugins that own them, and then loads the model in Keras' safe mode. A plugin
    is imported because it is installed and owns a namespace, never because a file names a module.

    Args:
        path: A `.keras` file.
        compile: Whether to compile the model as it was compiled when it was saved.
        custom_objects: Name -> class or function, for parts that nothing registers, as for `keras.saving.load_model`.
        safe_mode: Whether to refuse functions written as `lambda`, whose loading runs code out of the file. Turn it off
            only for files that you trust.

    Returns:
        The `keras.Model`.

    Raises:
        SavedModelError: If the file is missing or is no `.keras` file, or needs a plugin that is not installed; the
            message names what is needed.
        BrokenComponentError: If the plugin that is needed cannot be imported.

    Example:

    ```python
    vae = kplug.load_model("artifacts/model.keras")
    images = vae.generate(16)
    ```
    """
    names = sorted(set(_registered_names(_read_config(Path(path)))))
    import keras

    given = dict(custom_objects or {})
    unknown = [name for name in names if keras.saving.get_registered_object(name, given) is None]
    _import_owners(unknown, Path(path))
    _insist_registered(unknown, Path(path))
    return keras.saving.load_model(path, compile=compile, custom_objects=given, safe_mode=safe_mode)


def _read_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError("its config.json describes no model")
    except FileNotFoundError:
        raise SavedModelError(f"There is no file {path}.") from None
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise SavedModelError(
            f"{path} is not a model saved as .keras ({type(error).__name__}: {error}). "
            "Save it with `model.save('name.keras')`."
        ) from error
    return config


def _registered_names(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        name = config.get("registered_name")
        if isinstance(name, str) and ">" in name:
            yield name
        config = config.values()
    elif not isinstance(config, list):
        return
    for part in config:
        yield from _registered_names(part)


def _import_owners(names: Iterable[str], path: Path) -> None:
    """Import the components that make the names known.

    Raises:
        SavedModelError: If no plugin has a name's namespace.
        BrokenComponentError: If a component of that very name cannot be imported.
    """
    import keras

    for name in names:
        namespace, _, attribute = name.partition(">")
        owned = [one for one in components() if one.namespace == namespace and one.fault is None]
        if not owned:
            raise SavedModelError(
                f"{path} needs {namespace}/{attribute}, and no installed plugin has the namespace {namespace!r}. "
                f"Install the plugin, or import what defines {name!r} before loading."
            )
        exact = [one for one in owned if one.target.rpartition(":")[2] == attribute]
        for component in exact:
            load(component)
        # A part that is no component itself is defined where some component is.
        for component in owned:
            if keras.saving.get_registered_object(name) is not None:
                break
            if component not in exact and component.kind != "optimizer":
                with contextlib.suppress(BrokenComponentError):
                    load(component)


def _insist_registered(names: Iterable[str], path: Path) -> None:
    import keras

    for name in names:
        if keras.saving.get_registered_object(name) is None:
            namespace, _, attribute = name.partition(">")
            owner = next(one for one in components() if one.namespace == namespace)
            raise SavedModelError(
                f"{path} needs {namespace}/{attribute}, which {owner.distribution} {owner.version} does not have. "
                "Install the version that the model was saved with."
            )
