"""`kplug plugins check`: what is wrong with a plugin is found, with the remedy, and does nothing to who looks."""

import contextlib
import json
import os
import textwrap
from pathlib import Path

import psutil
import pytest

from kplug.authoring import checking
from kplug.authoring.checking import check_plugin, findings
from kplug.authoring.finding import ERROR
from kplug.authoring.metadata_checks import check_names
from kplug.authoring.new_plugin import write_plugin
from kplug.authoring.subject import Subject, installed, unpacked
from kplug.authoring.wheel import build_command, unpacked_wheel
from kplug.catalog.plugins import disable, enable
from kplug.errors import PluginError, UnknownPluginError


def unpack(folder, entry_points, modules, requires=("kplug>=0.1",), files=(), name="kplug-bad"):
    """Make a directory as a wheel of that content would be unpacked, and return the plugin in it."""
    for path, source in modules.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    groups = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())])
        for group, entries in entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in (*modules, *files)))
    return unpacked(folder)


def found(subject):
    """Return `(subject, check) -> message` of the errors, and of the warnings."""
    every = list(findings(subject))
    return tuple(
        {(one.subject, one.check): one.message for one in every if one.level == level} for level in ("error", "warning")
    )


@pytest.fixture
def without_importing(monkeypatch):
    monkeypatch.setattr(checking, "_imports", lambda subject: iter(()))
    monkeypatch.setattr(checking, "_trials", lambda subject, components: iter(()))


def test_names_requirements_and_files_are_looked_at_without_an_import(tmp_path, without_importing):
    subject = unpack(
        tmp_path,
        {
            "kplug.lossess": {"one": "kplug_bad.losses:One"},
            "kplug.losses": {"BadName": "kplug_bad.losses:One", "focal_loss": "kplug_bad.losses:One"},
            "kplug.layers": {"gone": "kplug_bad.layers:Gone", "shut": "kplug_bad.losses"},
        },
        {"kplug_bad/__init__.py": "raise SystemExit('imported')", "kplug_bad/losses.py": ""},
        requires=("numpy", "kplug-other>=1"),
    )
    errors, warnings = found(subject)
    assert "kplug.lossess is no group of kplug's" in errors["kplug-bad", "entry points"]
    assert "'BadName' is not snake_case" in errors["bad/BadName", "entry point"]
    assert "not of the form 'package.module:Object'" in errors["bad/shut", "entry point"]
    assert "the wheel has no module kplug_bad.layers" in errors["bad/gone", "wheel"]
    assert "there is no licence" in errors["kplug-bad", "wheel"]
    assert "kplug/focal_loss has the same name" in warnings["bad/focal_loss", "name"]
    assert 'Add "kplug>=0.1"' in warnings["kplug-bad", "requirements"]
    assert "kplug_bad/py.typed is missing" in warnings["kplug-bad", "wheel"]
    assert len(errors) == 5


def aliased(tmp_path, old, new, name="kplug-bad"):
    """Return level and message of what is said of one alias in a plugin with a few parts."""
    groups = {
        "kplug.losses": {"haar": "kplug_bad.losses:Haar", "both": "kplug_bad.losses:Both"},
        "kplug.metrics": {"haar": "kplug_bad.losses:Haar", "both": "kplug_bad.metrics:Both"},
        "kplug.layers": {"db_four": "kplug_bad.layers:Daubechies"},
    }
    subject = unpack(tmp_path, {**groups, "kplug.aliases": {old: new}}, {"kplug_bad/losses.py": ""}, name=name)
    (finding,) = (one for one in check_names(subject) if one.check == "alias")
    return finding.subject, finding.level, finding.message


