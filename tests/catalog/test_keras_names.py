"""The names by which Keras saves what has not named itself."""

import keras
import pytest

from kplug.catalog.keras_names import give_keras_name, parameters_in, with_parameters, without_parameters


def name_of(described):
    return keras.saving.get_registered_name(described)


def gap(y_true, y_pred, width=1.0):
    return width * keras.ops.mean(y_true - y_pred, axis=-1)


@pytest.fixture(autouse=True)
def _forget():
    yield
    for name in [one for one in keras.saving.get_custom_objects() if "shape.py>" in one or "own>" in one]:
        del keras.saving.get_custom_objects()[name]


def test_what_has_no_name_gets_one_and_what_has_keeps_it():
    class Plain(keras.layers.Layer):
        pass

    @keras.saving.register_keras_serializable(package="own")
    class Named(keras.layers.Layer):
        pass

    for described in (Plain, Named, keras.layers.Dense):
        give_keras_name(described, "shape.py")
    assert [name_of(one) for one in (Plain, Named, keras.layers.Dense)] == ["shape.py>Plain", "own>Named", "Dense"]


@pytest.mark.parametrize("namespace", ["shape.py", "odd {shape.py"])
def test_a_function_with_parameters_has_them_in_its_name(namespace):
    def distance(y_true, y_pred, width=1.0):
        return width

    give_keras_name(distance, namespace)
    bound = with_parameters(distance, {"width": 2.5, "text": "a>b{c}"})
    assert name_of(bound) == f'{namespace}>distance{{"text": "a>b{{c}}", "width": 2.5}}'
    assert parameters_in(name_of(bound)) == (f"{namespace}>distance", {"text": "a>b{c}", "width": 2.5})
    assert without_parameters(name_of(bound)) == f"{namespace}>distance"


def test_a_name_without_parameters_is_itself():
    assert parameters_in("shape.py>Plain") == ("shape.py>Plain", None)


def test_parameters_that_json_cannot_hold_are_set_all_the_same():
    give_keras_name(gap, "shape.py")
    bound = with_parameters(gap, {"width": keras.ops.convert_to_tensor(2.0)})
    assert float(bound(keras.ops.ones(3), keras.ops.zeros(3))) == 2.0
    assert name_of(bound) == "gap"
