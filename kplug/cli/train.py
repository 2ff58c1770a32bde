"""`kplug train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from kplug.cli.output import print_json
from kplug.cli.run_arguments import MaxRunning
from kplug.errors import SpecError
from kplug.places import runs_root


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(
    model: Annotated[str | None, typer.Argument(help="The model, as `kplug list models` names it.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="The data set.", show_default=False)] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="A run spec in TOML or JSON; options given beside it win.")
    ] = None,
    loss: Annotated[str | None, typer.Option("--loss", help="The loss; the model's own by default.")] = None,
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", help="The optimizer; the model's own by default.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="How the learning rate changes; constant by default.")
    ] = None,
    launcher: Annotated[
        str | None, typer.Option("--launcher", help="What starts the worker; this machine does by default.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="A further metric; may be repeated.")] = None,
    callback: Annotated[list[str] | None, typer.Option("--callback", help="A Keras callback; may be repeated.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Epochs; 10 by default.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Samples per step; 128 by default.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of every random number; 0 by default.")] = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="tensorflow, jax or torch; $KERAS_BACKEND or tensorflow by default."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.PARAMETER=VALUE", help="A hyper-parameter, as in model.latent_dim=16."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="auto, cpu, gpu, gpu:0 or gpu:0,1; auto: the GPU with most free memory, if any."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="float32, mixed_float16 or mixed_bfloat16; float32 by default."),
    ] = None,
    jit: Annotated[
        bool | None, typer.Option("--jit/--no-jit", help="Compile training by XLA; Keras' own choice by default.")
    ] = None,
    checkpoint_seconds: Annotated[
        float | None, typer.Option("--checkpoint-seconds", help="Seconds between checkpoints; 30 by default.")
    ] = None,
    checkpoint_batches: Annotated[
        int | None, typer.Option("--checkpoint-batches", help="Batches between checkpoints.")
    ] = None,
    checkpoint_epochs: Annotated[
        int | None, typer.Option("--checkpoint-epochs", help="Epochs between checkpoints.")
    ] = None,
    best: Annotated[
        str | None, typer.Option("--best", metavar="METRIC", help="Keep the best model by this metric, val_loss say.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call the run.")] = None,
    max_running: MaxRunning = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return at once.")] = False,
    runs_dir: Annotated[str | None, typer.Option("--runs-dir", help="Directory that holds the runs.")] = None,
    json: Annotated[bool, typer.Option("--json", help="With --detach: print the run as JSON.")] = False,
) -> None:
    """Train a model on a data set, in a process that outlives this terminal.

    In the foreground it shows the run until it ends; Ctrl-C asks whether to stop it or to leave it running.
    """
    if json and not detach:
        raise SpecError("--json goes with --detach. For a run's result use: kplug runs show RUN --json")
    given = {
        "model": model,
        "dataset": data,
        "loss": loss,
        "optimizer": optimizer,
        "schedule": schedule,
        "launcher": launcher,
        "metrics": metric or None,
        "callbacks": callback or None,
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "backend": backend,
        "device": device,
        "precision": precision,
        "jit": jit,
        "checkpoint_seconds": checkpoint_seconds,
        "checkpoint_batches": checkpoint_batches,
        "checkpoint_epochs": checkpoint_epochs,
        "best": best,
        "name": name,
    }
    from kplug.runs.completion import complete
    from kplug.runs.launch import launch

    values = _merged(given, config)
    _announce()
    spec = complete(values, settings or (), source=config or "kplug train")
    run = launch(spec, runs_root(runs_dir), max_running)
    if detach:
        _report_detached(run, json)
        return
    from kplug.cli.follow import follow

    raise typer.Exit(follow(run))


def _merged(given: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Lay what was typed over what the file says; a component typed anew keeps none of the file's parameters."""
    values: dict[str, Any] = {}
    if config is not None:
        from kplug.runs.spec import read_spec_values

        values = read_spec_values(Path(config))
    values.update({name: value for name, value in given.items() if value is not None})
    missing = [name for name in ("model", "dataset") if name not in values]
    if missing:
        hints = {"model": "a model: kplug train MODEL", "dataset": "a data set: --data NAME"}
        raise SpecError(f"kplug train needs {' and '.join(hints[name] for name in missing)}, or --config FILE.")
    values.setdefault("backend", os.environ.get("KERAS_BACKEND") or "tensorflow")
    return values


def _announce() -> None:
    from kplug.catalog.discovery import components
    from kplug.cli.catalog import announce_inspection

    announce_inspection([one for one in components() if one.namespace == "kplug"])


def _report_detached(run: Any, json: bool) -> None:
    if json:
        print_json({"id": run.id, "path": str(run.directory.path)})
        return
    print(run.id)
