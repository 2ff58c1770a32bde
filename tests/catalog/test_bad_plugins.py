"""A gallery of bad plugins: each is shown with its fault, and none costs anyone else anything."""

from __future__ import annotations

import json
import re
import sys
import time

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog import child
from kplug.catalog.description import describe_all, known
from kplug.catalog.discovery import catalog, components
from kplug.catalog.loading import load
from kplug.catalog.plugins import plugin, plugins
from kplug.catalog.resolution import resolve
from kplug.errors import AmbiguousNameError, BrokenComponentError, UnavailableComponentError
from kplug.training.artifacts import save_model

pytestmark = pytest.mark.neutral

FINE = "def part(y_true, y_pred):\n    'Fine.'\n"
FAULTS = {
    "raising": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exiting": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "dying": ("import os; os._exit(7)", "importing it ended the process with exit code 7"),
    "hanging": ("import threading; threading.Event().wait()", "importing it took longer than 4 s"),
    "crashing": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal SIGSEGV"),
    "misspelt": ("def broken(:", "SyntaxError: invalid syntax (misspelt_parts.py, line 1)"),
    "lacking": ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
    "empty": ("", "AttributeError: module 'empty_parts' has no attribute 'part'"),
    "number": ("part = 3", "TypeError: a component must be a class or a function, not int"),
    "misplaced": (
        "import keras\nclass part(keras.layers.Layer): ...",
        "TypeError: declared as a loss, but part is a Keras layer",
    ),
    "undescribable": (
        "class part:\n    __signature__ = 3",
        "TypeError: unexpected object 3 in __signature__ attribute",
    ),
    "endless": ("def f(): return f()\nf()", "RecursionError"),
    "greedy": ("part = 'x' * 10**15", "MemoryError"),
}
"""Name -> the source of its module, and the fault that it is shown with."""


@pytest.fixture
def gallery(install_plugin, home, monkeypatch):
    """All of them installed beside one that is fine."""
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "4")
    for name, (source, _) in FAULTS.items():
        group = {"kplug.losses": {"part": f"{name}_parts:part"}}
        install_plugin(f"kplug-{name}", group, {f"{name}_parts.py": source})
    return install_plugin("kplug-fine", {"kplug.losses": {"part": "fine_parts:part"}}, {"fine_parts.py": FINE})


def of(name):
    return [one for one in components() if one.distribution == f"kplug-{name}"]


def test_each_is_shown_with_its_fault_and_the_fine_one_as_fine(gallery, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "20")  # a busy machine may take its time with all but one of them
    wanted = [one for name in (*FAULTS, "fine") if name != "hanging" for one in of(name)]
    descriptions = {one.component.namespace: one for one in describe_all(wanted).values()}
    assert descriptions.pop("fine").summary == "Fine."
    for name, description in descriptions.items():
        assert description.broken, name
        assert FAULTS[name][1] in description.error, name
    states = {one.distribution: (one.state, one.error) for one in plugins()}
    assert states["kplug-fine"] == ("enabled", None)
    assert states["kplug-raising"] == ("broken", "part: RuntimeError: no luck")
    assert not [name for name in sys.modules if name.endswith("_parts")]


def test_one_that_hangs_is_given_up(gallery):
    (description,) = describe_all(of("hanging")).values()
    assert FAULTS["hanging"][1] in description.error
    assert plugin("hanging").state == "broken"


def test_listing_runs_none_of_them(gallery, run_kplug):
    begun = time.monotonic()
    done = run_kplug("list", "losses")
    assert done.returncode == 0
    assert {f"{name}/part" for name in (*FAULTS, "fine")} <= set(done.stdout.split())
    listed = run_kplug("plugins", "list", "--json")
    assert {one["state"] for one in json.loads(listed.stdout)} == {"enabled"}
    assert known(of("raising")) == {}
    assert time.monotonic() - begun < 60  # one of them would hang for ever


def bad_modules():
    return {name for name in sys.modules if name.removesuffix("_parts") in FAULTS}


