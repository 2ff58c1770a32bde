"""What is imported when: nothing that a person waits for may import Keras."""

import json

import pytest

from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.spec import spec_from

HEAVY = {"keras", "tensorflow", "tensorflow_probability", "jax", "torch", "textual", "numpy", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    "code",
    [
        "import kplug",
        "import kplug; kplug.components(); dir(kplug)",
        "import kplug.runs; kplug.runs.list_runs()",
        "import kplug_tui",
        "import kplug.cli.app, kplug.cli.follow",
    ],
)
def test_light_modules_import_nothing_heavy(code, modules_after):
    assert modules_after(code) & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "losses", "--json"],
        ["plugins", "list"],
        ["show", "vae"],
        ["runs", "list"],
        ["plugins", "new", "Not_A_Name"],
        ["plugins", "check", "not-a-plugin"],
        ["train", "vae", "--data", "nowhere"],
    ],
)
def test_commands_import_nothing_heavy(arguments, modules_after):
    code = f"""
import sys
sys.argv = ["kplug", *{arguments!r}]
from kplug.cli.app import main
try:
    main()
except SystemExit:
    pass
"""
    assert modules_after(code) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "losses"], ["show", "vae"], ["plugins", "list"]])
def test_quick_commands_do_without_pydantic_and_rich(arguments, modules_after):
    # Their imports take longer than all that these commands do.
    code = f"""
import sys
sys.argv = ["kplug", *{arguments!r}]
from kplug.cli.app import main
try:
    main()
except SystemExit:
    pass
"""
    assert modules_after(code) & {"pydantic", "rich"} == set()


def test_a_list_with_a_run_that_goes_on_does_without_pydantic_and_the_catalog(modules_after, tmp_path):
    code = f"""
import sys
sys.argv = ["kplug", "runs", "list", "--runs-dir", {str(tmp_path)!r}]
from kplug.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert "kplug.catalog.discovery" not in sys.modules
"""
    directory = create_run_directory(tmp_path, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {})
    write_atomically(directory.status, json.dumps({"state": "running", **identity()}))
    assert modules_after(code) & {"pydantic", "rich"} == set()


def test_a_worker_imports_nothing_heavy_while_it_waits_for_its_place(modules_after):
    # Hundreds of them may wait beside a run that trains.
    heavy = {"numpy", "pydantic", "joblib", "sqlite3", "asyncio", "rich"}
    assert modules_after("import kplug.training.worker") & (HEAVY | heavy) == set()


def test_starting_a_detached_run_imports_nothing_heavy(modules_after, tmp_path):
    code = f"""
import sys
sys.argv = ["kplug", "train", "vae", "--data", "digits", "--epochs", "1", "--detach", "--runs-dir", {str(tmp_path)!r}]
from kplug.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert modules_after(code) & HEAVY == set()
    (run,) = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
    (run / "control").write_text("stop\n")
