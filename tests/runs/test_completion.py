"""Everything that was asked is checked before anything starts."""

import pytest

from kplug.catalog.description import describe
from kplug.catalog.resolution import resolve
from kplug.errors import (
    BrokenComponentError,
    IncompatibleComponentsError,
    ParameterError,
    SpecError,
    UnknownComponentError,
)
from kplug.runs.completion import complete, default_optimizer, filled, misfit, needs_loss

VAE_ON_DIGITS = {"model": "VAE", "dataset": "digits"}

PARTS = """
    import kplug

    @kplug.component(tasks=["tabular-regression"], provides=["num_features"])
    def prices():
        "House prices."

    @kplug.component(tasks=["image-classification"], loss="sparse_categorical_crossentropy")
    def classifier(num_classes: int, width: int = 8):
        "A classifier."

    @kplug.component(tasks=["image-classification"])
    def lossless(num_classes: int):
        "A classifier without a loss."

    @kplug.component(tasks=["translation"])
    def translation_loss(y_true, y_pred, weight: float = 1.0):
        "A loss for translation."

    def levels_loss(y_true, y_pred, levels: int):
        "A loss with a parameter that has no default."

    def any_loss(y_true, y_pred):
        "A loss that states no task."

    def secretive():
        "A data set that says nothing of itself."

    @kplug.component(tasks=["image-classification"])
    def needy(sequence_length: int):
        "A model with a need that no image has."
"""


@pytest.fixture
def parts(install_plugin):
    install_plugin(
        "kplug-parts",
        {
            "kplug.datasets": {name: f"kplug_parts:{name}" for name in ("prices", "secretive")},
            "kplug.models": {name: f"kplug_parts:{name}" for name in ("classifier", "lossless", "needy")},
            "kplug.losses": {name: f"kplug_parts:{name}" for name in ("translation_loss", "any_loss", "levels_loss")},
        },
        {"kplug_parts.py": PARTS},
    )


def test_names_become_full_ids_and_the_models_optimizer_is_filled_in():
    spec = complete(VAE_ON_DIGITS)
    assert (spec.model.name, spec.dataset.name, spec.optimizer.name) == ("kplug/vae", "kplug/digits", "kplug/adam")
    assert spec.loss is None


def test_settings_win_over_the_spec():
    spec = complete(
        {**VAE_ON_DIGITS, "model": {"name": "vae", "parameters": {"latent_dim": 3, "beta": 2.0}}},
        ["model.latent_dim=16", "optimizer.learning_rate=3e-4", "data.seed=4", "model.filters=[8]"],
    )
    assert spec.model.parameters == {"latent_dim": 16, "beta": 2.0, "filters": [8]}
    assert spec.optimizer.parameters == {"learning_rate": 3e-4}
    assert spec.dataset.parameters == {"seed": 4}


def test_a_value_may_hold_an_equals_sign_and_spaces(parts):
    with pytest.raises(ParameterError, match=r'model.likelihood = "a = b" is not possible'):
        complete(VAE_ON_DIGITS, ["model.likelihood=a = b"])


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        ({"model": "vaee"}, [], UnknownComponentError, "no model 'vaee'. Did you mean vae"),
        ({"dataset": "digit"}, [], UnknownComponentError, "no dataset 'digit'. Did you mean digits?"),
        ({"optimizer": "adm"}, [], UnknownComponentError, "no optimizer 'adm'. Did you mean adam"),
        (
            {},
            ["model.latent_dim=0"],
            ParameterError,
            "model.latent_dim = 0 is not possible for model vae: expected int > 0",
        ),
        ({}, ["model.latentdim=2"], ParameterError, "Did you mean model.latent_dim?"),
        ({}, ["latent_dim=2"], ParameterError, "expected SECTION.PARAMETER=VALUE"),
        ({}, ["model.latent_dim"], ParameterError, "expected SECTION.PARAMETER=VALUE"),
        ({}, ["colour.red=2"], ParameterError, "SECTION is model, dataset, loss, optimizer"),
        ({}, ["loss.gamma=2"], ParameterError, "no loss was chosen"),
        ({}, ["optimizer.learning_rate=fast"], ParameterError, 'optimizer.learning_rate = "fast" is not possible'),
        ({"loss": "focal_loss"}, [], IncompatibleComponentsError, "model vae computes its loss itself"),
        ({"epochs": -1}, [], SpecError, "epochs = -1"),
        ({"dataset": "prices"}, [], IncompatibleComponentsError, "have no task in common"),
        ({"model": "lossless"}, [], IncompatibleComponentsError, "brings no loss of its own. Choose one with --loss"),
        (
            {"model": "classifier", "loss": "translation_loss"},
            [],
            IncompatibleComponentsError,
            "loss translation_loss is for translation",
        ),
        ({"model": "needy", "loss": "any_loss"}, [], ParameterError, "--set model.sequence_length=…"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(parts, change, settings, error, message):
    with pytest.raises(error) as refusal:
        complete({**VAE_ON_DIGITS, **change}, settings)
    assert message in str(refusal.value)


def test_an_unfit_data_set_is_refused_naming_those_that_fit(parts):
    complete(VAE_ON_DIGITS)
    with pytest.raises(IncompatibleComponentsError, match=r"Data sets that fit: .*digits"):
        complete({**VAE_ON_DIGITS, "dataset": "prices"})


def test_what_the_data_set_provides_need_not_be_set(parts):
    spec = complete({"model": "classifier", "dataset": "digits"})
    assert spec.model.parameters == {}


def test_a_loss_that_shares_a_task_is_accepted(parts):
    spec = complete({"model": "classifier", "dataset": "digits", "loss": "focal_loss"}, ["loss.gamma=5"])
    assert (spec.loss.name, spec.loss.parameters) == ("kplug/focal_loss", {"gamma": 5})


def test_components_that_state_no_task_go_with_all(parts):
    assert complete({"model": "vae", "dataset": "secretive"}).dataset.name == "parts/secretive"
    assert complete({"model": "lossless", "dataset": "digits", "loss": "any_loss"}).loss.name == "parts/any_loss"


def test_a_broken_component_is_named_with_its_error(install_plugin, home):
    install_plugin("bad", {"kplug.datasets": {"rotten": "bad_data:rotten"}}, {"bad_data.py": "1 / 0"})
    with pytest.raises(BrokenComponentError, match=r"dataset bad/rotten \(bad 1\.0\) is broken: ZeroDivisionError"):
        complete({"model": "vae", "dataset": "rotten"})


def test_a_backend_that_is_not_installed_names_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r'backend jax is not installed.*pip install "kplug\[jax\]"'):
        complete({**VAE_ON_DIGITS, "backend": "jax"})


