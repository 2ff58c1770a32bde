import pytest

from kplug.catalog.parameters import Parameter, check_parameters, parse_value, schema_in_words
from kplug.errors import ParameterError

LATENT_DIM = Parameter("latent_dim", {"type": "integer", "exclusiveMinimum": 0}, default=2)
LIKELIHOOD = Parameter("likelihood", {"enum": ["bernoulli", "gaussian"], "type": "string"}, default="bernoulli")
SCALE = Parameter("scale", {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]})
ENCODER = Parameter("encoder", None)
ALL = (LATENT_DIM, LIKELIHOOD, SCALE, ENCODER)


def check(**values):
    return check_parameters("model vae", "model", ALL, values)


def test_good_values_pass():
    given = {"latent_dim": 16, "likelihood": "gaussian", "scale": 0.5}
    assert check(**given) == given


def test_a_whole_float_becomes_an_integer():
    assert check(latent_dim=16.0) == {"latent_dim": 16}
    assert isinstance(check(latent_dim=16.0)["latent_dim"], int)


def test_whole_floats_in_a_list_become_integers():
    sizes = Parameter("filters", {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]})
    (checked,) = check_parameters("model vae", "model", [sizes], {"filters": [8.0, 16]}).values()
    assert checked == [8, 16]
    assert [type(size) for size in checked] == [int, int]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent_dim": 0}, "model.latent_dim = 0 is not possible for model vae: expected int > 0."),
        ({"latent_dim": "x"}, 'model.latent_dim = "x" is not possible for model vae: expected int > 0.'),
        ({"latent_dim": 2.5}, "model.latent_dim = 2.5 is not possible for model vae: expected int > 0."),
        ({"latent_dim": True}, "model.latent_dim = true is not possible for model vae: expected int > 0."),
        (
            {"likelihood": "poisson"},
            'model.likelihood = "poisson" is not possible for model vae: expected "bernoulli" or "gaussian".',
        ),
        ({"scale": -1}, "model.scale = -1 is not possible for model vae: expected float >= 0 or null."),
        ({"scale": float("nan")}, "model.scale = NaN is not possible for model vae: expected float >= 0 or null."),
        ({"encoder": "mine"}, "model.encoder of model vae takes a Python object; set it from Python code."),
        (
            {"latent_dims": 2},
            "model.latent_dims is unknown: model vae has no parameter 'latent_dims'. Did you mean model.latent_dim?",
        ),
    ],
)
def test_a_bad_value_is_refused_naming_parameter_value_and_expectation(values, message):
    with pytest.raises(ParameterError) as refusal:
        check(**values)
    assert str(refusal.value) == message


def test_every_problem_has_its_own_line():
    with pytest.raises(ParameterError) as refusal:
        check(latent_dim=0, scale=-1, colour="red")
    assert len(str(refusal.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("16", {"type": "integer"}, 16),
        ("3e-4", {"type": "number"}, 3e-4),
        ("true", {"type": "boolean"}, True),
        ("True", {"type": "boolean"}, True),
        ("None", {"type": "null"}, None),
        ("[32, 64]", {"type": "array"}, [32, 64]),
        ("relu", {"type": "string"}, "relu"),
        ("16", {"type": "string"}, "16"),
        ("sixteen", {"type": "integer"}, "sixteen"),
        ("", {"type": "string"}, ""),
        ("1", None, 1),
    ],
)
def test_typed_text_is_read_as_the_parameter_needs_it(text, schema, value):
    assert parse_value(text, schema) == value
    assert type(parse_value(text, schema)) is type(value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, "int >= 1 and <= 9"),
        ({"type": "array", "items": {"type": "number"}}, "list of float"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}]}, "list of (int, int)"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of str"),
        ({"const": "a"}, '"a"'),
        ({"$ref": "#/$defs/Colour", "$defs": {"Colour": {"enum": ["red"], "type": "string"}}}, '"red"'),
        ({}, "any JSON value"),
    ],
)
def test_a_schema_is_put_into_words(schema, words):
    assert schema_in_words(schema) == words
