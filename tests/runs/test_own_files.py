"""Runs of parts that are in files: copies, their integrity, and whose code is run unasked."""

from __future__ import annotations

import hashlib
import json

import pytest

from kplug.catalog.trust import is_trusted, trust
from kplug.errors import BrokenComponentError, ParameterError, RunStateError, SpecError
from kplug.runs import open_run
from kplug.runs.comparison import differences
from kplug.runs.completion import complete
from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.exchange import export_run, import_run
from kplug.runs.launch import launch, resume
from kplug.runs.own_files import located, reachable, references
from kplug.runs.spec import read_spec_values, spec_from
from kplug.runs.summary import summary_of
from kplug_tui.presets import preset_of

pytestmark = pytest.mark.neutral

SOURCE = """
class Gap:
    "Looks at the gap."

    def __init__(self, width: int = 3):
        pass
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ideas" / "gaps.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


@pytest.fixture
def started(monkeypatch):
    """The directories whose worker would have been started."""
    directories = []
    monkeypatch.setattr("kplug.runs.launch.start_worker", lambda directory, backend: directories.append(directory))
    return directories


def values_with(file):
    return {"model": "augmented_cnn", "dataset": "digits", "metrics": [f"{file}:Gap"]}


def asked(file):
    return complete(values_with(file), ["gap.width=5"])


def test_the_spec_names_the_file_plainly_and_what_it_held(file):
    spec = asked(file)
    assert spec.metrics[0].name == f"{file}:Gap"
    assert spec.metrics[0].parameters == {"width": 5}
    assert spec.files == {str(file): hashlib.sha256(SOURCE.encode()).hexdigest()}


def test_a_wrong_parameter_is_refused_before_anything_starts(file):
    with pytest.raises(ParameterError, match=r"gap\.depth is unknown: metric gap has no parameter 'depth'"):
        complete(values_with(file), ["gap.depth=5"])


def test_a_file_with_errors_is_refused_with_them(file):
    file.write_text("def broken(:")
    with pytest.raises(BrokenComponentError, match=r"^metric .*gaps\.py:Gap is broken: SyntaxError: invalid syntax"):
        asked(file)


def test_the_run_has_a_copy(file, started, tmp_path):
    run = launch(asked(file), tmp_path / "runs")
    assert (run.directory.files / "gaps.py").read_text() == SOURCE
    assert started == [run.directory]
    values = read_spec_values(run.directory.spec)
    assert values["metrics"][0]["name"] == f"{file}:Gap"
    assert located(run.spec, run.directory).metrics[0].name == f"{run.directory.files / 'gaps.py'}:Gap"


def test_a_run_without_files_has_no_folder_for_them(started, tmp_path):
    run = launch(spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), tmp_path / "runs")
    assert not run.directory.files.exists()


def test_two_files_of_one_name_are_refused(file, tmp_path):
    other = tmp_path / "gaps.py"
    other.write_text(SOURCE)
    with pytest.raises(SpecError, match=r"Two files are called gaps\.py: .*Rename one"):
        complete({**values_with(file), "callbacks": [f"{other}:Gap"]})


def test_a_file_that_changes_while_a_run_is_started_leaves_no_run(file, started, tmp_path):
    spec = asked(file)
    file.write_text(SOURCE + "\n")
    with pytest.raises(SpecError, match=r"gaps\.py has changed since its parameters were checked"):
        launch(spec, tmp_path / "runs")
    assert started == []
    assert not (tmp_path / "runs").exists()


def test_a_copy_that_was_changed_is_not_used(file, started, tmp_path):
    run = launch(asked(file), tmp_path / "runs")
    (run.directory.files / "gaps.py").write_text(SOURCE + "\n")
    with pytest.raises(SpecError, match=r"files.gaps\.py has changed since the run began"):
        located(run.spec, run.directory)


def test_parts_of_a_module_are_references_too(file, started, install_plugin, tmp_path):
    install_plugin("ideas", {}, {"ideas/__init__.py": "", "ideas/parts.py": SOURCE})
    spec = complete({"model": "augmented_cnn", "dataset": "digits", "metrics": ["ideas.parts:Gap"]})
    assert spec.files == {}
    assert [one.id for one in references(spec)] == ["ideas.parts:Gap"]


def stopped(run):
    write_atomically(run.directory.status, json.dumps({**run.status, "state": "stopped"}))
    return run


def test_whoever_started_a_run_resumes_it_without_the_original(file, started, tmp_path):
    run = stopped(launch(asked(file), tmp_path / "runs"))
    file.unlink()
    resume(run)
    assert started == [run.directory] * 2


def brought(file, tmp_path, monkeypatch):
    """A run that was made under another home, and comes here as a file."""
    run = stopped(launch(asked(file), tmp_path / "runs"))
    export_run(run, tmp_path / "run.zip")
    monkeypatch.setenv("KPLUG_HOME", str(tmp_path / "other home"))
    file.write_text(SOURCE + "# newer")
    return open_run(import_run(tmp_path / "run.zip", tmp_path / "other runs").id, tmp_path / "other runs")


def test_somebody_elses_run_does_not_run_its_code_until_it_was_looked_at(file, started, tmp_path, monkeypatch):
    run = brought(file, tmp_path, monkeypatch)
    copy = run.directory.files / "gaps.py"
    with pytest.raises(RunStateError) as caught:
        resume(run)
    assert f"look at {copy}, and if you trust it: kplug plugins trust {copy}" in str(caught.value)
    assert len(started) == 1
    trust(str(copy))
    resume(run)
    assert started[1] == RunDirectory(run.directory.path)


def test_a_module_that_somebody_elses_run_names_is_not_trusted(file, started, install_plugin, tmp_path, monkeypatch):
    install_plugin("ideas", {}, {"ideas/__init__.py": "", "ideas/parts.py": SOURCE})
    spec = complete({"model": "augmented_cnn", "dataset": "digits", "metrics": ["ideas.parts:Gap"]})
    run = stopped(launch(spec, tmp_path / "runs"))
    resume(run)
    monkeypatch.setenv("KPLUG_HOME", str(tmp_path / "other home"))
    with pytest.raises(RunStateError, match=r"look at ideas\.parts, .*: kplug plugins trust ideas\.parts:Gap$"):
        resume(stopped(run))
    trust("ideas.parts:Gap")
    resume(stopped(run))
    assert len(started) == 3


def test_runs_of_other_contents_of_a_file_differ(file, started, tmp_path):
    first = launch(asked(file), tmp_path / "runs")
    file.write_text(SOURCE + "# newer\n")
    second = launch(asked(file), tmp_path / "runs")
    digests = [run.spec.files[str(file)][:12] for run in (first, second)]
    assert differences([summary_of(first), summary_of(second)]) == {"files": [f"gaps.py {one}" for one in digests]}


def test_a_clone_takes_the_copy_of_a_file_that_has_gone_and_else_the_file(file, started, tmp_path):
    run = launch(asked(file), tmp_path / "runs")
    file.write_text(SOURCE + "# newer\n")
    assert reachable(run.spec, run.directory) == run.spec
    file.unlink()
    values = reachable(run.spec, run.directory).model_dump()
    clone = launch(complete(values), tmp_path / "runs")
    assert (clone.directory.files / "gaps.py").read_text() == SOURCE
    assert clone.spec.metrics[0].name == f"{run.directory.files / 'gaps.py'}:Gap"


def test_a_clone_of_somebody_elses_run_does_not_run_its_code_unseen(file, started, tmp_path, monkeypatch):
    run = brought(file, tmp_path, monkeypatch)
    with pytest.raises(RunStateError, match=f"brings code along that was not run here before: look at {file},"):
        reachable(run.spec, run.directory)
    trust(str(file))
    assert reachable(run.spec, run.directory) == run.spec
    file.unlink()
    copy = run.directory.files / "gaps.py"
    with pytest.raises(RunStateError, match=f"brings code along that was not run here before: look at {copy},"):
        reachable(run.spec, run.directory)


def foreign(file, tmp_path, monkeypatch, **changes):
    """A run of somebody else's whose spec says what kplug would not have written."""
    run = brought(file, tmp_path, monkeypatch)
    values = {**read_spec_values(run.directory.spec), **changes}
    run.directory.spec.write_text(json.dumps(values))
    return open_run(run.id, run.directory.path.parent)


