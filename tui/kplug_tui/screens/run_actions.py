"""What can be done to runs, the same on every screen that shows some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from kplug.errors import KplugError
from kplug.plain_text import safe_line
from kplug.runs.directory import RunDirectory
from kplug.runs.run import Run
from kplug_tui.formatting import LIVE
from kplug_tui.presets import preset_of
from kplug_tui.screens.kplug_screen import KplugScreen

Summary = Mapping[str, Any]


class RunActions(KplugScreen):
    """A screen with runs that can be stopped, resumed, named and so on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New", id="runs.new"),
        Binding("s", "stop", "Stop", id="runs.stop"),
        Binding("K", "kill", "Kill", show=False, id="runs.kill"),
        Binding("r", "resume", "Resume", id="runs.resume"),
        Binding("c", "clone", "Clone", show=False, id="runs.clone"),
        Binding("d,delete", "delete", "Delete", show=False, id="runs.delete"),
        Binding("t", "tag", "Tag", show=False, id="runs.tag"),
        Binding("e", "note", "Note", show=False, id="runs.note"),
        Binding("R", "rename", "Rename", show=False, id="runs.rename"),
        Binding("x", "export", "Export", show=False, id="runs.export"),
        Binding("y", "copy_id", "Copy id", show=False, id="runs.copy_id"),
    ]

    def chosen(self) -> Sequence[Summary]:
        """Return the runs that are meant."""
        raise NotImplementedError

    def action_new(self) -> None:
        """Choose what to train."""
        self.kplug.open_new_run()

    def action_stop(self) -> None:
        """Ask the runs to stop; a checkpoint is written first."""
        runs = [one for one in self.chosen() if one["state"] in LIVE]
        if not runs:
            self.kplug.warn("Only a run that goes on can be stopped.")
            return
        self._for_each(runs, Run.stop, "asked to stop; what it has learned is saved")

    def action_kill(self) -> None:
        """End the runs' workers at once, after a question."""
        runs = [one for one in self.chosen() if one["state"] in LIVE]
        if not runs:
            self.kplug.warn("Only a run that goes on can be killed.")
            return
        question = f"Kill {_named(runs)}? What was learned since the last checkpoint is lost."
        self.confirmed(question, "Kill", lambda: self._for_each(runs, Run.kill, "killed"))

    def action_resume(self) -> None:
        """Go on with runs that were interrupted."""
        from kplug.runs.launch import resume

        runs = [one for one in self.chosen() if one["state"] not in LIVE]
        if not runs:
            self.kplug.warn("Only a run that has ended can be resumed.")
            return
        self._for_each(runs, resume, "goes on from its newest checkpoint")

    def action_clone(self) -> None:
        """Begin a new run with the settings of this one."""
        for summary in self.chosen()[:1]:
            try:
                values = preset_of(self._run(summary).directory)
            except KplugError as error:
                self.kplug.problem(str(error))
                continue
            if values:
                values.pop("name", None)  # two runs of one name could not be told apart by it
                self.kplug.open_new_run(values, summary["id"])
            else:
                self.kplug.problem(f"What {summary['id']} was asked to do cannot be read.")

    def action_delete(self) -> None:
        """Move runs to the trash, after a question."""
        from kplug.runs.trash import delete

        runs = self.chosen()
        if not runs:
            return
        if any(one["state"] in LIVE for one in runs):
            self.kplug.warn("A run that goes on cannot be deleted. Stop it first.")
            return
        question = f"Move {_named(runs)} to the trash? `kplug runs trash --restore` brings it back."
        self.confirmed(question, "Delete", lambda: self._for_each(runs, delete, "is in the trash"))

    def action_tag(self) -> None:
        """Set the tags of runs."""
        from kplug.runs.labels import tag

        runs = self.chosen()
        if not runs:
            return
        now = list(dict.fromkeys(word for one in runs for word in one["tags"]))

        def change(text: str) -> None:
            words = text.replace(",", " ").split()
            removed = [word for word in now if word not in words]
            self._for_each(runs, lambda run: tag(run.directory, words, removed), "")

        self.asked("Tags, separated by blanks:", " ".join(now), change)

    def action_note(self) -> None:
        """Note something of a run."""
        from kplug.runs.labels import annotate

        runs = self.chosen()[:1]
        if runs:
            self.asked(
                "Note:",
                str(runs[0]["note"] or ""),
                lambda text: self._for_each(runs, lambda run: annotate(run.directory, text), ""),
            )

    def action_rename(self) -> None:
        """Give a run another name."""
        from kplug.runs.labels import checked_name, rename

        runs = self.chosen()[:1]
        if runs:
            self.asked(
                "Name:",
                str(runs[0]["name"] or ""),
                lambda text: self._for_each(runs, lambda run: rename(run.directory, text), ""),
                checked_name,
            )

    def action_export(self) -> None:
        """Write a run's metrics, or the whole run, to a file."""
        from kplug.runs.exchange import export_run

        for summary in self.chosen()[:1]:

            def write(path: Path, one: Summary = summary) -> str:
                export_run(self._run(one), path)
                return f"Written: {path.absolute()}"

            question = "Export to (.csv, .parquet, .zip, or a directory for TensorBoard):"
            self.asked_for_file(question, f"{summary['id']}.csv", write)

    def action_copy_id(self) -> None:
        """Copy a run's id to the clipboard."""
        for summary in self.chosen()[:1]:
            self.kplug.copy_to_clipboard(summary["id"])
            self.kplug.say(f"Copied: {summary['id']}")

    def _run(self, summary: Summary) -> Run:
        return Run(RunDirectory(self.kplug.reader.root / summary["id"]))

    def _for_each(self, runs: Sequence[Summary], what: Callable[[Run], object], done: str) -> None:
        """Do something to runs in a thread; what cannot be done to one is said, and the others go on."""

        def work() -> str:
            problems, fine = [], []
            for summary in runs:
                try:
                    what(self._run(summary))
                    fine.append(summary)
                except KplugError as error:
                    problems.append(str(error))
            if problems:
                raise KplugError("\n".join(problems[:3]) + (" …" if len(problems) > 3 else ""))
            return f"{_named(fine)}: {done}" if done else ""

        self.kplug.do(work)


def _named(runs: Sequence[Summary]) -> str:
    """Return what to call runs in a sentence."""
    if len(runs) > 1:
        return f"{len(runs)} runs"
    return safe_line(str(runs[0]["name"] or runs[0]["id"])) if runs else "no run"