@pytest.mark.parametrize(
    ("old", "new", "subject", "level", "message"),
    [
        ("wavelet", "haar", "bad/wavelet", "ok", "bad/haar now"),
        ("WaveletLoss", "haar", "bad/WaveletLoss", "ok", "bad/haar now"),
        ("old-acme/wavelet", "haar", "old-acme/wavelet", "ok", "bad/haar now"),
        ("wavelet", "harr", "bad/wavelet", "error", "'harr' is no component of this plugin; its components are: both,"),
        ("wavelet", "bad/haar", "bad/wavelet", "error", "'bad/haar' is no component"),
        ("wave let", "haar", "bad/wave let", "error", "an old name is a component's or a class's"),
        ("Old_Acme/wavelet", "haar", "Old_Acme/wavelet", "error", "an old name is a component's or a class's"),
        ("bad/wavelet", "haar", "bad/wavelet", "error", "never looked up: declare 'wavelet', without"),
        ("kplug/wavelet", "haar", "kplug/wavelet", "error", "never looked up: the namespace 'kplug' is kplug's own"),
        ("DBFour", "haar", "bad/DBFour", "error", "bad/db_four (kplug_bad.layers:Daubechies) is called so now"),
        ("Daubechies", "haar", "bad/Daubechies", "error", "bad/db_four (kplug_bad.layers:Daubechies) is called so now"),
        ("Haar", "haar", "bad/Haar", "error", "bad/haar (kplug_bad.losses:Haar) is called so now"),
        ("wavelet", "both", "bad/wavelet", "warning", "it could be loss bad/both or metric bad/both"),
        (
            "taken/wavelet",
            "haar",
            "taken/wavelet",
            "warning",
            "it has no effect where a plugin with the namespace 'taken'",
        ),
        ("focal_loss", "haar", "bad/focal_loss", "warning", "kplug/focal_loss has that name"),
        ("ripple", "haar", "bad/ripple", "warning", "taken/taken was called that too: whoever types it alone"),
        ("gone/wave", "haar", "gone/wave", "warning", "taken/taken declares that it was called so too"),
    ],
)
def test_old_names_mean_one_component_and_can_mean_it(
    tmp_path, install_plugin, home, old, new, subject, level, message
):
    old_names = {"ripple": "taken", "gone/wave": "taken"}
    install_plugin("kplug-taken", {"kplug.losses": {"taken": "taken:part"}, "kplug.aliases": old_names})
    said = aliased(tmp_path / "wheel", old, new)
    assert said[:2] == (subject, level)
    assert message in said[2]


def test_an_old_name_that_is_declared_twice(tmp_path, home):
    groups = {"kplug.losses": {"one": "bad:One", "two": "bad:Two"}, "kplug.aliases": {"was": "one", "Was": "two"}}
    said = [one for one in check_names(unpack(tmp_path, groups, {"bad.py": ""})) if one.check == "alias"]
    assert [(one.level, one.message) for one in said] == [(ERROR, "it is declared twice. Case and _ do not matter")] * 2


def test_a_sound_wheel_and_a_class_of_another_package_are_ok(tmp_path, without_importing):
    subject = unpack(
        tmp_path,
        {"kplug.losses": {"one": "kplug_bad:One"}, "kplug.layers": {"dense": "keras.layers:Dense"}},
        {"kplug_bad/__init__.py": ""},
        files=("kplug_bad/py.typed", "kplug_bad-1.0.dist-info/licenses/COPYING.txt"),
    )
    assert found(subject) == ({}, {})


def test_a_plugin_of_nothing_and_a_namespace_that_is_taken(tmp_path, without_importing, install_plugin):
    install_plugin("bad", {"kplug.losses": {"one": "bad:One"}})
    errors, warnings = found(unpack(tmp_path / "unpacked", {}, {}, requires=("kplug",)))
    assert "it declares no component" in errors["kplug-bad", "entry points"]
    assert "bad has the namespace 'bad' too" in errors["kplug-bad", "namespace"]
    assert "'kplug' takes any version" in warnings["kplug-bad", "requirements"]


