"""`kplug runs …`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kplug.cli.output import print_fields, print_json, print_table, safe_text
from kplug.cli.quick import QuickCommand, QuickGroup
from kplug.errors import SpecError

if TYPE_CHECKING:
    from kplug.runs import Run

app = typer.Typer(cls=QuickGroup, help="List, show, read and stop runs.", no_args_is_help=True, rich_markup_mode=None)

RunsDir = Annotated[str | None, typer.Option("--runs-dir", help="Directory that holds the runs.")]
Key = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or its name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_POLL_SECONDS = 0.2


@app.command("list", cls=QuickCommand)
def list_command(
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="QUESTION", help="Only runs such as 'val_loss<0.3 and model=vae'."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="FIELD", help="Sort by a field; -FIELD for the largest first.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="FIELD,…", help="What to show, as in id,val_loss,model.latent_dim."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Show this many runs at most.")] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """List the runs, newest first."""
    from kplug.runs.index import summaries
    from kplug.runs.query import matching, ordered

    every = summaries(_root(runs_dir))
    found = every if where is None else matching(every, where)
    if sort is not None:
        found = ordered(found, sort)
    found = found[:limit]
    if json:
        print_json(found)
    elif not every:
        print("No runs yet. Start one: kplug train vae --data digits")
    elif not found:
        print(f"None of the {len(every)} runs fits.")
    else:
        _print_runs(found, columns)


def _print_runs(found: list[Any], columns: str | None) -> None:
    from kplug.runs.query import has_value, value_of

    if columns is not None:
        fields = [field.strip() for field in columns.split(",") if field.strip()]
        rows = []
        for one in found:
            values = [value_of(one, field) for field in fields]
            rows.append(tuple(_cell(value) if has_value(value) else "" for value in values))
        print_table(tuple(field.upper() for field in fields), rows)
        return
    rows = []
    for one in found:
        shown = "  ".join(f"{name} {_cell(value)}" for name, value in _chosen(one["metrics"]))
        rows.append((one["id"], one["name"] or "", one["state"], one["model"] or "?", one["dataset"] or "?", shown))
    print_table(("ID", "NAME", "STATE", "MODEL", "DATA SET", "METRICS"), rows)


def _cell(value: Any) -> str:
    if value is None:
        return "nan"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command("show", cls=QuickCommand)
def show_command(run: Key, runs_dir: RunsDir = None, json: Json = False) -> None:
    """Show a run: what was asked, how far it is, its last metrics and its artifacts."""
    from kplug.runs.summary import summary_of

    found = _open(run, runs_dir)
    status = found.status
    if json:
        print_json(
            {
                **summary_of(found),
                "path": str(found.directory.path),
                "status": status,
                "spec": found.spec.model_dump(),
                "artifacts": [str(path) for path in found.artifacts()],
            }
        )
        return
    print_fields(_fields(found, status))
    for title, metrics in (("last metrics", found.last_metrics()), ("test metrics", status.get("test_metrics") or {})):
        if metrics:
            print(f"\n{title}")
            print_fields([(name, f"{value:.6g}") for name, value in metrics.items()], indent="  ")
    if found.artifacts():
        print("\nartifacts")
        for path in found.artifacts():
            print_fields([(str(path), "")], indent="  ")


@app.command("log", cls=QuickCommand)
def log_command(
    run: Key,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """Print what the worker printed."""
    found = _open(run, runs_dir)
    if json:
        print_json({"id": found.id, "log": found.log()})
        return
    shown = 0
    while True:
        ended = found.ended
        text = found.log()
        print(safe_text(text[shown:]), end="", flush=True)
        shown = len(text)
        if ended or not follow:
            return
        time.sleep(_POLL_SECONDS)


@app.command("stop", cls=QuickCommand)
def stop_command(run: Key, runs_dir: RunsDir = None) -> None:
    """Ask a run to stop at the next batch; what it has learned is saved."""
    found = _open(run, runs_dir)
    if found.ended:
        print(f"{found.id} has already ended: {found.state}.")
        return
    found.stop()
    print(f"{found.id} was asked to stop.")


@app.command("resume", cls=QuickCommand)
def resume_command(
    run: Key,
    detach: Annotated[bool, typer.Option("--detach", help="Start the worker and return at once.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Go on with a run that was stopped, failed or lost, from its newest checkpoint."""
    from kplug.runs.launch import resume

    found = _open(run, runs_dir)
    resume(found)
    if detach:
        print(found.id)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(found))