def test_a_file_that_a_spec_keeps_silent_about_is_not_run_for_a_clone(file, started, tmp_path, monkeypatch):
    run = foreign(file, tmp_path, monkeypatch, files={}, model={"name": f"{file}:Gap"}, metrics=[])
    with pytest.raises(RunStateError, match=f"look at {file},"):
        reachable(run.spec, run.directory)
    with pytest.raises(RunStateError, match=f"look at {file},"):
        preset_of(run.directory)


def test_a_module_is_not_run_for_a_clone_of_somebody_elses_run(file, started, install_plugin, tmp_path, monkeypatch):
    install_plugin("ideas", {}, {"ideas/__init__.py": "", "ideas/parts.py": SOURCE})
    run = foreign(file, tmp_path, monkeypatch, files={}, metrics=["ideas.parts:Gap"])
    with pytest.raises(RunStateError, match=r"kplug plugins trust ideas\.parts:Gap"):
        reachable(run.spec, run.directory)
    with pytest.raises(RunStateError, match=r"kplug plugins trust ideas\.parts:Gap"):
        preset_of(run.directory)


@pytest.mark.parametrize("place", ["~/gaps.py", "gaps.py", "../gaps.py"])
def test_a_runs_spec_names_files_by_whole_paths(file, started, tmp_path, monkeypatch, place):
    monkeypatch.chdir(file.parent)
    run = foreign(file, tmp_path, monkeypatch, files={}, metrics=[f"{place}:Gap"])
    for read in (reachable, located, references):
        with pytest.raises(SpecError, match=r"gaps\.py:Gap, and kplug writes whole paths"):
            read(run.spec, run.directory)


def test_starting_a_clone_trusts_nothing_that_the_other_run_brought(file, started, tmp_path, monkeypatch):
    run = brought(file, tmp_path, monkeypatch)
    clone = launch(complete(run.spec.model_dump()), run.directory.path.parent, parent=run.id)
    assert not is_trusted(references(clone.spec)[0])
    with pytest.raises(RunStateError, match="brings code along"):
        reachable(clone.spec, clone.directory)


def test_starting_a_clone_of_ones_own_run_trusts_the_file_as_it_is_now(file, started, tmp_path):
    run = launch(asked(file), tmp_path / "runs")
    file.write_text(SOURCE + "# newer\n")
    clone = launch(complete(reachable(run.spec, run.directory).model_dump()), tmp_path / "runs", parent=run.id)
    assert is_trusted(references(clone.spec)[0])