@pytest.mark.parametrize("name", ["script", "kplug-kplug"])
def test_a_namespace_and_a_package_that_are_kplugs_own(name, home):
    subject = Subject(name, "1.0", (), (), (), ("kplug_tui/__init__.py",))
    errors = {one.check: one.message for one in check_names(subject) if one.level == ERROR}
    assert errors["packages"] == "the package kplug_tui is kplug's own. Rename it"
    assert "Rename the distribution" in errors["namespace"]


BAD = {
    "kplug_bad/__init__.py": "import keras",
    "kplug_bad/parts.py": '''
        from typing import Annotated

        import keras
        from keras import ops
        from pydantic import Field

        class Undocumented(keras.losses.MeanSquaredError):
            def __init__(self, scale: float, **kwargs):
                super().__init__(**kwargs)

        Undocumented.__doc__ = None

        @keras.saving.register_keras_serializable(package="elsewhere")
        class Elsewhere(keras.losses.MeanSquaredError):
            """Is registered under another name."""

            def __init__(
                self, scale: float, power=2, model: keras.Model = None, share: Annotated[float, Field(le=1)] = 3.0
            ):
                super().__init__()

        @keras.saving.register_keras_serializable(package="bad")
        class OneNumber(keras.losses.Loss):
            """Is one number."""

            def call(self, y_true, y_pred):
                return ops.mean(y_pred, keepdims=False)

        class NoLoss(keras.layers.Layer):
            """Is a layer."""

        @keras.saving.register_keras_serializable(package="bad")
        class Halves(keras.layers.Layer):
            """Puts out float32 whatever it is told."""

            def call(self, inputs):
                return ops.cast(inputs, "float32") / 2

        def drawn():
            """Draws anew each time."""
            import numpy as np
            from kplug import Dataset

            x = np.random.normal(size=(20, 2)).astype("float32")
            return Dataset(train=(x, np.zeros(20, "int64")))
        ''',
    "kplug_bad/exits.py": "import os; print('farewell', flush=True); os._exit(7)",
    "kplug_bad/raises.py": "raise SystemExit('I leave')",
}


@pytest.mark.slow
def test_what_is_wrong_with_components_is_found_and_one_that_ends_the_process_costs_the_others_nothing(tmp_path):
    subject = unpack(
        tmp_path,
        {
            "kplug.losses": {
                "undocumented": "kplug_bad.parts:Undocumented",
                "raises": "kplug_bad.raises:Loss",
                "exits": "kplug_bad.exits:Loss",
                "elsewhere": "kplug_bad.parts:Elsewhere",
                "no_loss": "kplug_bad.parts:NoLoss",
                "one_number": "kplug_bad.parts:OneNumber",
            },
            "kplug.layers": {"halves": "kplug_bad.parts:Halves"},
            "kplug.datasets": {"drawn": "kplug_bad.parts:drawn"},
        },
        BAD,
        files=("kplug_bad/py.typed", "kplug_bad-1.0.dist-info/LICENSE"),
    )
    errors, warnings = found(subject)
    assert "no docstring" in errors["bad/undocumented", "documentation"]
    assert "registered only while kplug loads it" in warnings["bad/undocumented", "serialization"]
    assert "not tried: it needs scale" in warnings["bad/undocumented", "check_loss"]
    assert errors["bad/raises", "import"] == "SystemExit: I leave"
    assert errors["bad/exits", "import"] == ("importing or trying it ended the process with exit code 7: farewell")
    assert 'package="bad"' in errors["bad/elsewhere", "serialization"]
    assert "share = 3.0 is not possible" in errors["bad/elsewhere", "hyper-parameters"]
    assert "says nothing of scale, power, model, share" in warnings["bad/elsewhere", "documentation"]
    assert errors["bad/no_loss", "import"] == "TypeError: declared as a loss, but NoLoss is a Keras layer"
    assert "not tried: it takes none of the usual data" in warnings["bad/one_number", "check_loss"]
    assert "puts out float32" in errors["bad/halves", "trial"]
    assert "gives other data when it is made again" in errors["bad/drawn", "trial"]
    assert "brings in keras, tensorflow" in warnings["kplug_bad", "import"]


