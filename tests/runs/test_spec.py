import json

import pytest

from kplug.errors import SpecError
from kplug.runs.spec import RunSpec, read_spec_values, spec_from

MINIMAL = {"model": "vae", "dataset": "digits"}


def test_bare_names_stand_for_components_with_nothing_set():
    spec = spec_from(MINIMAL)
    assert (spec.model.name, spec.model.parameters) == ("vae", {})
    assert (spec.epochs, spec.batch_size, spec.seed, spec.backend) == (10, 128, 0, "tensorflow")


def test_a_spec_survives_its_own_json():
    spec = spec_from({**MINIMAL, "model": {"name": "vae", "parameters": {"latent_dim": 3}}, "name": "mine"})
    assert RunSpec.model_validate(json.loads(spec.model_dump_json())) == spec


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "spec.toml").write_text(
        'dataset = "digits"\nepochs = 3\n[model]\nname = "vae"\nparameters.latent_dim = 3\n'
    )
    (tmp_path / "spec.json").write_text(
        json.dumps({"dataset": "digits", "epochs": 3, "model": {"name": "vae", "parameters": {"latent_dim": 3}}})
    )
    assert spec_from(read_spec_values(tmp_path / "spec.toml")) == spec_from(read_spec_values(tmp_path / "spec.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "spec: epochs = 0: should be greater than or equal to 1."),
        ({"epochs": "3"}, "spec: epochs = '3': should be a valid integer."),
        ({"batch_size": -1}, "spec: batch_size = -1: should be greater than or equal to 1."),
        ({"seed": 2**32}, "spec: seed = 4294967296: should be less than 4294967296."),
        ({"backend": "mxnet"}, "spec: backend = 'mxnet': should be 'tensorflow', 'jax' or 'torch'."),
        ({"model": None}, "spec: model = None"),
        ({"epoch": 3}, "spec: epoch is unknown. Known fields: model, dataset,"),
        ({"model": {"parameters": {}}}, "spec: model.name is missing."),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_expected(change, message):
    with pytest.raises(SpecError) as refusal:
        spec_from({**MINIMAL, **change}, "spec")
    assert str(refusal.value).startswith(message)


def test_a_missing_field_is_named():
    with pytest.raises(SpecError, match=r"spec: dataset is missing\."):
        spec_from({"model": "vae"}, "spec")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spec.toml", b"model = ", "not valid TOML"),
        ("spec.json", b"{", "not valid JSON"),
        ("spec.json", b"\xff\xfe", "not valid JSON"),
        ("spec.json", b"[1]", "must hold a table of fields"),
        ("spec.yaml", b"", "must be a .toml or a .json file"),
    ],
)
def test_an_unusable_file_is_named_with_the_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=message) as refusal:
        read_spec_values(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(SpecError, match="There is no file"):
        read_spec_values(tmp_path / "nothing.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec_values(tmp_path / "folder.toml")
