"""Parts named by where they are: `path/to/file.py:Object` and `package.module:Object`."""

import re
import sys

import pytest

import kplug
from kplug.catalog.description import describe, known
from kplug.catalog.loading import load
from kplug.catalog.resolution import resolve
from kplug.errors import BrokenComponentError, UnknownComponentError
from kplug.runs.completion import complete

pytestmark = pytest.mark.neutral

SOURCE = '''
"""An idea."""

class WaveletLoss:
    """Compares wavelet coefficients."""

    def __init__(self, levels: int = 3):
        self.levels = levels

class Outer:
    class Inner:
        pass
'''


@pytest.fixture
def file(tmp_path, home):
    path = tmp_path / "my ideas" / "wavelets.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


def test_an_object_in_a_file_is_a_component(file):
    component = resolve(f"{file}:WaveletLoss", "loss")
    assert component.id == f"{file}:WaveletLoss"
    assert (component.kind, component.name, component.namespace) == ("loss", "wavelet_loss", "wavelets.py")
    assert kplug.get(component.id, "loss")(levels=2).levels == 2


def test_a_relative_path_is_from_the_working_directory(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert resolve("wavelets.py:WaveletLoss", "loss").id == f"{file}:WaveletLoss"
    assert resolve("../my ideas/wavelets.py:WaveletLoss", "loss").id == f"{file}:WaveletLoss"


def test_a_nested_object(file):
    assert kplug.get(f"{file}:Outer.Inner", "layer").__qualname__ == "Outer.Inner"


def test_it_is_described_by_a_child_process(file):
    before = set(sys.modules)
    description = describe(resolve(f"{file}:WaveletLoss", "loss"))
    assert description.summary == "Compares wavelet coefficients."
    assert [(one.name, one.default) for one in description.parameters] == [("levels", 3)]
    assert not [name for name in set(sys.modules) - before if name.startswith("kplug_file")]


def test_the_description_is_kept_until_the_file_changes(file, monkeypatch):
    first = describe(resolve(f"{file}:WaveletLoss", "loss"))
    assert known([first.component]) == {first.component: first}
    file.write_text(SOURCE.replace("levels: int = 3", "levels: int = 4"))
    changed = resolve(f"{file}:WaveletLoss", "loss")
    assert known([changed]) == {}
    assert describe(changed).parameters[0].default == 4


def test_importing_leaves_nothing_beside_the_file(file):
    kplug.get(f"{file}:WaveletLoss", "loss")
    assert [path.name for path in file.parent.iterdir()] == ["wavelets.py"]


def test_a_compiled_copy_beside_the_file_is_not_run(file, tmp_path):
    import os
    import py_compile

    harm = tmp_path / "harm"
    file.write_text(f"open({str(harm)!r}, 'w')#".ljust(len(SOURCE)))
    py_compile.compile(str(file))
    stat = file.stat()
    file.write_text(SOURCE)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    kplug.get(f"{file}:WaveletLoss", "loss")
    assert not harm.exists()


def test_the_same_content_is_one_module_and_other_content_another(file, tmp_path):
    first = kplug.get(f"{file}:WaveletLoss", "loss")
    copy = tmp_path / "wavelets.py"
    copy.write_text(SOURCE)
    assert kplug.get(f"{copy}:WaveletLoss", "loss") is first
    copy.write_text(SOURCE + "\n")
    assert kplug.get(f"{copy}:WaveletLoss", "loss") is not first


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import neighbour_file", "No module named 'neighbour_file'"),
        ("WaveletLoss = 3", "a component must be a class or a function, not int"),
        ("", "has no attribute 'WaveletLoss'"),
        ("import os; os._exit(7)", "importing it ended the process with exit code 7"),
        ("\0", "null bytes"),
        ("text = '\udcff'", "utf-8"),
    ],
)
def test_a_file_with_errors_is_broken_and_says_which(file, source, error):
    file.write_bytes(source.encode("utf-8", "surrogateescape"))
    description = describe(resolve(f"{file}:WaveletLoss", "loss"))
    assert description.broken
    assert error in description.error


BESIDE = (
    r"it imports {}, beside it, and a run keeps a copy of the one file only\. Put what it needs into the file, or make "
    r"a package of them: kplug plugins new NAME$"
)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("import neighbour", "neighbour.py"),
        ("from neighbour import x as y", "neighbour.py"),
        ("import importlib; importlib.import_module('neighbour')", "neighbour.py"),
        ("def later():\n    import neighbour", "neighbour.py"),
        ("import folder.part, neighbour", "folder, neighbour.py"),
        ("try:\n    import neighbour\nexcept ImportError:\n    pass", "neighbour.py"),
    ],
)
def test_a_file_that_imports_others_beside_it_is_refused_before_a_run_starts(file, monkeypatch, source, named):
    (file.parent / "neighbour.py").write_text("x = 1")
    (file.parent / "folder").mkdir()
    (file.parent / "folder" / "part.py").write_text("")
    file.write_text(f"{source}\n{SOURCE}")
    monkeypatch.syspath_prepend(str(file.parent))
    description = describe(resolve(f"{file}:WaveletLoss", "loss"))
    assert description.broken
    assert re.fullmatch("ImportError: " + BESIDE.format(re.escape(named)), description.error)
    with pytest.raises(BrokenComponentError, match=BESIDE.format(re.escape(named))):
        complete({"model": "vae", "dataset": "digits", "metrics": [f"{file}:WaveletLoss"]})


