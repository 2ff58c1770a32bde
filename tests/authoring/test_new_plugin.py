"""New plugins: their names, what is written, and what is refused before anything is."""

import subprocess
import sys
import tomllib
from importlib.util import find_spec

import pytest

from kplug.authoring.names import plugin_name
from kplug.authoring.new_plugin import next_commands, write_plugin
from kplug.authoring.samples import SAMPLES
from kplug.errors import PluginError, UnknownComponentError

LONGEST = "a" + "-bcdefghij" * 3 + "k"


@pytest.mark.parametrize("typed", ["acme-vision", "kplug-acme-vision"])
def test_a_plugin_has_three_names(typed):
    names = plugin_name(typed)
    assert (names.namespace, names.distribution, names.package) == (
        "acme-vision",
        "kplug-acme-vision",
        "kplug_acme_vision",
    )


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("AcmeVision", "new acme-vision"),
        ("acme_vision", "new acme-vision"),
        ("acme--vision", "new acme-vision"),
        ("3d", "new d"),
        ("kplug-", "new acme"),
        ("kplug", "new acme"),
        ("kplug-kplug", "new acme"),
        ("script", "new acme"),
        ("Script", "new acme"),
        ("kplug-script", "new acme"),
        ("tui", "new acme"),
        ("kplug-TUI", "new acme"),
        ("", "new acme"),
        ("../acme", "new acme"),
        ("acme/vision", "new acme-vision"),
        ("ä", "new acme"),
        ("x" * 33, f"new {'x' * 32}"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(tmp_path, typed, remedy):
    with pytest.raises(PluginError, match=remedy):
        write_plugin(typed, ["loss"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_kind_is_written_at_once(tmp_path):
    directory = write_plugin("acme", list(SAMPLES), tmp_path)
    assert directory == tmp_path / "kplug-acme"
    assert [path.name for path in tmp_path.iterdir()] == ["kplug-acme"]
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    modules = ["generalized_cross_entropy", "snake", "selective_accuracy", "conv_mixer", "shapes", "stop_at_target"]
    modules.append("under_command")
    assert files == {
        *(".gitignore", ".github/workflows/ci.yml", "LICENSE", "README.md", "pyproject.toml"),
        *("src/kplug_acme/__init__.py", "src/kplug_acme/py.typed"),
        *(f"src/kplug_acme/{name}.py" for name in modules),
        *(f"tests/test_{name}.py" for name in modules),
    }
    project = tomllib.loads((directory / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {
        "kplug.losses": {"generalized_cross_entropy": "kplug_acme.generalized_cross_entropy:GeneralizedCrossEntropy"},
        "kplug.layers": {"snake": "kplug_acme.snake:Snake"},
        "kplug.metrics": {"selective_accuracy": "kplug_acme.selective_accuracy:SelectiveAccuracy"},
        "kplug.models": {"conv_mixer": "kplug_acme.conv_mixer:ConvMixer"},
        "kplug.datasets": {"shapes": "kplug_acme.shapes:shapes"},
        "kplug.callbacks": {"stop_at_target": "kplug_acme.stop_at_target:StopAtTarget"},
        "kplug.launchers": {"under_command": "kplug_acme.under_command:UnderCommand"},
    }
    assert "kplug>=0.1.0" in project["dependencies"]


@pytest.mark.parametrize("name", ["a", "acme-vision", LONGEST])
@pytest.mark.parametrize("kinds", [[kind] for kind in SAMPLES] + [list(SAMPLES)], ids="+".join)
def test_no_word_of_the_templates_is_left_and_ruff_has_nothing_to_say(tmp_path, name, kinds):
    directory = write_plugin(name, kinds, tmp_path)
    for path in directory.rglob("*"):
        text = path.read_text() if path.is_file() else ""
        left = [word for word in ("NAME", "ENTRY_POINTS", "COMPONENT_ROWS", "EXAMPLES", "VERSION") if word in text]
        assert left == [], path
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "kplug-acme").mkdir()
    with pytest.raises(PluginError, match="kplug-acme exists already"):
        write_plugin("acme", ["loss"], tmp_path)
    assert list((tmp_path / "kplug-acme").iterdir()) == []
    with pytest.raises(PluginError, match=r"There is no directory .*nowhere.*--path"):
        write_plugin("acme", ["loss"], tmp_path / "nowhere")


def test_kinds_without_a_template_and_words_that_are_no_kind_are_refused(tmp_path):
    with pytest.raises(PluginError, match=r"no template for the kind optimizer. Choose one of: loss, layer"):
        write_plugin("acme", ["loss", "optimizers"], tmp_path)
    with pytest.raises(UnknownComponentError, match="'lose'"):
        write_plugin("acme", ["lose"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    from kplug.authoring import new_plugin

    written = iter(range(3))

    def files(names, samples):
        for number in written:
            yield f"{number}.txt", "text"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(new_plugin, "_files", files)
    with pytest.raises(PluginError, match=r"No space left on device.*Nothing was left behind"):
        write_plugin("acme", ["loss"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_commands_install_show_and_use_it():
    assert next_commands("kplug-acme", ["metrics"], "there/kplug-acme", "uv pip") == [
        "uv pip install -e there/kplug-acme",
        "kplug show acme/selective_accuracy",
        "kplug train augmented_cnn --data digits --epochs 5 --metric acme/selective_accuracy",
    ]
    assert next_commands("acme", ["layer", "model"], "kplug-acme", "pip")[2].startswith("kplug train acme/conv_mixer")


def test_the_command_writes_it_and_says_what_comes_next(run_kplug, tmp_path):
    done = run_kplug("plugins", "new", "acme", "--kind", "layer", "--kind", "loss", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "kplug-acme: 11 files. Next:"
    assert lines[2:] == [
        "  pip install -e kplug-acme" if find_spec("pip") else "  uv pip install -e kplug-acme",
        "  kplug show acme/snake",
        "  kplug train augmented_cnn --data digits --epochs 5 --loss acme/generalized_cross_entropy --set loss.q=0.5",
    ]
    assert "kplug plugins check kplug-acme" in done.stderr
    again = run_kplug("plugins", "new", "acme", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already" in again.stderr


def test_a_new_plugin_has_a_loss_where_nothing_is_said(run_kplug, tmp_path):
    done = run_kplug("plugins", "new", "acme", "--path", str(tmp_path))
    assert (tmp_path / "kplug-acme" / "src" / "kplug_acme" / "generalized_cross_entropy.py").exists()
    assert f"pip install -e {tmp_path / 'kplug-acme'}" in done.stdout
