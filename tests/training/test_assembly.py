"""What a person is told when components refuse, or return what cannot be used."""

from __future__ import annotations

import sys

import pytest

from kplug.catalog.plugins import disable
from kplug.errors import DataError, ParameterError, UnavailableComponentError
from kplug.runs.spec import RunSpec
from kplug.training.assembly import assemble
from kplug.training.environment import environment

PARTS = """
    import numpy as np

    import kplug
    from kplug.errors import DataError


    @kplug.component(tasks=["tabular-classification"])
    def table(case: str):
        "A table that is not as it should be."
        x, y, info = np.ones((6, 2)), np.arange(6) % 2, {"num_classes": 2, "feature_names": ("age", "height")}
        if case == "torn":
            raise DataError("people.csv, line 7: 'tall' is no number. Correct it.")
        if case == "wrong":
            raise ValueError("`case` must be right")
        if case == "nothing":
            return None
        if case == "nan":
            x[4, 1] = np.nan
        if case == "label":
            y[3] = 2
        return kplug.Dataset(train=(x, y), info=info)


    def model(num_classes: int):
        "No model: data that cannot be used are refused before one is made."
        raise AssertionError("the model was made")
"""


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        ("torn", DataError, r"^people\.csv, line 7: 'tall' is no number\. Correct it\.$"),
        ("wrong", ParameterError, r"dataset rough/table refuses its parameters \(case='wrong'\): `case` must be right"),
        ("nothing", DataError, "data set rough/table returned no training data: NoneType"),
        ("nan", DataError, "The train split has NaN in x in column 'height', first in sample 4"),
        ("label", DataError, "The train split has the label 2 in sample 3"),
    ],
)
def test_data_that_cannot_be_used_are_refused_before_a_model_is_made(install_plugin, case, error, message):
    entry_points = {"kplug.datasets": {"table": "kplug_rough:table"}, "kplug.models": {"void": "kplug_rough:model"}}
    install_plugin("kplug-rough", entry_points, {"kplug_rough.py": PARTS})
    spec = RunSpec.model_validate(
        {"model": {"name": "rough/void"}, "dataset": {"name": "rough/table", "parameters": {"case": case}}}
    )
    with pytest.raises(error, match=message):
        assemble(spec)


SPEC = {"model": {"name": "kplug/augmented_cnn"}, "dataset": {"name": "kplug/digits"}}


def test_a_disabled_plugin_is_not_imported_by_a_worker_that_waited(install_plugin, home):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme_parts:wavelet"}}, {"acme_parts.py": "1 / 0"})
    disable("kplug-acme")
    with pytest.raises(UnavailableComponentError, match="acme/wavelet is of kplug-acme, which is disabled"):
        assemble(RunSpec(**SPEC, loss={"name": "acme/wavelet"}))
    assert "acme_parts" not in sys.modules


def test_a_models_default_loss_that_is_not_there_is_told_of_and_keras_own_is_taken(install_plugin, home):
    source = """
        import keras
        import kplug

        def net(loss):
            @kplug.component(loss=loss)
            def build(num_classes: int):
                return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(num_classes)])
            return build

        own, foreign = net("mse"), net("acme/wavelet")
    """
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme_parts:wavelet", "mse": "acme_parts:mse"}})
    install_plugin(
        "kplug-nets",
        {"kplug.models": {"own": "net_parts:own", "foreign": "net_parts:foreign"}},
        {"net_parts.py": source},
    )
    disable("kplug-acme")
    assert assemble(RunSpec(**{**SPEC, "model": {"name": "nets/own"}})).compile_arguments["loss"] == "mse"
    with pytest.raises(UnavailableComponentError, match="acme/wavelet is of kplug-acme, which is disabled"):
        assemble(RunSpec(**{**SPEC, "model": {"name": "nets/foreign"}}))


def test_the_versions_of_the_plugins_that_a_run_uses_are_known(install_plugin, home):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme_parts:wavelet"}}, version="1.2")
    install_plugin("kplug-other", {"kplug.losses": {"ripple": "acme_parts:wavelet"}})
    versions = environment(RunSpec(**SPEC, loss={"name": "acme/wavelet"}))["versions"]
    assert versions["kplug-acme"] == "1.2"
    assert "kplug-other" not in versions
