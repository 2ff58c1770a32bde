"""Names, tags and notes."""

import subprocess
import sys
import time

import pytest

from kplug.errors import RunNotFoundError, RunStateError, SpecError
from kplug.runs import open_run
from kplug.runs.directory import create_run_directory
from kplug.runs.index import summaries
from kplug.runs.labels import Labels, annotate, read_labels, rename, tag
from kplug.runs.query import matching
from kplug.runs.run import Run
from kplug.runs.spec import spec_from
from kplug.runs.trash import delete, deleted, empty, restore


@pytest.fixture
def directory(tmp_path):
    values = {"model": "kplug/vae", "dataset": "kplug/digits", "name": "asked"}
    made = create_run_directory(tmp_path, spec_from(values), {})
    made.status.write_text('{"state": "completed"}')
    return made


def test_there_are_none_at_first(directory):
    assert read_labels(directory) == Labels()


def test_a_run_is_found_by_its_labels(directory, tmp_path):
    assert open_run("asked", tmp_path).id == directory.id
    rename(directory, " better [bold]name[/bold] ")
    tag(directory, ["best", "paper"])
    tag(directory, ["second"], remove=["paper", "unknown"])
    annotate(directory, "two lines\nof text")
    assert read_labels(directory) == Labels("better [bold]name[/bold]", ("best", "second"), "two lines\nof text")
    assert open_run("better [bold]name[/bold]", tmp_path).id == directory.id
    with pytest.raises(RunNotFoundError):
        open_run("asked", tmp_path)
    (found,) = summaries(tmp_path)
    assert (found["name"], found["tags"]) == ("better [bold]name[/bold]", ["best", "second"])
    assert len(matching([found], "tags=best and not tags=paper and tags~sec")) == 1
    rename(directory, "")
    assert open_run("asked", tmp_path).id == directory.id


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\nb", "a\u202eb", "x" * 201])
def test_names_that_do_harm_are_refused(directory, text):
    with pytest.raises(SpecError, match="A name may"):
        rename(directory, text)
    assert read_labels(directory) == Labels()


@pytest.mark.parametrize("text", ["", " ", "two words", "a,b", "a\tb", "x" * 61])
def test_tags_are_single_words(directory, text):
    with pytest.raises(SpecError, match="tag"):
        tag(directory, [text])


def test_a_note_has_an_end(directory):
    with pytest.raises(SpecError, match="10000 characters"):
        annotate(directory, "x" * 10_001)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"tags": 3}', "\x00"])
def test_damaged_labels_are_none(directory, content):
    directory.labels.write_text(content)
    assert read_labels(directory) == Labels()


def test_a_deleted_run_is_gone_and_comes_back(directory, tmp_path):
    delete(open_run(directory.id, tmp_path))
    assert summaries(tmp_path) == []
    assert [run.id for run in deleted(tmp_path)] == [directory.id]
    with pytest.raises(RunNotFoundError, match="no run in the trash"):
        restore("unknown", tmp_path)
    assert restore(directory.id[:10], tmp_path).id == directory.id
    assert [one["id"] for one in summaries(tmp_path)] == [directory.id]
    assert deleted(tmp_path) == []


def test_the_trash_is_emptied_for_good(directory, tmp_path):
    assert empty(tmp_path) == 0
    delete(Run(directory))
    assert empty(tmp_path) == 1
    assert deleted(tmp_path) == []
    assert not directory.path.exists()


def test_a_run_that_has_not_ended_is_not_deleted(directory):
    directory.status.write_text(f'{{"state": "starting", "created": {time.time()}}}')
    with pytest.raises(RunStateError, match=r"is starting\. Stop it first"):
        delete(Run(directory))
    assert directory.path.exists()


def test_of_processes_that_add_tags_at_once_none_loses_one(directory):
    code = """
import sys
from pathlib import Path
from kplug.runs.directory import RunDirectory
from kplug.runs.labels import tag
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    tag(RunDirectory(Path(sys.argv[1])), [f"tag-{sys.argv[2]}-{number}"])
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(directory.path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.communicate("go\n")
    assert len(read_labels(directory).tags) == 40