def test_a_data_set_that_states_nothing_may_provide_what_the_model_needs(parts):
    spec = complete({"model": "classifier", "dataset": "secretive"})
    assert spec.model.parameters == {}


def test_a_required_parameter_of_a_loss_is_asked_for(parts):
    values = {"model": "classifier", "dataset": "digits", "loss": "levels_loss"}
    with pytest.raises(ParameterError, match=r"loss levels_loss needs levels: --set loss\.levels="):
        complete(values)
    assert complete(values, ["loss.levels=3"]).loss.parameters == {"levels": 3}


def test_a_metric_is_filled_from_the_data_and_set_by_its_name():
    metrics = ["matthews_correlation", "expected_calibration_error"]
    values = {"model": "augmented_cnn", "dataset": "digits", "metrics": metrics}
    spec = complete(values, ["expected_calibration_error.num_bins=7"])
    assert [one.parameters for one in spec.metrics] == [{}, {"num_bins": 7}]


def test_a_metric_for_another_task_is_refused():
    with pytest.raises(IncompatibleComponentsError, match="metric recall_at_k is for metric-learning"):
        complete({"model": "augmented_cnn", "dataset": "digits", "metrics": ["recall_at_k"]})


@pytest.mark.parametrize("section", ["Matthews-Correlation", "kplug/matthews_correlation"])
def test_a_metric_may_be_called_as_anywhere(section):
    values = {"model": "augmented_cnn", "dataset": "digits", "metrics": ["matthews_correlation"]}
    assert complete(values, [f"{section}.threshold=0.7"]).metrics[0].parameters == {"threshold": 0.7}


def test_two_metrics_of_one_kind_keep_their_own_parameters():
    calibration = "expected_calibration_error"
    metrics = [
        {"name": calibration, "parameters": {"num_bins": 5}},
        {"name": calibration, "parameters": {"num_bins": 15, "name": "ece15"}},
    ]
    values = {"model": "augmented_cnn", "dataset": "digits", "metrics": metrics}
    assert [one.parameters for one in complete(values).metrics] == [one["parameters"] for one in metrics]
    with pytest.raises(ParameterError, match="2 metrics of that name"):
        complete(values, [f"{calibration}.num_bins=3"])
    with pytest.raises(SpecError, match="reported as 'expected_calibration_error'"):
        complete({**values, "metrics": [calibration, calibration]})


def described(kind, name):
    return describe(resolve(name, kind))


def test_why_a_component_does_not_fit_is_said_before_all_are_chosen(parts):
    vae, topics, digits = (
        described("model", "vae"),
        described("model", "neural_topic_model"),
        described("dataset", "digits"),
    )
    classifier, focal = described("model", "classifier"), described("loss", "focal_loss")
    assert misfit(digits) is None
    assert misfit(digits, vae) is None
    assert misfit(digits, topics).endswith("; model neural_topic_model is for topic-modeling")
    assert misfit(topics, dataset=digits).startswith("for topic-modeling; data set digits is for ")
    assert misfit(focal, vae) == "vae computes its loss itself"
    assert misfit(focal, classifier, digits) is None
    assert misfit(described("metric", "recall_at_k"), classifier) == (
        "for metric-learning; model classifier is for image-classification"
    )
    assert misfit(described("dataset", "secretive"), topics) is None


def test_a_broken_component_fits_nothing(install_plugin, home):
    install_plugin("bad", {"kplug.datasets": {"rotten": "bad_data:rotten"}}, {"bad_data.py": "1 / 0"})
    assert "ZeroDivisionError" in misfit(described("dataset", "rotten"))


def test_what_need_not_be_given_is_known_before_all_are_chosen(parts):
    digits, cosine = described("dataset", "digits"), described("schedule", "cosine_decay")
    assert "num_classes" in filled(described("model", "classifier"), digits)
    assert "decay_steps" in filled(cosine, digits)
    assert filled(described("optimizer", "adam"), digits) == ()
    assert needs_loss(described("model", "lossless"))
    assert not needs_loss(described("model", "vae"))
    assert default_optimizer(described("model", "lossless")) == "adam"
