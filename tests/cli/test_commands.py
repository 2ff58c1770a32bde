"""The command line, in a child process as a person's shell would start it."""

import json

import pytest

import kplug


def test_help_and_version(run_kplug):
    assert "train" in run_kplug("--help").stdout
    assert run_kplug("--version").stdout.strip() == f"kplug {kplug.__version__}"


def test_list_shows_ids_by_kind(run_kplug):
    done = run_kplug("list", "models")
    assert done.returncode == 0
    assert "kplug/vae" in done.stdout
    assert "kplug/digits" not in done.stdout


def test_list_json_has_every_component(run_kplug):
    listed = json.loads(run_kplug("list", "--json").stdout)
    assert {one["id"] for one in listed} == {one.id for one in kplug.components()}
    vae = next(one for one in listed if one["id"] == "kplug/vae")
    assert (vae["kind"], vae["distribution"], vae["target"]) == ("model", "kplug", "kplug.models.vae:VAE")


def test_show_has_documentation_parameters_and_origin(run_kplug):
    shown = run_kplug("show", "VAE").stdout
    assert "kplug.models.vae:VAE" in shown
    assert "evidence lower bound" in shown
    assert "int > 0" in shown


def test_show_json_describes_every_parameter(run_kplug):
    shown = json.loads(run_kplug("show", "vae", "--json").stdout)
    latent_dim = next(one for one in shown["parameters"] if one["name"] == "latent_dim")
    assert latent_dim == {
        "name": "latent_dim",
        "schema": {"type": "integer", "exclusiveMinimum": 0},
        "required": False,
        "default": 2,
        "help": "Number of latent dimensions.",
        "type": "int > 0",
    }


def test_a_broken_plugin_is_shown_with_its_error(run_kplug, install_plugin):
    install_plugin("bad", {"kplug.losses": {"rotten": "bad_loss:rotten"}}, {"bad_loss.py": "1 / 0"})
    shown = run_kplug("show", "rotten")
    assert shown.returncode == 1
    assert "ZeroDivisionError" in shown.stdout
    assert "broken: ZeroDivisionError" in run_kplug("list", "losses").stdout
    doctor = run_kplug("doctor")
    assert doctor.returncode == 1
    assert "loss bad/rotten  ZeroDivisionError" in doctor.stdout


def test_text_of_plugins_cannot_control_the_terminal(run_kplug, install_plugin):
    install_plugin(
        "evil",
        {"kplug.losses": {"evil": "evil_loss:evil"}},
        {"evil_loss.py": "def evil(y_true, y_pred):\n    '\\x1b[31mred\\x07 [bold]markup[/bold]'\n"},
    )
    for arguments in (["show", "evil"], ["list", "losses"]):
        shown = run_kplug(*arguments).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[bold]markup[/bold]" in shown