@app.command("kill", cls=QuickCommand)
def kill_command(run: Key, runs_dir: RunsDir = None) -> None:
    """End a run's worker at once; what it has done since its last checkpoint is lost."""
    found = _open(run, runs_dir)
    found.kill()
    print(f"{found.id} was killed. To go on from its last checkpoint: kplug runs resume {found.id}")


@app.command("clone", cls=QuickCommand)
def clone_command(
    run: Key,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.PARAMETER=VALUE", help="A hyper-parameter that is to be another."),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Another number of epochs.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call the new run.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return at once.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Start a new run from an old one's spec, with changes."""
    from kplug.places import runs_root
    from kplug.runs.completion import complete
    from kplug.runs.launch import launch

    found = _open(run, runs_dir)
    changed = {"epochs": epochs, "seed": seed}
    values = {**found.spec.model_dump(), **{field: value for field, value in changed.items() if value is not None}}
    new = launch(
        complete({**values, "name": name}, settings or (), source=f"the spec of {found.id}"), runs_root(_root(runs_dir))
    )
    if detach:
        print(new.id)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(new))


@app.command("compare", cls=QuickCommand)
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

    found = [_open(key, runs_dir) for key in runs]
    if len(found) < 2:
        raise SpecError(f"Two runs at least are compared. Received: {len(found)}")
    asked, reached = differences(found), last_metrics(found)
    if plot_file is not None:
        draw(found, plot_file, metric or ())
    if json:
        print_json({"runs": [run.id for run in found], "differences": asked, "metrics": reached})
        return
    rows = [("state", *(run.state for run in found))]
    rows += [(name, *("" if value is None else _cell(value) for value in values)) for name, values in asked.items()]
    rows += [(name, *("" if value is None else _cell(value) for value in values)) for name, values in reached.items()]
    print_table(("", *(run.id for run in found)), rows)


@app.command("export", cls=QuickCommand)
def export_command(
    run: Key,
    file: Annotated[str, typer.Argument(help="Where to: .csv or .parquet for the metrics, .zip for the whole run.")],
    runs_dir: RunsDir = None,
) -> None:
    """Write a run's metrics as a table, or the whole run as a zip file."""
    from kplug.runs.exchange import export_run

    export_run(_open(run, runs_dir), Path(file))


@app.command("import", cls=QuickCommand)
def import_command(
    file: Annotated[str, typer.Argument(help="A zip file that `kplug runs export` wrote.")],
    runs_dir: RunsDir = None,
) -> None:
    """Bring in a run that was exported as a zip file."""
    from kplug.runs.exchange import import_run

    print(import_run(Path(file), _root(runs_dir)).id)


@app.command("rename", cls=QuickCommand)
def rename_command(
    run: Key,
    name: Annotated[str, typer.Argument(help="The new name; '' for the one it was started with.")],
    runs_dir: RunsDir = None,
) -> None:
    """Call a run something else."""
    from kplug.runs.labels import rename

    found = _open(run, runs_dir)
    rename(found.directory, name)


