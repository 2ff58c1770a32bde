"""Names, tags, notes, logs, metrics and directories with texts that would do harm if they were shown as they are."""

import io
import json
import sys

import pytest
import typer

from kplug.cli import app as app_module
from kplug.cli.app import app, main
from kplug.cli.follow import Progress, _show_lines
from kplug.errors import SpecError
from kplug.runs import Run
from kplug.runs.completion import complete
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.records import RecordWriter
from kplug.runs.spec import spec_from

pytestmark = pytest.mark.neutral

HARMFUL = [
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "a\nb\rc\x08\x7f\x00d",
    "\x9b31m\x9dx\x9c",
    "abc\u202egnp.exe\u2066\u200f\u200e\u061c",
    "one\u2028two\u2029three",
    "[bold red]markup[/bold red] [link=file:///etc/passwd]x[/link]",
    "../../etc/passwd",
    "/etc/passwd\\..\\x",
    "x" * 10_000,
    "😀" * 2500,
    "half \ud800 letter",
    "$(rm -rf ~); `id` && | > < * ? '\"",
]
SEEN = "\x1b\x07\x08\x7f\x00\r\x9b\x9d\x9c\u202e\u2066\u200f\u200e\u061c\u2028\u2029\ud800"
IDS = [ascii(text)[:24] for text in HARMFUL]


@pytest.fixture(scope="module")
def command_line():
    """The commands, made of their functions once: that takes longer than most of them."""
    return typer.main.get_command(app)


@pytest.fixture
def runs(tmp_path):
    """Two completed runs; the first is to get the harmful texts."""
    made = []
    for name in ("victim", "other"):
        spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "name": name})
        directory = create_run_directory(tmp_path / "runs", spec, {})
        write_atomically(directory.status, '{"state": "completed"}')
        made.append(Run(directory))
    return made


@pytest.fixture
def kplug(runs, command_line, monkeypatch, capfd):
    """Run a command with a terminal's encoding, and return its exit code and its output."""
    monkeypatch.setattr(app_module, "app", command_line)

    def run(*arguments, encoding="utf-8"):
        root = str(runs[0].directory.path.parent)
        monkeypatch.setattr(sys, "argv", ["kplug", "runs", arguments[0], "--runs-dir", root, *arguments[1:]])
        streams = [io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2)]
        code = 0
        with monkeypatch.context() as context:
            context.setattr(sys, "stdout", streams[0])
            context.setattr(sys, "stderr", streams[1])
            try:
                main()
            except SystemExit as ending:
                code = ending.code or 0
        return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)

    return run


def plant(run, text):
    """Put a text wherever a run's files have one, past all checks."""
    directory = run.directory
    write_atomically(directory.labels, json.dumps({"name": text, "tags": [text, "fine"], "note": text}))
    fields = ("error", "artifact_error", "evaluation_error", "phase", "host", "parent")
    write_atomically(
        directory.status,
        json.dumps(
            {"state": "failed", **dict.fromkeys(fields, text), "test_metrics": {text: 0.5}, "waiting_for": [text]}
        ),
    )
    spec = json.loads(directory.spec.read_text())
    spec["model"]["parameters"] = {text: text}
    write_atomically(directory.spec, json.dumps(spec))
    with directory.events.open("w") as file:
        file.write(json.dumps({"time": 1.0, "event": text, "message": text}) + "\n")
    with directory.metrics.open("w") as file:
        file.write(json.dumps({"step": 1, "epoch": 0, "time": 1.0, "metrics": {text: 0.25}, "epoch_end": True}) + "\n")
    directory.log.write_bytes(text.encode("utf-8", "surrogatepass") + b"\xff\xfe\x1b[2J\n")