def test_doctor_reports_versions_backends_and_places(run_kplug):
    report = json.loads(run_kplug("doctor", "--json").stdout)
    assert report["kplug"] == kplug.__version__
    assert report["packages"]["keras"]
    assert report["backends"]["tensorflow"] is True
    assert report["places"]["runs_writable"] is True
    assert any(plugin["distribution"] == "kplug" and not plugin["errors"] for plugin in report["plugins"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "widgets"], "no kind 'widgets'"),
        (["show", "nothing"], "no component 'nothing'"),
        (["train"], "needs a model: kplug train MODEL and a data set: --data NAME"),
        (["train", "vae"], "needs a data set: --data NAME"),
        (["train", "vaee", "--data", "digits"], "Did you mean vae"),
        (["train", "vae", "--data", "digits", "--epochs", "0"], "epochs = 0: should be greater than or equal to 1"),
        (["train", "vae", "--data", "digits", "--epochs", "many"], "valid integer"),
        (["train", "vae", "--data", "digits", "--backend", "mxnet"], "'tensorflow', 'jax' or 'torch'"),
        (["train", "vae", "--data", "digits", "--set", "model.latent_dim=x"], "expected int > 0"),
        (["train", "vae", "--data", "digits", "--loss", "focal_loss"], "computes its loss itself"),
        (["train", "--config", "nothing.toml"], "There is no file nothing.toml"),
        (["train", "vae", "--data", "digits", "--json"], "--json goes with --detach"),
        (["runs", "show", "nothing"], "There is no run 'nothing'"),
        (["nonsense"], "No such command"),
    ],
)
def test_bad_input_gets_one_clear_message_and_leaves_nothing_behind(run_kplug, tmp_path, arguments, message):
    extra = ["--runs-dir", str(tmp_path / "runs")] if arguments[0] in {"train", "runs"} else []
    done = run_kplug(*arguments, *extra, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_runs_directory_that_cannot_be_written_is_named(run_kplug, tmp_path):
    (tmp_path / "file").write_text("")
    done = run_kplug("train", "vae", "--data", "digits", "--runs-dir", str(tmp_path / "file" / "runs"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_text_of_errors_cannot_control_the_terminal(run_kplug, install_plugin):
    source = "raise ValueError('\\x1b[31mred\\x1b]0;owned\\x07')"
    install_plugin("rude", {"kplug.models": {"part": "rude_plugin:part"}}, {"rude_plugin.py": source})
    done = run_kplug("train", "rude/part", "--data", "digits")
    assert done.returncode == 2
    assert "red" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "\x07" not in done.stderr + done.stdout


def test_an_unreadable_config_is_named(run_kplug, tmp_path):
    (tmp_path / "spec.toml").write_text("model = [")
    done = run_kplug("train", "--config", str(tmp_path / "spec.toml"))
    assert done.returncode == 2
    assert "not valid TOML" in done.stderr


def test_no_runs_is_not_an_error(run_kplug, tmp_path):
    done = run_kplug("runs", "list", "--runs-dir", str(tmp_path))
    assert done.returncode == 0
    assert "No runs yet" in done.stdout
    assert json.loads(run_kplug("runs", "list", "--json", "--runs-dir", str(tmp_path)).stdout) == []


@pytest.mark.slow
def test_a_run_from_the_command_line_from_beginning_to_end(run_kplug, tmp_path):
    config = tmp_path / "spec.toml"
    config.write_text(
        'model = {name = "vae", parameters = {architecture = "dense", latent_dim = 3}}\n'
        'dataset = "digits"\n'
        "epochs = 9\n"
    )
    root = ["--runs-dir", str(tmp_path / "runs")]
    done = run_kplug(
        "train", "--config", str(config), "--epochs", "2", "--set", "model.latent_dim=2", "--name", "mine", *root
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stdout
    assert "batches/s" in done.stdout
    assert "samples.png" in done.stdout

    (listed,) = json.loads(run_kplug("runs", "list", "--json", *root).stdout)
    assert (listed["name"], listed["state"]) == ("mine", "completed")
    assert (listed["model"], listed["dataset"]) == ("kplug/vae", "kplug/digits")
    assert listed["metrics"]["loss"] > 0

    shown = json.loads(run_kplug("runs", "show", "mine", "--json", *root).stdout)
    assert shown["spec"]["model"]["parameters"] == {"architecture": "dense", "latent_dim": 2}
    assert shown["spec"]["epochs"] == 2
    assert any(path.endswith("model.keras") for path in shown["artifacts"])
    assert "completed" in run_kplug("runs", "show", "mine", *root).stdout
    assert "epoch 2/2" in run_kplug("runs", "log", "mine", *root).stdout
    assert "already ended" in run_kplug("runs", "stop", "mine", *root).stdout


@pytest.mark.slow
def test_a_detached_run_is_stopped_from_another_command(run_kplug, tmp_path):
    root = ["--runs-dir", str(tmp_path)]
    done = run_kplug("train", "vae", "--data", "digits", "--epochs", "100000", "--detach", "--json", *root)
    run_id = json.loads(done.stdout)["id"]
    assert "asked to stop" in run_kplug("runs", "stop", run_id, *root).stdout
    run_kplug("runs", "log", "--follow", run_id, *root)
    assert json.loads(run_kplug("runs", "show", run_id, "--json", *root).stdout)["state"] == "stopped"


@pytest.mark.slow
def test_a_killed_run_is_resumed_and_a_changed_copy_of_it_started(run_kplug, tmp_path):
    root = ["--runs-dir", str(tmp_path)]
    begun = ("train", "vae", "--data", "digits", "--epochs", "400", "--name", "first", "--detach", *root)
    run_id = run_kplug(*begun).stdout.strip()
    refused = run_kplug("runs", "resume", run_id, *root)
    assert refused.returncode == 2
    assert "Stop it first" in refused.stderr
    assert "was killed" in run_kplug("runs", "kill", "first", *root).stdout
    lost = json.loads(run_kplug("runs", "show", run_id, "--json", *root).stdout)
    assert (lost["state"], lost["status"]["error"]) == ("lost", "it was killed, as somebody asked")
    gone = run_kplug("runs", "kill", run_id, *root)
    assert gone.returncode == 2
    assert "no process to kill" in gone.stderr
    assert run_kplug("runs", "resume", run_id, "--detach", *root).stdout.strip() == run_id
    run_kplug("runs", "stop", run_id, *root)
    run_kplug("runs", "log", "--follow", run_id, *root)
    assert json.loads(run_kplug("runs", "show", run_id, "--json", *root).stdout)["state"] == "stopped"
    changes = ("--set", "model.latent_dim=3", "--epochs", "1", "--seed", "5", "--name", "second")
    copied = run_kplug("runs", "clone", "first", *changes, *root)
    assert copied.returncode == 0, copied.stderr
    shown = json.loads(run_kplug("runs", "show", "second", "--json", *root).stdout)
    assert (shown["state"], shown["spec"]["epochs"], shown["spec"]["seed"]) == ("completed", 1, 5)
    assert shown["spec"]["model"]["parameters"] == {"latent_dim": 3}


@pytest.mark.slow
def test_a_failed_run_shows_its_error_and_exit_code(run_kplug, install_plugin, tmp_path):
    install_plugin(
        "bad", {"kplug.datasets": {"rotten": "bad_data:rotten"}}, {"bad_data.py": "def rotten():\n    return 1 / 0\n"}
    )
    done = run_kplug("train", "vae", "--data", "rotten", "--runs-dir", str(tmp_path))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert "failed" in done.stdout


@pytest.mark.slow
def test_data_that_do_not_fit_the_model_are_refused_and_leave_nothing_behind(run_kplug, install_plugin, tmp_path):
    source = """
        import numpy as np
        import kplug

        def temperatures():
            x = np.linspace(-20, 40, 60, dtype="float32").reshape(20, 3)
            return kplug.Dataset(train=(x, None))
    """
    install_plugin("warm", {"kplug.datasets": {"temperatures": "warm_data:temperatures"}}, {"warm_data.py": source})
    done = run_kplug("train", "vae", "--data", "temperatures", "--runs-dir", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert "data must lie between 0 and 1. Received values from -20 to 40" in done.stderr
    assert list((tmp_path / "runs").iterdir()) == []