def test_getting_and_loading_a_part_of_the_fine_one_imports_no_other(gallery):
    assert kplug.get("fine/part", "loss").__doc__ == "Fine."
    assert load(resolve("fine/part")) is kplug.get("fine/part")
    with pytest.raises(AmbiguousNameError, match=r"could mean any of: .*fine/part .*hanging/part"):
        kplug.get("part")
    assert bad_modules() == set()


@pytest.mark.parametrize("name", ["raising", "exiting", "misspelt", "lacking", "empty", "endless"])
def test_getting_a_bad_one_names_it_and_leaves_the_fine_one_to_be_had(gallery, name):
    fault = FAULTS[name][1].partition(" (")[0]
    with pytest.raises(BrokenComponentError, match=rf"^loss {name}/part \(kplug-{name} 1\.0\) .*{re.escape(fault)}"):
        kplug.get(f"{name}/part")
    with pytest.raises(BrokenComponentError, match=rf"^loss {name}/part"):
        load(*of(name))
    assert kplug.get("fine/part").__doc__ == "Fine."


def test_a_model_of_a_good_plugin_loads_among_the_bad_ones(gallery, install_plugin, tmp_path):
    source = """
        import keras

        @keras.saving.register_keras_serializable(package="good")
        class Inner(keras.layers.Layer):
            def call(self, inputs):
                return inputs + 1

        class Outer(keras.layers.Layer):
            def build(self, shape):
                self.inner = Inner()

            def call(self, inputs):
                return self.inner(inputs)

        def distance(y_true, y_pred):
            return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
    """
    groups = {"kplug.layers": {"outer": "good_parts:Outer"}, "kplug.losses": {"part": "good_parts:distance"}}
    install_plugin("kplug-good", groups, {"good_parts.py": source})
    model = keras.Sequential([keras.Input((3,)), kplug.get("good/outer")(), sys.modules["good_parts"].Inner()])
    model.compile("sgd", kplug.get("good/part"))
    save_model(model, tmp_path)
    # Uninstalled from this process: everything must be found again.
    del sys.modules["good_parts"]
    for name in [one for one in keras.saving.get_custom_objects() if one.startswith("good>")]:
        del keras.saving.get_custom_objects()[name]
    begun = time.monotonic()
    again = kplug.load_model(tmp_path / "model.keras")
    assert time.monotonic() - begun < 60  # one of them would hang for ever
    assert again.predict(np.zeros((2, 3)), verbose=0).tolist() == [[2.0] * 3] * 2
    assert again.evaluate(np.zeros((2, 3)), np.zeros((2, 3)), verbose=0) == 2.0
    assert bad_modules() == set()


def test_one_that_prints_is_no_worse_than_another(install_plugin, home, run_kplug):
    noise = "import os, sys\nprint('{\"kind\": \"loss\"}')\nos.write(1, b'noise')\nprint('noise', file=sys.stderr)\n"
    install_plugin("kplug-loud", {"kplug.losses": {"part": "loud_parts:part"}}, {"loud_parts.py": noise + FINE})
    shown = run_kplug("show", "loud/part", "--json")
    assert json.loads(shown.stdout)["summary"] == "Fine."
    assert "noise" not in shown.stderr


