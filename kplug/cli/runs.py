"""`kplug runs …`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kplug.cli import run_keeping
from kplug.cli.output import print_fields, print_json, print_table, safe_text
from kplug.cli.quick import QuickCommand, QuickGroup
from kplug.cli.run_arguments import Json, Key, RunsDir, cell, opened, root_of

if TYPE_CHECKING:
    from kplug.runs import Run

app = typer.Typer(cls=QuickGroup, help="List, show, read and stop runs.", no_args_is_help=True, rich_markup_mode=None)

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

    every = summaries(root_of(runs_dir))
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
            rows.append(tuple(cell(value) if has_value(value) else "" for value in values))
        print_table(tuple(field.upper() for field in fields), rows)
        return
    rows = []
    for one in found:
        shown = "  ".join(f"{name} {cell(value)}" for name, value in _chosen(one["metrics"]))
        rows.append((one["id"], one["name"] or "", one["state"], one["model"] or "?", one["dataset"] or "?", shown))
    print_table(("ID", "NAME", "STATE", "MODEL", "DATA SET", "METRICS"), rows)


@app.command("show", cls=QuickCommand)
def show_command(run: Key, runs_dir: RunsDir = None, json: Json = False) -> None:
    """Show a run: what was asked, how far it is, its last metrics and its artifacts."""
    from kplug.runs.summary import summary_of

    found = opened(run, runs_dir)
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
    found = opened(run, runs_dir)
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
    found = opened(run, runs_dir)
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

    found = opened(run, runs_dir)
    resume(found)
    if detach:
        print(found.id)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(found))


@app.command("kill", cls=QuickCommand)
def kill_command(run: Key, runs_dir: RunsDir = None) -> None:
    """End a run's worker at once; what it has done since its last checkpoint is lost."""
    found = opened(run, runs_dir)
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

    found = opened(run, runs_dir)
    changed = {"epochs": epochs, "seed": seed}
    values = {**found.spec.model_dump(), **{field: value for field, value in changed.items() if value is not None}}
    new = launch(
        complete({**values, "name": name}, settings or (), source=f"the spec of {found.id}"),
        runs_root(root_of(runs_dir)),
    )
    if detach:
        print(new.id)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(new))


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


run_keeping.add_to(app)