@pytest.mark.parametrize("text", HARMFUL, ids=IDS)
def test_no_text_of_a_run_reaches_the_terminal_as_more_than_text(kplug, runs, text):
    victim, other = runs
    plant(victim, text)
    commands = (("list",), ("list", "--columns", "id,name,tags,note,error"), ("show", victim.id), ("log", victim.id))
    for command in (*commands, ("compare", victim.id, other.id), ("note", victim.id), ("tag", victim.id)):
        code, out, err = kplug(*command)
        assert code in {0, 2}, err
        assert "Traceback" not in err
        assert not set(out + err) & set(SEEN), command
    code, out, _ = kplug("list")
    lines = out.splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines[1:]} == {victim.id, other.id}
    listed = json.loads(kplug("list", "--json")[1])
    assert {one["id"]: one["state"] for one in listed} == {victim.id: "failed", other.id: "completed"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_characters_gets_others(kplug, runs, encoding):
    plant(runs[0], "Zoë 😀 naïve \u4e2d")
    for command in (("list",), ("show", runs[0].id), ("log", runs[0].id)):
        code, out, err = kplug(*command, encoding=encoding)
        assert (code, err) == (0, "")
        assert out


def test_a_run_that_is_watched_shows_text(runs):
    from rich.console import Console

    for text in HARMFUL[:7]:
        plant(runs[0], text)
        shown = io.StringIO()
        _show_lines(Progress(runs[0]), Console(file=shown, width=200))
        assert not set(shown.getvalue()) & set(SEEN)
        assert "loss" in shown.getvalue() or "0.25" in shown.getvalue()


@pytest.mark.parametrize("text", [*HARMFUL[:5], *HARMFUL[8:11]], ids=[*IDS[:5], *IDS[8:11]])
def test_names_and_tags_that_would_do_harm_are_refused(kplug, runs, text):
    victim, _ = runs
    for command in (("rename", victim.id, text), ("tag", victim.id, text)):
        code, out, err = kplug(*command)
        assert (code, out) == (2, "")
        assert err.startswith("error: A ")
        assert not set(err) & set(SEEN)
        assert len(err) < 20_000
    assert not victim.directory.labels.exists()
    with pytest.raises(SpecError, match="name"):
        complete({"model": "vae", "dataset": "digits", "name": text})


@pytest.mark.parametrize("text", [*HARMFUL[5:8], "Zoë 👩‍👩‍👧 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"])
def test_names_that_look_odd_are_names(kplug, runs, text):
    victim, other = runs
    assert kplug("rename", victim.id, text)[0] == 0
    assert kplug("tag", victim.id, text.replace(" ", "_")[:60])[0] == 0
    assert kplug("note", victim.id, text)[0] == 0
    listed = {one["id"]: one for one in json.loads(kplug("list", "--json")[1])}
    assert (listed[victim.id]["name"], listed[victim.id]["note"]) == (text, text)
    assert text in kplug("list")[1]
    assert json.loads(kplug("show", text, "--json")[1])["id"] == victim.id
    assert sorted(
        path.name for path in victim.directory.path.parent.iterdir() if not path.name.startswith(".")
    ) == sorted([victim.id, other.id])


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\u202eb", "half \udcff letter"])
def test_a_directory_with_a_name_that_does_harm_is_no_run(kplug, runs, name):
    victim, _ = runs
    strange = victim.directory.path.with_name(name)
    strange.mkdir()
    (strange / "spec.json").write_bytes(victim.directory.spec.read_bytes())
    code, out, _ = kplug("list")
    assert code == 0
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    "key", ["../../etc", "/etc/passwd", "a\x1b[31mb", "x" * 10_000, "", ".", "..", ".trash", "half \ud800"]
)
def test_a_key_that_is_no_runs_is_named(kplug, runs, key):
    for command in ("show", "log", "stop", "kill"):
        code, out, err = kplug(command, "--", key)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert not set(err) & set(SEEN)


def test_a_long_line_of_a_log_is_shown_whole(kplug, runs):
    runs[0].directory.log.write_text("y" * 10_000 + "\n" + "z" * 10_000)
    assert kplug("log", runs[0].id)[1] == "y" * 10_000 + "\n" + "z" * 10_000


def test_metrics_of_any_name_are_recorded_and_read(runs, tmp_path):
    writer = RecordWriter(tmp_path / "metrics.jsonl")
    writer.write({"metrics": {"a\nb\x00\x1b": 1.0}})
    assert (tmp_path / "metrics.jsonl").read_bytes().count(b"\n") == 1
