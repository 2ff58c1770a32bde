"""Loading saved models whose parts come from kplug and its plugins."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kplug.catalog.keras_names import defined_in, parameters_in, with_parameters
from kplug.catalog.loading import load
from kplug.catalog.references import import_file, source_file
from kplug.catalog.trust import how_to_trust, is_trusted
from kplug.errors import SavedModelError
from kplug.runs.directory import RunDirectory
from kplug.runs.own_files import references
from kplug.runs.run import Run
from kplug.saved_owners import import_owners
from kplug.saved_requirements import read_requirements, registered_parts, unregistered, what_is_missing


def load_model(
    path: str | os.PathLike,
    compile: bool = True,  # noqa: A002 - Keras' own name for it
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> Any:
    """Load a model saved as `.keras`, with the parts of kplug and of installed plugins that it uses.

    Keras itself finds a custom class only if something has imported it before. This function reads the names in the
    file's `config.json`, imports the plugins that own them, and then loads the model in Keras' safe mode. A plugin
    is imported because it is installed and owns a namespace, never because a file names a module. A model that lies in
    its run's directory finds the run's copies of files that were named as `path/to/file.py:Object`, if just these were
    run on this machine by this user before, or are trusted since (`kplug plugins trust FILE`).

    Args:
        path: A `.keras` file.
        compile: Whether to compile the model as it was compiled when it was saved.
        custom_objects: Name -> class or function, for parts that nothing registers, as for `keras.saving.load_model`.
        safe_mode: Whether to refuse functions written as `lambda`, whose loading runs code out of the file. Turn it off
            only for files that you trust.

    Returns:
        The `keras.Model`.

    Raises:
        SavedModelError: If the file is missing or is no `.keras` file, or needs a plugin that is not installed or not
            used, or code that nobody has run here before; the message names what is needed and what to do.
        BrokenComponentError: If the plugin that is needed cannot be imported.

    Example:

    ```python
    vae = kplug.load_model("artifacts/model.keras")
    images = vae.generate(16)
    ```
    """
    path = Path(path)
    registered, origins, noted = _read(path)
    import keras

    given = dict(custom_objects or {})
    directory = _run_of(path)
    # By the name of a file, Keras may know what another run's file of that name defines.
    in_files = [] if directory is None else [one for one in registered if _is_in_file(one) and one not in given]
    wanted = {name: registered[name] for name in {*unregistered(registered, given), *in_files}}
    names = sorted({name for name, _ in wanted.values()})
    import_owners(path, {name: origins.get(name, ":") for name in unregistered(names, given)}, given)
    missing = unregistered(names, given)
    own: dict[str, Any] = {}
    if directory is not None and (missing or in_files):
        own = {name: part for name, part in _parts_of_run(path, directory).items() if name not in given}
        missing = unregistered(missing, given)
    if missing:
        raise SavedModelError(what_is_missing(path, missing[0], noted))
    # Before what is given besides, Keras looks at what is registered, and before that at a scope.
    with keras.saving.custom_object_scope(own):
        for name, (function, parameters) in wanted.items():
            if parameters is not None:
                bound = with_parameters(keras.saving.get_registered_object(function, given), parameters)
                (own if function in own else given)[name] = bound
    with keras.saving.custom_object_scope(own):
        return keras.saving.load_model(path, compile=compile, custom_objects=given, safe_mode=safe_mode)


def _is_in_file(registered: str) -> bool:
    # No distribution's normalized name has a dot.
    return registered.partition(">")[0].endswith(".py")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str], dict[str, Mapping[str, Any]]]:
    """Return the registered names in a model, each taken apart, what they were defined as, and what is noted."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            noted = read_requirements(archive)
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError("its config.json describes no model")
        origins = dict(registered_parts(config))
        names = {name: parameters_in(name) for name in sorted(origins)}
    except FileNotFoundError:
        raise SavedModelError(f"There is no file {path}.") from None
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise SavedModelError(
            f"{path} is not a model saved as .keras ({type(error).__name__}: {error}). "
            "Save it with `model.save('name.keras')`."
        ) from error
    return names, origins, noted


def _run_of(path: Path) -> RunDirectory | None:
    """Return the directory of the run whose artifact a model is."""
    directory = RunDirectory(path.absolute().parent.parent)
    return directory if path.absolute().parent == directory.artifacts and directory.spec.is_file() else None


def _parts_of_run(path: Path, directory: RunDirectory) -> dict[str, Any]:
    """Import the parts in files and modules that a run used, and return what its files define, by registered name.

    The files are the run's copies, and they are imported because somebody has run just this content here before, not
    because the run names them: a directory may come from anywhere.

    Raises:
        SavedModelError: If nobody has.
    """
    import keras

    found: dict[str, Any] = {}
    for component in references(Run(directory).spec, directory):
        if not is_trusted(component):
            raise SavedModelError(
                f"{path} needs code that its run brings along, and that was not run here before: "
                f"{how_to_trust(component)}"
            )
        load(component)
        file = source_file(component)
        if file is not None:
            defined = defined_in(import_file(file, component.version))
            found.update({keras.saving.get_registered_name(one): one for one in defined})
    return {name: part for name, part in found.items() if ">" in name}
