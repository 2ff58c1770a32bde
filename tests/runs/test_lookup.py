"""Which run a person means."""

import pytest

from kplug.errors import RunNotFoundError
from kplug.runs import index, open_run
from kplug.runs.directory import RunDirectory, create_run_directory
from kplug.runs.labels import rename
from kplug.runs.spec import spec_from


def make(root, name=None):
    return create_run_directory(root, spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "name": name}), {})


@pytest.fixture
def no_index(monkeypatch):
    """Refuse to ask the index: what is left costs one look, however many runs there are."""

    def refused(*_, **__):
        raise AssertionError("the index was asked")

    monkeypatch.setattr(index, "names", refused)


def test_an_id_is_found_without_the_index(tmp_path, no_index):
    directory = make(tmp_path)
    assert open_run(directory.id, tmp_path).id == directory.id


def test_an_id_wins_over_a_name_and_a_name_over_a_beginning(tmp_path):
    first, second, third = make(tmp_path), make(tmp_path), make(tmp_path)
    rename(second, first.id)
    assert open_run(first.id, tmp_path).id == first.id
    rename(third, first.id[:-1])
    assert open_run(first.id[:-1], tmp_path).id == third.id


def test_a_directory_of_any_name_is_a_run(tmp_path):
    directory = make(tmp_path)
    directory.path.rename(tmp_path / "Größe 1.5 (copy)")
    assert open_run("Größe 1.5 (copy)", tmp_path).id == "Größe 1.5 (copy)"
    assert open_run("Größe", tmp_path).id == "Größe 1.5 (copy)"


@pytest.mark.parametrize(
    "key",
    [
        "x" * 10_000,
        "",
        ".",
        "..",
        "../outside",
        "../outside/x",
        "./x",
        "x/",
        "/",
        "~",
        ".trash",
        "a\0b",
        "\n",
        "\x1b[2J",
        "\udcff",
    ],
    ids=ascii,
)
def test_no_key_leads_out_of_the_runs_directory(tmp_path, key):
    outside = make(tmp_path / "outside")
    outside.path.rename(tmp_path / "outside" / "x")
    (tmp_path / "outside" / "spec.json").write_bytes(RunDirectory(tmp_path / "outside" / "x").spec.read_bytes())
    root = tmp_path / "runs"
    make(root)
    with pytest.raises(RunNotFoundError, match="There is no run") as refusal:
        open_run(key, root)
    assert len(str(refusal.value)) < 1000


def test_an_absolute_path_is_no_key(tmp_path):
    outside = make(tmp_path / "outside")
    make(tmp_path / "runs")
    with pytest.raises(RunNotFoundError, match="There is no run"):
        open_run(str(outside.path), tmp_path / "runs")