@app.command("tag", cls=QuickCommand)
def tag_command(
    run: Key,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A tag to remove; may be repeated.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Add tags to a run, and print all it has; `kplug runs list --where tags=NAME` finds it by one."""
    from kplug.runs.labels import tag

    labels = tag(_open(run, runs_dir).directory, tags or (), remove or ())
    print(safe_text(" ".join(labels.tags)))


@app.command("note", cls=QuickCommand)
def note_command(
    run: Key,
    note: Annotated[str | None, typer.Argument(help="The note; '' removes it. Without one, it is printed.")] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Note something of a run."""
    from kplug.runs.labels import annotate, read_labels

    directory = _open(run, runs_dir).directory
    if note is None:
        print(safe_text(read_labels(directory).note))
    else:
        annotate(directory, note)


@app.command("delete", cls=QuickCommand)
def delete_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Ids, beginnings of them, or names.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Move runs to the trash; `kplug runs trash` brings them back."""
    from kplug.runs.trash import delete

    found = [_open(key, runs_dir) for key in runs]
    if not yes:
        names = ", ".join(run.id for run in found)
        typer.confirm(safe_text(f"Delete {names}?"), abort=True)
    for run in found:
        delete(run)
        print(f"{run.id} is in the trash. To bring it back: kplug runs trash --restore {run.id}")


@app.command("trash", cls=QuickCommand)
def trash_command(
    restore_run: Annotated[str | None, typer.Option("--restore", metavar="RUN", help="Bring a run back.")] = None,
    empty_it: Annotated[bool, typer.Option("--empty", help="Remove what is in the trash for good.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """List deleted runs, bring one back, or remove them for good."""
    from kplug.runs.trash import deleted, empty, restore

    root = _root(runs_dir)
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
        for run in found:
            print(safe_text(run.id))


@app.command("prune", cls=QuickCommand)
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Move runs that are old, too many or too large to the trash; those with a tag, or that go on, are kept."""
    from kplug.runs.retention import bytes_in, drop_checkpoints, seconds_in, superfluous
    from kplug.runs.trash import delete

    root = _root(runs_dir)
    if not checkpoints and older_than is None and keep is None and max_size is None:
        raise SpecError("Say what is to go: --older-than, --keep, --max-size or --checkpoints.")
    found = superfluous(
        root,
        None if older_than is None else seconds_in(older_than),
        keep,
        None if max_size is None else bytes_in(max_size),
    )
    for run in found:
        print(safe_text(run.id))
    if dry_run:
        return
    if found and not yes:
        typer.confirm(f"Move {len(found)} runs to the trash?", abort=True)
    for run in found:
        delete(run)
    if checkpoints:
        print(f"{drop_checkpoints(root) / 1e6:.1f} MB of checkpoints removed.")


def _open(key: str, runs_dir: str | None) -> Run:
    from kplug.runs import open_run

    return open_run(key, _root(runs_dir))


def _root(runs_dir: str | None) -> Path | None:
    return None if runs_dir is None else Path(runs_dir)


def _chosen(metrics: dict[str, float | None]) -> list[tuple[str, float | None]]:
    """Return the one or two metrics that say most: the loss, and the validation loss."""
    names = [name for name in ("loss", "val_loss") if name in metrics] or list(metrics)[:2]
    return [(name, metrics[name]) for name in names]


def _fields(run: Run, status: dict[str, Any]) -> list[tuple[str, str]]:
    from kplug.runs.labels import read_labels

    spec, labels = run.spec, read_labels(run.directory)
    fields = [("id", run.id), ("name", labels.name or spec.name or ""), ("state", str(status["state"]))]
    if labels.tags:
        fields.append(("tags", ", ".join(labels.tags)))
    if labels.note:
        fields.append(("note", labels.note))
    if status.get("error"):
        fields.append(("error", str(status["error"])))
    if status.get("evaluation_error"):
        fields.append(("test split", f"could not be evaluated: {status['evaluation_error']}"))
    if status.get("artifact_error"):
        fields.append(("artifacts", f"not all could be drawn: {status['artifact_error']}"))
    fields += [("path", str(run.directory.path))]
    for section in ("model", "dataset", "loss", "optimizer"):
        component = getattr(spec, section)
        if component is not None:
            parameters = ", ".join(f"{name}={value!r}" for name, value in component.parameters.items())
            fields.append((section, f"{component.name}({parameters})"))
    fields += [
        ("epochs", f"{status.get('epoch', 0)} of {spec.epochs}"),
        ("batch size", str(spec.batch_size)),
        ("seed", str(spec.seed)),
        ("backend", spec.backend),
        ("precision", spec.precision),
    ]
    execution = status.get("execution")
    if isinstance(execution, dict):
        fields.append(("execution", ", ".join(f"{name} {value}" for name, value in execution.items())))
    if status.get("started") and status.get("ended"):
        fields.append(("took", f"{float(status['ended']) - float(status['started']):.1f} s"))
    return fields
