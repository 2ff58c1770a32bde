"""`kplug plugins …` as a person types it."""

import json

import pytest

pytestmark = pytest.mark.neutral


@pytest.fixture
def acme(install_plugin, home):
    return install_plugin(
        "kplug-acme",
        {"kplug.losses": {"wavelet": "kplug_acme:wavelet"}},
        {"kplug_acme.py": "raise RuntimeError('ran')"},
    )


def test_plugins_are_listed_with_state_and_components(acme, run_kplug):
    done = run_kplug("plugins", "list")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("kplug-acme"))
    assert line.split() == ["kplug-acme", "1.0", "enabled", "1:", "wavelet"]


def test_plugins_as_json(acme, run_kplug):
    (found,) = (
        one for one in json.loads(run_kplug("plugins", "list", "--json").stdout) if "acme" in one["distribution"]
    )
    assert found == {
        "distribution": "kplug-acme",
        "version": "1.0",
        "state": "enabled",
        "error": None,
        "components": [{"kind": "loss", "id": "acme/wavelet"}],
    }


def test_a_disabled_plugin_is_gone_from_every_command_until_it_is_enabled(acme, run_kplug):
    assert run_kplug("plugins", "disable", "acme").stderr == "kplug-acme 1.0 is disabled.\n"
    assert "acme/wavelet" not in run_kplug("list").stdout
    shown = run_kplug("show", "acme/wavelet")
    assert shown.returncode == 2
    assert "acme/wavelet is of kplug-acme, which is disabled: kplug plugins enable kplug-acme" in shown.stderr
    trained = run_kplug("train", "vae", "--data", "digits", "--loss", "acme/wavelet")
    assert "which is disabled: kplug plugins enable kplug-acme" in trained.stderr
    assert "kplug-acme  1.0 1 components, disabled" in run_kplug("doctor").stdout
    assert run_kplug("plugins", "enable", "kplug-acme").stderr == "kplug-acme 1.0 is enabled.\n"
    assert "acme/wavelet" in run_kplug("list").stdout


def test_an_empty_allow_list_leaves_kplug_alone(acme, run_kplug):
    listed = run_kplug("list", "losses", env={"KPLUG_PLUGINS": ""}).stdout
    assert "acme/wavelet" not in listed
    assert "kplug/focal_loss" in listed


def test_a_file_is_trusted_as_it_is_and_a_module_by_its_name(run_kplug, home, tmp_path):
    (tmp_path / "idea.py").write_text("")
    said = [run_kplug("plugins", "trust", one, cwd=tmp_path).stderr for one in ("idea.py", "kplug.losses:FocalLoss")]
    assert said == ["idea.py is trusted as it is now.\n", "kplug.losses:FocalLoss is trusted.\n"]