def test_what_a_data_set_imports_before_it_is_asked_for_data_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "_trials", lambda subject, components: iter(()))
    subject = unpack(
        tmp_path,
        {"kplug.datasets": {"light": "kplug_bad.light:data", "heavy": "kplug_bad.heavy:data"}},
        # Other modules of that name: the real ones take their time.
        {"kplug_bad/__init__.py": "", "kplug_bad/light.py": "", "kplug_bad/heavy.py": "import jax", "jax.py": ""},
    )
    _, warnings = found(subject)
    assert warnings["kplug_bad.heavy", "import"] == (
        "brings in jax, which takes seconds. Import it inside the function that needs it"
    )
    assert not {("kplug_bad", "import"), ("kplug_bad.light", "import")} & set(warnings)


def test_a_plugin_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "0.5")
    monkeypatch.setattr(checking, "_TRIAL_SECONDS", 0)
    module = {"kplug_bad.py": "import threading; threading.Event().wait()"}
    errors, _ = found(unpack(tmp_path, {"kplug.losses": {"hangs": "kplug_bad:Loss"}}, module))
    assert errors["kplug_bad", "import"] == "importing it took longer than 0.5 s"
    assert ("bad/hangs", "import") not in errors  # it was not waited for a second time


def test_a_component_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "8")
    monkeypatch.setattr(checking, "_TRIAL_SECONDS", 0)
    modules = {
        "kplug_bad/__init__.py": "",
        "kplug_bad/hangs.py": "import threading; threading.Event().wait()",
    }
    errors, _ = found(unpack(tmp_path, {"kplug.losses": {"hangs": "kplug_bad.hangs:Loss"}}, modules))
    assert errors["bad/hangs", "import"] == "importing or trying it took longer than 8 s"


def test_a_class_of_another_package_is_found_and_otherwise_left_to_that(tmp_path):
    entry_points = {
        "kplug.layers": {"dense": "keras.layers:Dense", "nothing": "keras.layers:Dance"},
        "kplug.losses": {"dense": "keras.layers:Dense"},
    }
    subject = unpack(tmp_path, entry_points, {}, files=("kplug_bad-1.0.dist-info/LICENSE",))
    assert subject.packages == ()
    every = [(one.level, one.message) for one in findings(subject) if one.check == "import"]
    assert [level for level, _ in every] == ["ok", "error", "error"]
    assert every[0][1] == "it is keras's; what this plugin's author cannot mend is not looked at"
    assert "has no attribute 'Dance'" in every[1][1]
    assert "declared as a loss, but Dense is a Keras layer" in every[2][1]
    assert {one.check for one in findings(subject) if one.level == "warning"} <= {"requirements", "name"}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes have no groups here")
def test_processes_that_are_started_at_import_are_named_and_ended(tmp_path):
    source = """
        import pathlib, subprocess, sys
        sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
        found = [subprocess.Popen(sleeping).pid, subprocess.Popen(sleeping, start_new_session=True).pid]
        pathlib.Path(__file__).with_name("started").write_text(str(found))
    """
    _, warnings = found(unpack(tmp_path, {"kplug.losses": {"one": "kplug_bad:One"}}, {"kplug_bad.py": source}))
    assert "starts processes (python" in warnings["kplug_bad", "import"]
    for process in json.loads((tmp_path / "started").read_text()):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(process).wait(10)


def test_installed_editable_is_what_the_installer_has_noted(install_plugin, home):
    site = install_plugin("kplug-acme", {"kplug.losses": {"one": "kplug_acme:One"}}, {"kplug_acme.py": ""})
    info = site / "kplug_acme-1.0.dist-info"
    (info / "RECORD").write_text("kplug_acme.py,,\n")
    for noted, files in (("", 1), ('{"dir_info": {}}', 1), ('{"dir_info": {"editable": true}}', 0), ("[]", 1)):
        (info / "direct_url.json").write_text(noted)
        assert len(installed("acme").files) == files, noted


