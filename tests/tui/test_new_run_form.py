"""The form for a new run without its screen: what it makes of what was chosen and typed."""

import itertools
import json
import shlex
import tomllib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kplug.catalog.description import describe_all
from kplug.catalog.parameters import fits, parse_value
from kplug.plain_text import safe_line
from kplug.runs.completion import complete
from kplug.runs.spec import read_spec_values
from kplug_tui.new_run_form import NewRunForm
from kplug_tui.new_run_help import documentation_of
from kplug_tui.new_run_rows import candidates_of, problem_with, problems_of, rows_of
from kplug_tui.run_fields import choices_of, run_parameters
from kplug_tui.spec_text import CannotBeSaidError, command_of, json_of, text_of, toml_of

pytestmark = pytest.mark.neutral


def form_with(**chosen):
    """Return a form that knows all descriptions, with these components chosen."""
    form = NewRunForm()
    form.descriptions.update(describe_all(form.unknown()))
    for place, name in chosen.items():
        form.choose((place,), name)
    return form


def row(form, *place):
    return next(one for one in rows_of(form) if one.place == place)


def fitting(form, *place):
    return {one.title for one in candidates_of(form, place) if one.fits and one.id}


@pytest.fixture
def asked(monkeypatch):
    """Give a function that runs a command through kplug's own command line and returns the spec that it would start."""
    from kplug.cli.app import app

    started = []

    def launch(spec, root, max_running=None, parent=None):
        started.append((spec, max_running))
        return SimpleNamespace(id="a-run", directory=SimpleNamespace(path=root))

    monkeypatch.setattr("kplug.runs.launch.launch", launch)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)

    def run(command):
        program, *arguments = shlex.split(command)
        assert program == "kplug"
        result = CliRunner().invoke(app, [*arguments, "--detach"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return started[-1]

    return run


# Choosing


def test_an_empty_form_asks_for_a_model_and_a_data_set():
    assert [problem for _, problem in problems_of(rows_of(form_with()))] == ["Choose a model.", "Choose a data set."]


def test_only_what_fits_the_model_can_be_chosen_and_the_others_say_why():
    form = form_with(model="neural_topic_model")
    assert "synthetic_topics" in fitting(form, "dataset")
    assert "digits" not in fitting(form, "dataset")
    digits = next(one for one in candidates_of(form, ("dataset",)) if one.title == "digits")
    assert digits.note.endswith("; model neural_topic_model is for topic-modeling")
    assert fitting(form, "loss") == set()
    assert fitting(form, "metrics") == {"topic_coherence", "topic_diversity"}
    assert "adam" in fitting(form, "optimizer")


def test_those_that_fit_come_first():
    fits = [one.fits for one in candidates_of(form_with(model="augmented_cnn"), ("loss",))]
    assert True in fits
    assert False in fits
    assert fits == sorted(fits, reverse=True)


def test_a_model_can_be_chosen_that_does_not_fit_the_data_set_which_then_is_wrong():
    form = form_with(dataset="digits")
    assert "neural_topic_model" in fitting(form, "model")
    form.choose(("model",), "neural_topic_model")
    assert "topic-modeling" in row(form, "dataset").problem
    assert row(form, "model").problem is None


def test_a_model_without_a_loss_needs_one(install_plugin):
    install_plugin(
        "kplug-lossless",
        {"kplug.models": {"lossless": "kplug_lossless:lossless"}},
        {
            "kplug_lossless.py": """
                import kplug

                @kplug.component(tasks=["image-classification"])
                def lossless(width: int):
                    "A classifier."
            """
        },
    )
    form = form_with(model="lossless", dataset="digits")
    assert problems_of(rows_of(form)) == [
        (("model", "width"), "model's width: required."),
        (("loss",), "Lossless brings none: choose one."),
    ]


def test_a_component_whose_description_has_yet_to_arrive_can_be_chosen():
    form = NewRunForm()
    assert {one.note for one in candidates_of(form, ("model",))} == {"…"}
    form.choose(("model",), "vae")
    assert row(form, "model").hint == "being read …"
    form.set(("model", "latent_dim"), "5")
    form.descriptions.update(describe_all(form.unknown()))
    assert row(form, "model", "latent_dim").text == "5"


def test_a_broken_component_says_so(install_plugin, home):
    install_plugin("bad", {"kplug.datasets": {"rotten": "bad_data:rotten"}}, {"bad_data.py": "1 / 0"})
    form = NewRunForm()
    form.descriptions.update(describe_all(one for one in form.unknown() if one.namespace == "bad"))
    rotten = next(one for one in candidates_of(form, ("dataset",)) if one.title == "bad/rotten")
    assert not rotten.fits
    assert "ZeroDivisionError" in rotten.note


def test_metrics_can_be_added_and_taken_away():
    form = form_with(model="augmented_cnn")
    first = form.choose(("metrics",), "expected_calibration_error")
    second = form.choose(("metrics",), "matthews_correlation")
    form.set((*first, "num_bins"), "5")
    assert form.values()["metrics"] == [
        {"name": "kplug/expected_calibration_error", "parameters": {"num_bins": 5}},
        {"name": "kplug/matthews_correlation"},
    ]
    assert form.choose(first, "") == ("metrics",)
    assert form.text(second) == "matthews_correlation"
    assert form.values()["metrics"] == [{"name": "kplug/matthews_correlation"}]


# Fields


def test_parameters_have_their_defaults_types_and_limits():
    latent_dim = row(form_with(model="vae"), "model", "latent_dim")
    assert (latent_dim.sort, latent_dim.default, latent_dim.hint) == ("text", "2", "int > 0")
    architecture = row(form_with(model="vae"), "model", "architecture")
    assert (architecture.sort, architecture.choices) == ("choice", ("auto", "convolutional", "dense"))


def test_parameters_that_take_python_objects_are_only_explained():
    form = form_with(model="vae")
    assert not [one for one in rows_of(form) if one.place == ("model", "encoder")]
    assert "Set from Python only: prior, encoder, decoder" in documentation_of(form, row(form, "model"))[1]


def test_what_the_data_set_gives_need_not_be_typed():
    form = form_with(model="augmented_cnn")
    assert row(form, "model", "num_classes").problem == "required"
    form.choose(("dataset",), "digits")
    num_classes = row(form, "model", "num_classes")
    assert (num_classes.default, num_classes.problem) == ("from the data set", None)


def test_what_the_run_gives_a_schedule_need_not_be_typed():
    form = form_with(model="vae", dataset="digits", schedule="cosine_decay")
    assert row(form, "schedule", "initial_learning_rate").default == "from the run"
    assert problems_of(rows_of(form)) == []


@pytest.mark.parametrize(
    ("place", "text", "problem"),
    [
        (("model", "latent_dim"), "0", "expected int > 0"),
        (("model", "latent_dim"), "two", "expected int > 0"),
        (("model", "latent_dim"), "3", None),
        (("model", "filters"), "[8, 16]", None),
        (("model", "filters"), "8", "expected list of int > 0"),
        (("epochs",), "0", "expected int >= 1"),
        (("epochs",), " 3 ", None),
        (("device",), "gpu:0,1", None),
        (("device",), "tpu", "expected str"),
        (("checkpoint_seconds",), "-1", "expected float >= 0 or null"),
        (("max_running",), "0", "expected int >= 1 or null"),
        (("name",), "a/b", None),
        (("backend",), "mxnet", 'expected "tensorflow" or "jax" or "torch"'),
    ],
)
def test_texts_are_checked_as_they_are_typed(place, text, problem):
    form = form_with(model="vae", dataset="digits")
    form.set(place, text)
    assert row(form, *place).problem == problem


def test_a_backend_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    form = NewRunForm()
    form.set(("backend",), "jax")
    assert row(form, "backend").problem == "not installed"


def test_what_a_name_may_not_be_is_said():
    form = form_with()
    form.set(("name",), "x" * 201)
    assert row(form, "name").problem


def test_the_first_parameter_and_those_that_are_set_show_while_the_others_are_folded():
    form = form_with(model="vae")
    form.set(("optimizer", "beta_1"), "0.8")
    shown = [one.label for one in rows_of(form) if one.place[0] == "optimizer"]
    assert shown == ["Optimizer", "learning_rate", "beta_1", "13 more"]
    form.sections["optimizer"].unfolded = True
    assert "epsilon" in [one.label for one in rows_of(form) if one.place[0] == "optimizer"]


def test_texts_are_kept_for_each_component_that_has_stood_in_a_place():
    form = form_with(model="vae")
    form.set(("model", "latent_dim"), "9")
    form.choose(("model",), "vqvae")
    assert "parameters" not in form.values()["model"]
    form.choose(("model",), "VAE")
    assert form.values()["model"]["parameters"] == {"latent_dim": 9}


def test_the_models_own_optimizer_can_be_set_without_choosing_it():
    form = form_with(model="vae", dataset="digits")
    form.set(("optimizer", "learning_rate"), "0.01")
    assert form.values()["optimizer"] == {"name": "kplug/adam", "parameters": {"learning_rate": 0.01}}
    assert row(form, "optimizer").default == "adam (the model's)"


def test_unset_fields_keep_their_defaults():
    assert form_with(model="vae", dataset="digits").values() == {
        "model": {"name": "kplug/vae"},
        "dataset": {"name": "kplug/digits"},
        "backend": "tensorflow",
    }


def test_every_field_of_a_run_is_explained():
    assert all(one.help for one in run_parameters().values())


@pytest.mark.parametrize(
    ("schema", "choices"),
    [
        ({"type": "boolean"}, ("true", "false")),
        ({"enum": ["a", "b"]}, ("a", "b")),
        ({"anyOf": [{"const": "softmax"}, {"type": "null"}]}, ("softmax", "null")),
        ({"anyOf": [{"enum": ["a"]}, {"type": "string"}]}, ()),
        ({"type": "integer"}, ()),
        ({}, ()),
        (None, ()),
        ({"$ref": "#/$defs/E", "$defs": {"E": {"enum": [1, 2]}}}, ("1", "2")),
    ],
)
def test_few_values_become_choices(schema, choices):
    assert choices_of(schema) == choices


# Presets


RICH = {
    "model": {"name": "kplug/augmented_cnn", "parameters": {"filters": [8, 16], "seed": None, "flip": "both"}},
    "dataset": {"name": "kplug/digits", "parameters": {"validation_fraction": 0.2}},
    "loss": {"name": "kplug/sparse_categorical_focal_loss", "parameters": {"alpha": [0.5, 1.0], "name": "3"}},
    "optimizer": {"name": "kplug/adam", "parameters": {"learning_rate": 1e-4, "weight_decay": 0.01}},
    "schedule": {"name": "kplug/cosine_decay", "parameters": {"alpha": 0.1}},
    "metrics": [{"name": "kplug/expected_calibration_error", "parameters": {"num_bins": 5}}],
    "callbacks": [{"name": "kplug/early_stopping", "parameters": {"patience": 3}}],
    "epochs": 3,
    "batch_size": 32,
    "seed": 7,
    "backend": "jax",
    "device": "cpu",
    "precision": "mixed_bfloat16",
    "jit": False,
    "checkpoint_seconds": 5.0,
    "checkpoint_batches": 10,
    "best": "val_loss",
    "name": "-a name, 'quoted' $HOME",
}


def test_a_form_that_is_filled_from_a_run_asks_for_the_same():
    asked_before = complete(RICH)
    form = form_with()
    assert form.fill(asked_before.model_dump()) == []
    assert complete(form.values()) == asked_before


def test_it_does_so_before_descriptions_have_arrived():
    asked_before = complete(RICH)
    form = NewRunForm()
    form.fill(asked_before.model_dump())
    form.descriptions.update(describe_all(form.unknown()))
    assert complete(form.values()) == asked_before


def test_a_damaged_run_fills_what_can_be_used():
    form = form_with()
    problems = form.fill({"model": "vae", "dataset": 3, "metrics": [None, "recall_at_k"], "colour": 1, "epochs": []})
    assert problems == ["dataset names no component.", "metrics names no component.", "colour is no field of a run."]
    assert form.values()["model"] == {"name": "kplug/vae"}
    assert row(form, "epochs").problem == "expected int >= 1"


def test_unknown_components_and_parameters_are_shown_and_can_be_emptied():
    form = form_with()
    form.fill({"model": {"name": "vae", "parameters": {"colour": "red"}}, "dataset": "gone/away"})
    assert row(form, "dataset").problem == "there is no dataset of this name"
    assert row(form, "model", "colour").problem == "vae has no such parameter: empty it"
    form.set(("model", "colour"), "")
    assert not [one for one in rows_of(form) if one.place == ("model", "colour")]


def test_a_form_knows_whether_it_was_changed():
    form = form_with(model="vae")
    before = form.state()
    form.set(("model", "latent_dim"), "3")
    assert form.state() != before
    form.set(("model", "latent_dim"), "")
    assert form.state() == before


# Commands and files


def test_the_command_asks_for_the_same(asked):
    form = form_with()
    form.fill(RICH)
    form.set(("max_running",), "2")
    assert asked(form.command()) == (complete(RICH), 2)


def test_a_short_form_makes_a_short_command():
    assert form_with(model="vae", dataset="digits").command() == "kplug train vae --data digits"


def test_the_command_names_the_backend_that_the_shell_would_not_take(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert form_with(model="vae", dataset="digits").command() == "kplug train vae --data digits --backend tensorflow"


def test_the_toml_file_asks_for_the_same(tmp_path):
    values = {**RICH, "model": {"name": "kplug/augmented_cnn", "parameters": {"filters": [8]}}}
    form = form_with()
    form.fill(values)
    file = tmp_path / "run.toml"
    file.write_text(toml_of(form.values()), encoding="utf-8")
    assert complete(read_spec_values(file)) == complete(values)


def test_what_has_null_is_a_json_file(tmp_path):
    form = form_with()
    form.fill(RICH)
    with pytest.raises(CannotBeSaidError, match="null"):
        toml_of(form.values())
    file = tmp_path / "run.json"
    file.write_text(json_of(form.values()), encoding="utf-8")
    assert complete(read_spec_values(file)) == complete(RICH)


def test_what_has_no_option_says_so():
    form = form_with(model="vae", dataset="digits")
    form.set(("checkpoint_seconds",), "null")
    with pytest.raises(CannotBeSaidError, match="checkpoint_seconds = null has no option"):
        form.command()


def test_two_metrics_of_one_name_with_parameters_have_no_options():
    form = form_with(model="augmented_cnn", dataset="digits")
    for bins in ("5", "10"):
        place = form.choose(("metrics",), "expected_calibration_error")
        form.set((*place, "num_bins"), bins)
        form.set((*place, "name"), f"ece_{bins}")
    with pytest.raises(CannotBeSaidError, match="two expected_calibration_error"):
        form.command()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SCHEMAS = st.sampled_from(
    [
        None,
        {},
        {"type": "string"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    ]
)


@given(JSON, SCHEMAS)
def test_a_value_is_typed_so_that_it_is_read_again(value, schema):
    if schema is None or fits(value, schema):
        assert same(parse_value(text_of(value, schema), schema), value)


@given(JSON)
def test_a_value_as_text_can_be_shown(value):
    text = text_of(value, None)
    assert safe_line(text) == text


WITHOUT_NULL = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), WITHOUT_NULL), st.booleans())
def test_toml_holds_what_was_set(parameters, listed):
    one = {"name": "acme/part", **({"parameters": parameters} if parameters else {})}
    values = {
        "model": one,
        "seed": 3,
        "name": "a\nb\x7f\u202e",
        **({"metrics": [one, {"name": "b"}]} if listed else {}),
    }
    read = tomllib.loads(toml_of(values))
    expected = json.loads(json.dumps(values))
    if not parameters:
        expected["model"] = "acme/part"
        if listed:
            expected["metrics"] = ["acme/part", "b"]
    assert same(read, expected)


@given(st.dictionaries(st.sampled_from(["alpha", "beta"]), JSON), st.text())
def test_a_shell_reads_the_command_as_it_was_meant(parameters, name):
    values = {"model": {"name": "kplug/vae", "parameters": parameters}, "name": name}
    words = shlex.split(command_of(values, lambda *_: None))
    settings = [word for before, word in itertools.pairwise(words) if before == "--set"]
    assert {
        one.partition("=")[0].removeprefix("model."): parse_value(one.partition("=")[2], None) for one in settings
    } == (parameters)


def same(first, second):
    """Say whether two JSON values are equal and of the same types: 1, 1.0 and True differ."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_an_empty_text_is_the_default():
    assert problem_with(run_parameters()["epochs"], "") is None