def test_a_file_whose_neighbour_is_not_found_says_so_too(file):
    (file.parent / "neighbour.py").write_text("")
    file.write_text(f"import neighbour\n{SOURCE}")
    error = describe(resolve(f"{file}:WaveletLoss", "loss")).error
    assert re.fullmatch("ImportError: " + BESIDE.format("neighbour.py"), error)


@pytest.mark.parametrize(
    "source",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import neighbour",
        "try:\n    import not_there_at_all\nexcept ImportError:\n    pass",
        "import json, pydantic",
    ],
)
def test_a_file_that_stands_alone_may_lie_among_others(file, monkeypatch, source):
    for name in ("neighbour", "json"):
        (file.parent / f"{name}.py").write_text("")
    file.write_text(f"{source}\n{SOURCE}")
    monkeypatch.setattr("sys.path", [*sys.path, str(file.parent)])
    assert describe(resolve(f"{file}:WaveletLoss", "loss")).status == "ok"


def test_a_module_among_the_installed_ones_may_import_them(home, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "neighbour.py").write_text("")
    (site / "ideas.py").write_text(f"import neighbour\n{SOURCE}")
    monkeypatch.syspath_prepend(str(site))
    assert describe(resolve("ideas:WaveletLoss", "loss")).status == "ok"


def test_a_project_that_is_installed_may_lie_beside_a_file(install_plugin, home, monkeypatch):
    site = install_plugin("ideas", {}, {"ideas/__init__.py": ""})
    (site / "checkout").mkdir()
    (site / "ideas").rename(site / "checkout" / "ideas")
    (site / "checkout" / "wavelets.py").write_text(f"import ideas\n{SOURCE}")
    monkeypatch.syspath_prepend(str(site / "checkout"))
    assert describe(resolve(f"{site / 'checkout' / 'wavelets.py'}:WaveletLoss", "loss")).status == "ok"


def test_getting_from_a_file_with_errors_names_it(file):
    file.write_text("def broken(:")
    with pytest.raises(BrokenComponentError, match=r"^loss .*wavelets\.py:WaveletLoss cannot be imported: SyntaxError"):
        kplug.get(f"{file}:WaveletLoss", "loss")


def test_a_file_that_ends_the_process_is_broken_and_ctrl_c_is_not(file):
    file.write_text("import sys; sys.exit(3)")
    with pytest.raises(BrokenComponentError, match=r"cannot be imported: SystemExit: 3$"):
        kplug.get(f"{file}:WaveletLoss", "loss")
    file.write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        kplug.get(f"{file}:WaveletLoss", "loss")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:Net", r"There is no file .*nowhere\.py\."),
        ("folder.py:Net", r"folder\.py cannot be read: Is a directory"),
        ("wavelets.py:", "not of the form"),
        (":Net", "not of the form"),
        ("wavelets.py:not valid", "not of the form"),
        ("parts/wavelets.txt:Net", r"neither a \.py file nor a module"),
        ("no_such_package.module:Net", r"No package 'no_such_package' is installed.*no_such_package/module\.py:Net"),
    ],
)
def test_what_names_nothing_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UnknownComponentError, match=message):
        resolve(name, "model")


def test_without_a_kind_it_is_asked_for(file):
    with pytest.raises(UnknownComponentError, match=r"Of which kind is .*Say one of: loss, layer"):
        resolve(f"{file}:WaveletLoss")


def test_an_object_in_an_installed_module(install_plugin, home):
    install_plugin("ideas", {}, {"ideas/__init__.py": "", "ideas/parts.py": SOURCE}, version="2.0")
    component = resolve("ideas.parts:WaveletLoss", "loss")
    assert (component.id, component.version) == ("ideas.parts:WaveletLoss", "2.0")
    assert "ideas" not in sys.modules
    assert describe(component).summary == "Compares wavelet coefficients."
    assert "ideas" not in sys.modules
    assert kplug.get("ideas.parts:WaveletLoss", "loss")().levels == 3


def test_a_module_that_is_one_file_is_that_file(install_plugin, home):
    site = install_plugin("ideas", {}, {"ideas.py": SOURCE})
    assert resolve("ideas:WaveletLoss", "loss").id == f"{site / 'ideas.py'}:WaveletLoss"


def test_a_file_that_changes_between_looking_and_loading_is_not_run(file, tmp_path):
    component = resolve(f"{file}:WaveletLoss", "loss")
    file.write_text(f"open({str(tmp_path / 'harm')!r}, 'w')")
    with pytest.raises(BrokenComponentError, match=r"wavelets\.py has changed since it was looked at"):
        load(component)
    assert not (tmp_path / "harm").exists()