def test_an_installed_plugin_is_looked_at_by_name_unless_it_is_not_used(home, install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"one": "kplug_acme:One"}}, {"kplug_acme.py": ""})
    subject = installed("acme")
    assert (subject.distribution, subject.namespace, subject.packages) == ("kplug-acme", "acme", ("kplug_acme",))
    disable("acme")
    with pytest.raises(PluginError, match="kplug-acme is disabled"):
        installed("acme")
    enable("acme")
    with pytest.raises(UnknownPluginError, match="acne"):
        installed("acne")


def test_a_wheel_is_built_of_a_copy(tmp_path):
    source = write_plugin("acme", ["dataset"], tmp_path)
    before = sorted(source.rglob("*"))
    contents = unpacked_wheel(source, tmp_path / "built")
    assert sorted(source.rglob("*")) == before
    subject = unpacked(contents)
    assert isinstance(subject, Subject)
    assert [one.id for one in subject.components] == ["acme/shapes"]
    assert {"kplug_acme/py.typed", "kplug_acme/shapes.py"} <= set(subject.files)


@pytest.mark.parametrize(
    ("requires", "isolated"), [("setuptools>=77", False), ("setuptools>=9999", True), ("none", True)]
)
def test_what_builds_a_wheel_is_fetched_only_where_it_is_not_here(tmp_path, requires, isolated):
    (tmp_path / "pyproject.toml").write_text(f'[build-system]\nrequires = ["{requires}"]\n')
    command = build_command(tmp_path, tmp_path)
    assert ("--no-build-isolation" not in command) == isolated


def test_a_wheel_that_cannot_be_built_says_why(tmp_path):
    source = write_plugin("acme", ["loss"], tmp_path)
    project = source / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "0.1.0"', "version = 3", 1))
    with pytest.raises(PluginError, match=r"wheel of .*kplug-acme cannot be built[\s\S]*version"):
        check_plugin(str(source), tmp_path / "folder")


def test_a_directory_without_a_project_is_refused(tmp_path, run_kplug):
    with pytest.raises(PluginError, match=r"there is no pyproject\.toml"):
        check_plugin(str(tmp_path), Path("unused"))
    done = run_kplug("plugins", "check", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "is not a plugin's directory" in done.stderr


def test_the_command_prints_a_line_for_each_finding_and_json(run_kplug, tmp_path):
    source = write_plugin("acme", ["dataset"], tmp_path)
    (source / "src" / "kplug_acme" / "py.typed").unlink()
    done = run_kplug("plugins", "check", "kplug-acme", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "ok       acme/shapes  entry point: kplug_acme.shapes:shapes" in lines
    assert "ok       acme/shapes  check_dataset" in lines
    assert any(line.startswith("warning  kplug-acme  wheel: kplug_acme/py.typed is missing") for line in lines)
    assert lines[-1] == "kplug-acme 0.1.0 is fit to publish (errors: 0, warnings: 1)"
    (source / "src" / "kplug_acme" / "shapes.py").write_text("def shapes(): return 3")
    done = run_kplug("plugins", "check", "--json", cwd=source)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["distribution"], report["version"], report["fit"]) == ("kplug-acme", "0.1.0", False)
    assert "It returned int" in next(one["message"] for one in report["findings"] if one["check"] == "trial")


def test_looking_imports_nothing_heavy_into_the_command(modules_after, tmp_path):
    source = write_plugin("acme", ["callback"], tmp_path)
    code = f"""
from kplug.authoring.checking import check_plugin
from pathlib import Path
report = check_plugin({str(source)!r}, Path({str(tmp_path / "folder")!r}))
assert [one for one in report.findings if one.level != "ok"] == []
"""
    assert modules_after(code) & {"keras", "tensorflow", "numpy", "textual", "kplug_acme"} == set()
