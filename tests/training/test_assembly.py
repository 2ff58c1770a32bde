"""What a person is told when components refuse, or return what cannot be used."""

from __future__ import annotations

import pytest

from kplug.errors import DataError, ParameterError
from kplug.runs.spec import RunSpec
from kplug.training.assembly import assemble

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
