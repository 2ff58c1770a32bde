"""Whether a file that is named as `path/to/file.py:Object` stands alone: a run keeps a copy of the one file only."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from kplug.catalog.installed_metadata import is_distribution
from kplug.damaged_metadata import packages_distributions


def insist_alone(path: Path, source: bytes, imported: Iterable[str]) -> None:
    """Refuse a file that imports modules beside it, wherever in it that is written.

    Args:
        path: The file.
        source: What it holds.
        imported: The modules that running it has imported.

    Raises:
        ImportError: If it does; the message names them and what to do.
    """
    if path.parent.name in {"site-packages", "dist-packages"}:
        return  # a module of one file, among others that are installed
    names = {*_named_in(ast.parse(source)), *(name.partition(".")[0] for name in imported)}
    beside = sorted(file.name for name in names if (file := _found_beside(name, path)) is not None)
    if beside:
        raise ImportError(refusal(beside))


def lying_beside(module: str | None, path: Path) -> Path | None:
    """Return what lies beside a file and could be a module that was not found, or `None`."""
    name = (module or "").partition(".")[0]
    candidates = (path.parent / f"{name}.py", path.parent / name)
    return next((one for one in candidates if name and one.exists()), None)


def refusal(beside: list[str]) -> str:
    """Say why a file cannot import those beside it, and what to do."""
    return (
        f"it imports {', '.join(beside)}, beside it, and a run keeps a copy of the one file only. "
        "Put what it needs into the file, or make a package of them: kplug plugins new NAME"
    )


def _named_in(node: ast.AST) -> Iterator[str]:
    """Give the top-level names of what a file imports, functions included; not what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (name for other in child.orelse for name in _named_in(other))
        elif isinstance(child, ast.Import):
            yield from (one.name.partition(".")[0] for one in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0]
        else:
            yield from _named_in(child)


def _found_beside(name: str, path: Path) -> Path | None:
    """Return the file or folder beside a file that a module comes from; `None` if it is installed, or elsewhere."""
    try:
        # Finding a top-level module runs none of its code.
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or name in sys.stdlib_module_names:
        return None
    places = [Path(one) for one in spec.submodule_search_locations or [spec.origin or ""]]
    beside = [one for one in places if one.absolute().parent.resolve() == path.parent.resolve()]
    # A project's own package, installed so that it is imported from where it lies.
    return beside[0] if beside and name not in packages_distributions() and not is_distribution(name) else None
