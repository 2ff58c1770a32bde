"""`kplug runs …`."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from kplug.cli import run_keeping
from kplug.cli.output import print_json, print_table
from kplug.cli.quick import QuickCommand, QuickGroup
from kplug.cli.run_arguments import Json, Key, MaxRunning, RunsDir, cell, opened, root_of
from kplug.plain_text import safe_text
from kplug.runs.direction import CHIEF_METRICS

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
    from kplug.runs.index import find

    found = find(root_of(runs_dir), where, sort, limit)
    if json:
        print_json(found.runs)
    elif not found.of:
        print("No runs yet. Start one: kplug train vae --data digits")
    elif not found.runs:
        print(f"None of the {found.of} runs fits.")
    else:
        _print_runs(found.runs, columns)


def _print_runs(found: list[Any], columns: str | None) -> None:
    from kplug.runs.query import has_value, value_of

    if columns is not None:
        fields = [field.strip() for field in columns.split(",") if field.strip()]
        rows = []
        for one in found:
            values = [(field, value_of(one, field)) for field in fields]
            rows.append(tuple(cell(value, field) if has_value(value) else "" for field, value in values))
        print_table(tuple(field.upper() for field in fields), rows)
        return
    rows = []
    for one in found:
        shown = "  ".join(f"{name} {cell(value)}" for name, value in _chosen(one["metrics"]))
        rows.append((one["id"], one["name"] or "", one["state"], one["model"] or "?", one["dataset"] or "?", shown))
    print_table(("ID", "NAME", "STATE", "MODEL", "DATA SET", "METRICS"), rows)


@app.command("show", cls=QuickCommand)
def show_command(run: Key, runs_dir: RunsDir = None, json: Json = False) -> None:
    """Show a run: what was asked, how far it is, what happened to it, its last metrics and its artifacts."""
    from kplug.cli.run_view import print_run, run_as_json

    found = opened(run, runs_dir)
    if json:
        print_json(run_as_json(found))
    else:
        print_run(found)


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
    from kplug.runs.log_file import LogReader

    reader = LogReader(found.directory.log)
    while True:
        ended = found.ended or not follow
        for text in reader.read(ended):
            print(safe_text(text), end="")
        sys.stdout.flush()
        if ended:
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
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="How many it shall have in all; one that has completed goes on too.")
    ] = None,
    max_running: MaxRunning = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the worker and return at once.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Go on with a run that was stopped, failed or lost, from its newest checkpoint."""
    from kplug.runs.launch import resume

    found = opened(run, runs_dir)
    resume(found, max_running, epochs)
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
    data: Annotated[str | None, typer.Option("--data", help="Another data set.")] = None,
    loss: Annotated[str | None, typer.Option("--loss", help="Another loss.")] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="Another optimizer.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help="Another schedule of the learning rate.")] = None,
    launcher: Annotated[str | None, typer.Option("--launcher", help="Another launcher.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Another number of epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Another number of samples per step.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed.")] = None,
    backend: Annotated[str | None, typer.Option("--backend", help="Another backend.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="Another device.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="Another precision.")] = None,
    jit: Annotated[bool | None, typer.Option("--jit/--no-jit", help="Compile training by XLA, or do not.")] = None,
    best: Annotated[str | None, typer.Option("--best", metavar="METRIC", help="Keep the best model by this.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call the new run.")] = None,
    max_running: MaxRunning = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return at once.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Start a new run from an old one's spec, with changes."""
    from kplug.places import runs_root
    from kplug.runs.completion import complete
    from kplug.runs.launch import launch
    from kplug.runs.own_files import reachable

    found = opened(run, runs_dir)
    # A component that is chosen anew keeps none of the old one's parameters.
    changed = {
        **{"dataset": data, "loss": loss, "optimizer": optimizer, "schedule": schedule, "launcher": launcher},
        **{"epochs": epochs, "batch_size": batch_size, "seed": seed, "best": best, "jit": jit},
        **{"backend": backend, "device": device, "precision": precision},
    }
    values = {
        **reachable(found.spec, found.directory).model_dump(),
        **{field: value for field, value in changed.items() if value is not None},
    }
    new = launch(
        complete({**values, "name": name}, settings or (), source=f"the spec of {found.id}"),
        runs_root(root_of(runs_dir)),
        max_running,
        parent=found.id,
    )
    if detach:
        print(new.id)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(new))


def _chosen(metrics: dict[str, float | None]) -> list[tuple[str, float | None]]:
    """Return the one or two metrics that say most: the loss, or the return, and that of the validation."""
    pairs = [(name, f"val_{name}") for name in CHIEF_METRICS]
    names = next(([one for one in pair if one in metrics] for pair in pairs if not metrics.keys().isdisjoint(pair)), [])
    names = names or list(metrics)[:2]
    return [(name, metrics[name]) for name in names]


run_keeping.add_to(app)
