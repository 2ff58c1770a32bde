"""Descriptions: learned in a child process, kept on disk, and harmless whatever a plugin does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import kplug
from kplug import child_process
from kplug.catalog import child
from kplug.catalog.description import describe, describe_all, known, require
from kplug.catalog.discovery import catalog
from kplug.catalog.resolution import resolve
from kplug.errors import BrokenComponentError, KplugError

WAVELET = '''
    """Losses."""
    from typing import Annotated, Literal

    from pydantic import Field

    import kplug


    @kplug.component(tasks=["image-classification"], references=["Haar (1910)"])
    class WaveletLoss:
        """Compares wavelet coefficients.

        The longer story.

        Args:
            levels: How many levels, at least 1.
            family: Which wavelets.
            weights: One weight per level.
        """

        def __init__(
            self,
            levels: Annotated[int, Field(ge=1)],
            family: Literal["haar", "db2"] = "haar",
            weights: list[float] | None = None,
            transform=None,
            gain=0.5,
            **kwargs,
        ):
            pass


    def wavelet_distance(y_true, y_pred, power: float = 2.0):
        """Distance between wavelet coefficients."""
'''


@pytest.fixture
def acme(install_plugin, home):
    return install_plugin(
        "kplug-acme",
        {
            "kplug.losses": {
                "wavelet": "kplug_acme.losses:WaveletLoss",
                "wavelet_distance": "kplug_acme.losses:wavelet_distance",
            }
        },
        {"kplug_acme/__init__.py": "", "kplug_acme/losses.py": WAVELET},
    )


def test_a_class_is_described_by_its_signature_annotations_and_docstring(acme):
    description = describe(resolve("acme/wavelet"))
    assert description.status == "ok"
    assert description.summary == "Compares wavelet coefficients."
    assert "The longer story." in description.documentation
    assert description.tasks == ("image-classification",)
    assert description.references == ("Haar (1910)",)
    assert description.source.startswith(str(acme / "kplug_acme" / "losses.py"))
    shown = [(one.name, one.type, one.required, one.default, one.help) for one in description.parameters]
    assert shown == [
        ("levels", "int >= 1", True, None, "How many levels, at least 1."),
        ("family", '"haar" or "db2"', False, "haar", "Which wavelets."),
        ("weights", "list of float or null", False, None, "One weight per level."),
        ("transform", "any JSON value", False, None, ""),
        ("gain", "float", False, 0.5, ""),
    ]


def test_a_loss_functions_data_are_no_parameters(acme):
    assert [one.name for one in describe(resolve("wavelet_distance")).parameters] == ["power"]


def test_describing_imports_nothing_into_this_process(acme):
    describe(resolve("acme/wavelet"))
    assert "kplug_acme" not in sys.modules


def test_descriptions_are_cached(acme, monkeypatch):
    first = describe(resolve("acme/wavelet"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a child was started"))
    assert describe(resolve("acme/wavelet")) == first


def test_a_changed_source_file_is_described_anew(acme):
    describe(resolve("acme/wavelet"))
    source = acme / "kplug_acme" / "losses.py"
    source.write_text(source.read_text().replace("Compares wavelet coefficients.", "Something else."))
    os.utime(source, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert known([resolve("acme/wavelet")]) == {}
    assert describe(resolve("acme/wavelet")).summary == "Something else."


def test_a_changed_version_is_described_anew(acme):
    describe(resolve("acme/wavelet"))
    info = acme / "kplug_acme-1.0.dist-info"
    metadata = (info / "METADATA").read_text().replace("1.0", "1.1")
    (info / "METADATA").write_text(metadata)
    catalog.cache_clear()
    assert known([resolve("acme/wavelet")]) == {}
    assert describe(resolve("acme/wavelet")).component.version == "1.1"


def test_an_editors_lock_beside_the_source_does_no_harm(acme):
    (acme / "kplug_acme" / ".#losses.py").symlink_to("somebody@somewhere.123")
    (acme / "kplug_acme" / "gone.py").symlink_to("nowhere")
    (acme / "kplug_acme" / "loop").symlink_to("loop")
    first = describe(resolve("acme/wavelet"))
    assert first.status == "ok"
    assert known([first.component]) == {first.component: first}


def test_what_changes_while_it_is_described_is_described_anew(acme, monkeypatch):
    source = acme / "kplug_acme" / "losses.py"
    inspect = child.inspect_in_child

    def edited_meanwhile(siblings):
        records = inspect(siblings)
        source.write_text(source.read_text() + "# edited\n")
        return records

    monkeypatch.setattr(child, "inspect_in_child", edited_meanwhile)
    assert describe(resolve("acme/wavelet")).status == "ok"
    assert known([resolve("acme/wavelet")]) == {}


def test_a_description_holds_for_one_backend(acme, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    component = describe(resolve("acme/wavelet")).component
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert known([component]) == {}
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(acme))
    assert list(known([component])) == [component]
    (acme / "keras.json").write_text('{"backend": "torch"}')
    assert known([component]) == {}


def test_a_description_holds_for_one_version_of_keras(acme, install_plugin):
    component = describe(resolve("acme/wavelet")).component
    install_plugin("unrelated", {}, version="9.9")
    assert list(known([component])) == [component]
    install_plugin("keras", {}, version="9.9")
    assert known([component]) == {}


def test_a_description_holds_for_one_version_of_kplug(acme, monkeypatch):
    component = describe(resolve("acme/wavelet")).component
    monkeypatch.setattr(kplug, "__version__", "9.9")
    assert known([component]) == {}


@pytest.mark.parametrize("part", ["prefix", "version"])
def test_two_environments_that_share_a_cache_keep_their_own_descriptions(acme, monkeypatch, part):
    here = {getattr(sys, part): describe(resolve("acme/wavelet"))}
    monkeypatch.setattr(sys, part, f"{getattr(sys, part)} of another")
    assert known([resolve("acme/wavelet")]) == {}
    here[getattr(sys, part)] = describe(resolve("acme/wavelet"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a child was started"))
    for value, description in here.items():
        monkeypatch.setattr(sys, part, value)
        assert describe(resolve("acme/wavelet")) == description


def test_two_places_with_a_plugin_of_one_name_and_version_keep_their_own_descriptions(acme, tmp_path, monkeypatch):
    shutil.copytree(acme, tmp_path / "elsewhere")
    source = tmp_path / "elsewhere" / "kplug_acme" / "losses.py"
    source.write_text(source.read_text().replace("Compares wavelet coefficients.", "Something else."))
    summaries = {str(tmp_path / "elsewhere"): "Something else.", str(acme): "Compares wavelet coefficients."}
    for place, summary in summaries.items():
        monkeypatch.setattr(sys, "path", [place, *sys.path[1:]])
        assert describe(resolve("acme/wavelet")).summary == summary
    for place, summary in summaries.items():
        monkeypatch.setattr(sys, "path", [place, *sys.path[1:]])
        assert known([resolve("acme/wavelet")])[resolve("acme/wavelet")].summary == summary


def test_a_damaged_cache_is_done_without(acme, home):
    describe(resolve("acme/wavelet"))
    for file in (home / "cache" / "descriptions").iterdir():
        file.write_text("{ not json")
    assert describe(resolve("acme/wavelet")).status == "ok"


def test_a_cache_that_cannot_be_written_is_done_without(acme, home):
    home.mkdir()
    (home / "cache").write_text("a file where a folder should be")
    assert describe(resolve("acme/wavelet")).status == "ok"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(7)", "importing it ended the process with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal SIGSEGV"),
        ("def broken(:", "SyntaxError"),
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("part = 3", "a component must be a class or a function, not int"),
        ("", "has no attribute 'part'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_a_broken_plugin_is_named_with_its_error(install_plugin, home, source, error):
    install_plugin("bad", {"kplug.losses": {"part": "bad_plugin:part"}}, {"bad_plugin.py": source})
    description = describe(resolve("bad/part"))
    assert description.broken
    assert error in description.error
    with pytest.raises(BrokenComponentError, match=r"loss bad/part \(bad 1\.0\) is broken"):
        require(resolve("bad/part"))


def test_a_hanging_plugin_is_given_up_after_the_time_limit(install_plugin, home, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "1.5")
    install_plugin(
        "bad", {"kplug.losses": {"part": "bad_plugin:part"}}, {"bad_plugin.py": "import time; time.sleep(600)"}
    )
    description = describe(resolve("bad/part"))
    assert "took longer than 1.5 s" in description.error


def test_an_inspection_that_is_ended_is_not_remembered(install_plugin, home):
    install_plugin(
        "bad", {"kplug.losses": {"part": "bad_plugin:part"}}, {"bad_plugin.py": "import time; time.sleep(600)"}
    )
    with ThreadPoolExecutor(1) as pool:
        described = pool.submit(describe, resolve("bad/part"))
        deadline = time.monotonic() + 30
        while not child_process._running and time.monotonic() < deadline:
            time.sleep(0.01)
        child_process.end_children()
        with pytest.raises(KplugError, match="was ended"):
            described.result(30)
    assert known([resolve("bad/part")]) == {}


def test_a_printing_plugin_is_described_all_the_same(install_plugin, home, capfd):
    source = """
        import os, sys
        print('{"kind": "loss", "name": "part", "status": "broken"}')
        os.write(1, b"noise")
        print("noise", file=sys.stderr)
        def part(y_true, y_pred):
            "Fine."
    """
    install_plugin("loud", {"kplug.losses": {"part": "loud_plugin:part"}}, {"loud_plugin.py": source})
    assert describe(resolve("loud/part")).summary == "Fine."
    assert "noise" not in "".join(capfd.readouterr())


def test_one_bad_plugin_costs_the_others_nothing(install_plugin, acme):
    install_plugin("bad", {"kplug.losses": {"part": "bad_plugin:part"}}, {"bad_plugin.py": "import os; os._exit(7)"})
    descriptions = describe_all([resolve("acme/wavelet"), resolve("bad/part")])
    assert [description.status for description in descriptions.values()] == ["ok", "broken"]


def test_a_broken_plugin_gets_a_new_chance_when_something_is_installed(install_plugin, home):
    install_plugin("bad", {"kplug.losses": {"part": "bad_plugin:part"}}, {"bad_plugin.py": "from friend import part"})
    assert describe(resolve("bad/part")).broken
    install_plugin("friend", {}, {"friend.py": "def part(y_true, y_pred): 'Fine.'"})
    assert describe(resolve("bad/part")).status == "ok"


def test_a_plain_keras_class_needs_no_decorator():
    description = describe(resolve("adam", "optimizer"))
    parameters = {one.name: one for one in description.parameters}
    assert parameters["learning_rate"].default == 0.001
    assert parameters["learning_rate"].type == "float"
    assert description.tasks == ()


def test_keras_layers_in_a_signature_can_only_be_set_from_python():
    parameters = {one.name: one for one in describe(resolve("vae", "model")).parameters}
    assert parameters["encoder"].type == "a Python object"
    assert parameters["latent_dim"].type == "int > 0"
    assert parameters["units"].type == "list of int > 0 or null"


def test_a_plugin_that_the_environment_broke_is_tried_again(install_plugin, home, monkeypatch):
    source = """
        import os
        if os.environ.get("KPLUG_TEST_SPOILER"):
            raise ImportError("no such backend")
        def part(y_true, y_pred):
            "Fine."
    """
    install_plugin("moody", {"kplug.losses": {"part": "moody_plugin:part"}}, {"moody_plugin.py": source})
    monkeypatch.setenv("KPLUG_TEST_SPOILER", "1")
    assert describe(resolve("moody/part")).broken
    monkeypatch.delenv("KPLUG_TEST_SPOILER")
    assert describe(resolve("moody/part")).status == "ok"


def test_ctrl_c_ends_the_children(install_plugin, home, tmp_path):
    begun = tmp_path / "begun"
    source = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    install_plugin("slow", {"kplug.losses": {"part": "slow_plugin:part"}}, {"slow_plugin.py": source})
    # A test run in the background is begun with Ctrl-C ignored, and so would be its children.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from kplug.catalog.description import describe; from kplug.catalog.resolution import resolve; "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "describe(resolve('slow/part'))"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said