def test_one_that_imports_torch_says_so(install_plugin, home, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    # A torch of its own stands in for the real one, which takes seconds.
    parts = {"heavy_parts.py": "import torch\n" + FINE, "torch.py": ""}
    install_plugin("kplug-heavy", {"kplug.losses": {"part": "heavy_parts:part"}}, parts)
    (description,) = describe_all(of("heavy")).values()
    assert (description.status, description.imports) == ("ok", ("torch",))
    found = plugin("heavy")
    assert (found.state, found.error) == ("enabled", "imports torch besides Keras' backend")


def test_a_name_declared_twice_means_the_first(install_plugin, home):
    site = install_plugin("kplug-double", {}, {"one_parts.py": FINE})
    (site / "kplug_double-1.0.dist-info" / "entry_points.txt").write_text(
        "[kplug.losses]\npart = one_parts:part\npart = two_parts:part\npart = one_parts:part\n"
    )
    catalog.cache_clear()
    assert [one.fault for one in of("double")] == [
        None,
        "double/part is already declared as one_parts:part",
        "double/part is already declared as one_parts:part",
    ]
    assert resolve("double/part").target == "one_parts:part"
    found = plugin("double")
    assert found.state == "broken"
    assert found.error.startswith("part: double/part is already declared as one_parts:part")


def test_two_plugins_of_one_namespace_share_it_but_for_what_both_declare(install_plugin, home):
    install_plugin(
        "twin", {"kplug.losses": {"part": "fine_parts:part", "own": "fine_parts:part"}}, {"fine_parts.py": FINE}
    )
    install_plugin("kplug-twin", {"kplug.losses": {"part": "other_parts:part", "other": "fine_parts:part"}})
    assert resolve("twin/own").distribution == "twin"
    assert resolve("twin/other").distribution == "kplug-twin"
    states = {one.distribution: one.state for one in plugins() if one.namespace == "twin"}
    assert sorted(states.values()) == ["broken", "enabled"]
    (faulty,) = (one for one in components() if one.namespace == "twin" and one.fault)
    assert "twin/part is already declared as" in faulty.fault


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[kplug.losses]\nx = \xff\xfe:\x00"),
        ("METADATA", b"\xff\xfe\x00\x01garbage"),
        ("METADATA", b""),
        ("METADATA", b"Metadata-Version: 2.1\nName: kplug-fine\n"),
        ("METADATA", None),
        ("entry_points.txt", b"[kplug.losses]\nno equals sign\n"),
    ],
)
def test_metadata_that_is_garbage_is_named_and_costs_the_others_nothing(gallery, run_kplug, file, content):
    info = gallery / "kplug_fine-1.0.dist-info"
    if content is None:
        (info / file).unlink()
    else:
        (info / file).write_bytes(content)
    catalog.cache_clear()
    (found,) = (one for one in plugins() if "kplug_fine" in one.distribution or one.distribution == "kplug-fine")
    assert found.state == "broken"
    assert found.error
    assert of("raising")
    done = run_kplug("plugins", "list")
    assert done.returncode == 0, done.stderr
    assert "kplug-raising" in done.stdout


def test_an_entry_point_of_random_bytes_is_no_markup_and_no_command(install_plugin, home, run_kplug):
    install_plugin("kplug-\x1b[31mred", {"kplug.losses": {"pa\x1b[31mrt": "red_parts:part", "[bold]": "a:b"}})
    done = run_kplug("plugins", "list")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + run_kplug("list").stdout


def test_one_that_needs_a_newer_kplug_is_incompatible_and_never_imported(install_plugin, home, run_kplug):
    install_plugin(
        "kplug-future",
        {"kplug.losses": {"part": "future_parts:part"}},
        {"future_parts.py": "raise RuntimeError('imported')"},
        requires=["kplug>=99"],
    )
    assert plugin("future").state == "incompatible"
    with pytest.raises(UnavailableComponentError, match=r"it needs kplug >=99, and kplug .* is installed"):
        resolve("future/part")
    assert "needs kplug >=99" in run_kplug("show", "future/part").stderr


def test_five_hundred_components_are_described_by_one_process(install_plugin, home, monkeypatch):
    entry_points = {f"part_{index}": f"many_parts:part_{index}" for index in range(500)}
    source = "".join(f"def part_{index}(y_true, y_pred):\n    'Part {index}.'\n" for index in range(500))
    install_plugin("kplug-many", {"kplug.losses": entry_points}, {"many_parts.py": source})
    children = []
    inspect = child.inspect_in_child
    monkeypatch.setattr("kplug.catalog.child.inspect_in_child", lambda wanted: children.append(1) or inspect(wanted))
    descriptions = describe_all(of("many"))
    assert len(children) == 1
    assert {one.summary for one in descriptions.values()} == {f"Part {index}." for index in range(500)}
    assert len(plugin("many").components) == 500


def test_a_faulty_part_asked_for_by_name_says_its_fault(install_plugin, home):
    install_plugin("kplug-odd", {"kplug.losses": {"part": "not a module"}})
    with pytest.raises(BrokenComponentError, match=r"loss odd/part \(kplug-odd 1\.0\): the entry point's value"):
        resolve("odd/part")
