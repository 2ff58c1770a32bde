"""`kplug runs …`: comparing runs, naming them, and keeping house among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kplug.cli.output import print_json, print_table
from kplug.cli.quick import QuickCommand
from kplug.cli.run_arguments import Json, Key, RunsDir, Yes, cell, opened, root_of
from kplug.errors import KplugError, RunStorageError, SpecError
from kplug.plain_text import moment, safe_text

if TYPE_CHECKING:
    from kplug.runs import Run


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for name, command in _COMMANDS.items():
        app.command(name, cls=QuickCommand)(command)


def compare_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN…", help="Ids, beginnings of them, or names.")],
    plot_file: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="Draw the metrics by epoch, as a PNG say.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="A metric to draw; may be repeated.")] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """Show in what runs differ, and their last metrics side by side."""
    from kplug.runs.comparison import differences, last_metrics
    from kplug.runs.process import draw
    from kplug.runs.summary import summary_of

    found = [opened(key, runs_dir) for key in runs]
    if len(found) < 2:
        raise SpecError(f"Two runs at least are compared. Received: {len(found)}")
    summaries = [summary_of(run) for run in found]
    asked, reached = differences(summaries), last_metrics(summaries)
    if plot_file is not None:
        draw(found, plot_file, metric or ())
    if json:
        print_json({"runs": [run.id for run in found], "differences": asked, "metrics": reached})
        return
    rows = [("state", *(summary["state"] for summary in summaries))]
    for name, values in (*asked.items(), *reached.items()):
        rows.append((name, *("" if value is None else cell(value) for value in values)))
    print_table(("", *(run.id for run in found)), rows)


def export_command(
    run: Key,
    file: Annotated[
        str,
        typer.Argument(
            help="Where to: .csv or .parquet for the metrics, .zip for the whole run; a name without an ending is a "
            "directory for TensorBoard."
        ),
    ],
    file_format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="csv, parquet, tensorboard or zip, whatever the name says."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Write a run's metrics as a table or for TensorBoard, or the whole run as a zip file."""
    from kplug.runs.exchange import export_run

    export_run(opened(run, runs_dir), Path(file), file_format)


def import_command(
    file: Annotated[str, typer.Argument(help="A zip file that `kplug runs export` wrote.")],
    runs_dir: RunsDir = None,
) -> None:
    """Bring in a run that was exported as a zip file."""
    from kplug.runs.exchange import import_run

    print(import_run(Path(file), root_of(runs_dir)).id)


def rename_command(
    run: Key,
    name: Annotated[str, typer.Argument(help="The new name; '' for the one it was started with.")],
    runs_dir: RunsDir = None,
) -> None:
    """Call a run something else."""
    from kplug.runs.labels import rename

    found = opened(run, runs_dir)
    rename(found.directory, name)


def tag_command(
    run: Key,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A tag to remove; may be repeated.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Add tags to a run, and print all it has; `kplug runs list --where tags=NAME` finds it by one."""
    from kplug.runs.labels import tag

    labels = tag(opened(run, runs_dir).directory, tags or (), remove or ())
    print(safe_text(" ".join(labels.tags)))


def note_command(
    run: Key,
    note: Annotated[str | None, typer.Argument(help="The note; '' removes it. Without one, it is printed.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Note something of a run."""
    from kplug.runs.labels import annotate, read_labels

    directory = opened(run, runs_dir).directory
    if note is None:
        print(safe_text(read_labels(directory).note))
    else:
        annotate(directory, note)


def delete_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Ids, beginnings of them, or names.")],
    yes: Yes = False,
    runs_dir: RunsDir = None,
) -> None:
    """Move runs to the trash; `kplug runs trash` brings them back."""
    from kplug.runs.trash import delete

    found = [opened(key, runs_dir) for key in runs]
    if not yes:
        names = ", ".join(run.id for run in found)
        typer.confirm(safe_text(f"Delete {names}?"), abort=True)
    for run in found:
        delete(run)
        print(f"{run.id} is in the trash. To bring it back: kplug runs trash --restore {run.id}")


def trash_command(
    restore_run: Annotated[str | None, typer.Option("--restore", metavar="RUN", help="Bring a run back.")] = None,
    empty_it: Annotated[bool, typer.Option("--empty", help="Remove what is in the trash for good.")] = False,
    yes: Yes = False,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """List deleted runs, bring one back, or remove them for good."""
    from kplug.runs.trash import deleted, empty, restore

    root = root_of(runs_dir)
    if restore_run is not None:
        print(f"{restore(restore_run, root).id} is back.")
        return
    found = deleted(root)
    if empty_it:
        if found and not yes:
            typer.confirm(f"Remove {len(found)} runs for good?", abort=True)
        print(f"{empty(root)} runs removed.")
    elif json:
        print_json([{"id": run.id, "path": str(run.directory.path)} for run in found])
    else:
        _print_kept(found)


def _print_kept(runs: Sequence[Run]) -> None:
    """Print what a person needs to know of runs that go or have gone."""
    from kplug.runs.retention import size_of
    from kplug.runs.summary import summary_of

    rows = []
    for run in runs:
        known = summary_of(run)
        created = moment(known["created"]) or "?"
        rows.append((run.id, known["name"] or "", known["state"], created, f"{size_of(run) / 1e6:.1f} MB"))
    if rows:
        print_table(("ID", "NAME", "STATE", "CREATED", "SIZE"), rows)
    else:
        print("No runs.")


def prune_command(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Runs that ended longer ago, as in 30d.")
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=0, help="All but the newest so many runs.")] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="The oldest, until the others fit, as in 20GB.")
    ] = None,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Remove the checkpoints of completed runs for good.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs.")] = False,
    yes: Yes = False,
    runs_dir: RunsDir = None,
) -> None:
    """Move runs that are old, too many or too large to the trash; those with a tag, or that go on, are kept."""
    from kplug.runs.retention import (
        bytes_in,
        checkpointed,
        drop_checkpoints,
        seconds_in,
        size_of_checkpoints,
        superfluous,
    )
    from kplug.runs.trash import delete

    root = root_of(runs_dir)
    if not checkpoints and older_than is None and keep is None and max_size is None:
        raise SpecError("Say what is to go: --older-than, --keep, --max-size or --checkpoints.")
    found = superfluous(
        root,
        None if older_than is None else seconds_in(older_than),
        keep,
        None if max_size is None else bytes_in(max_size),
    )
    _print_kept(found)
    superseded = checkpointed(root) if checkpoints else []
    if checkpoints:
        size = sum(size_of_checkpoints(run) for run in superseded)
        print(f"Checkpoints of {len(superseded)} completed runs, {size / 1e6:.1f} MB, to be removed for good.")
    if dry_run:
        return
    if (found or superseded) and not yes:
        typer.confirm(f"Move {len(found)} runs to the trash?" if found else "Remove these checkpoints?", abort=True)
    problems = []
    for run in found:
        try:
            delete(run)
        except KplugError as error:  # the others go all the same
            problems.append(str(error))
    for run in superseded:
        drop_checkpoints(run)
    if problems:
        raise RunStorageError("\n".join(problems))


_COMMANDS: dict[str, Callable[..., None]] = {
    "compare": compare_command,
    "export": export_command,
    "import": import_command,
    "rename": rename_command,
    "tag": tag_command,
    "note": note_command,
    "delete": delete_command,
    "trash": trash_command,
    "prune": prune_command,
}
