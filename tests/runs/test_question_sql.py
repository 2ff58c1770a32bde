"""Questions asked of the index's file have the answers that they have when asked of the summaries one by one."""

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kplug.errors import QueryError
from kplug.runs.freshness import Look
from kplug.runs.index_file import index_file
from kplug.runs.query import fields_of, has_value, ordered, predicate_of, sorted_by, value_of
from kplug.runs.question import parse

TEXTS = st.text("aAßéK/.,_ 1-eE\n\"'%\\", max_size=5)
IDS = st.sampled_from(["kplug/vae", "acme/vae", "kplug/VQVAE", "vae", "a/b/vae", "kplug/", "5"])
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.3, 2.0**53, 2**53 + 1, -0.0, 1e300]),
)
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.lists(st.integers(0, 2), max_size=2))
PARAMETERS = st.dictionaries(
    st.sampled_from(["model.beta", "loss.beta", "model.deep", "loss.gamma", "optimizer.val_loss", "beta", "a.b.deep"]),
    VALUES,
    max_size=4,
)
METRICS = st.dictionaries(st.sampled_from(["loss", "val_loss", "beta", "test.loss"]), st.none() | NUMBERS, max_size=3)


@st.composite
def summaries(draw):
    """Runs as `summary_of` would sum them up, newest first."""
    count = draw(st.integers(1, 6))
    return [
        {
            "id": f"run-{number}",
            "name": draw(st.none() | TEXTS),
            "tags": draw(st.lists(TEXTS, max_size=3)),
            "state": draw(st.sampled_from(["completed", "failed"])),
            "model": draw(st.none() | IDS),
            "epoch": draw(st.one_of(st.none(), NUMBERS, TEXTS)),
            "metrics": draw(METRICS),
            "test_metrics": draw(METRICS),
            "parameters": draw(PARAMETERS),
        }
        for number in reversed(range(count))
    ]


FIELDS = st.sampled_from(
    [
        *("id", "name", "tags", "state", "model", "epoch", "loss", "val_loss", "beta", "deep", "gamma"),
        *("metrics.loss", "test.loss", "model.beta", "loss.gamma", "metrics", "b.deep"),
    ]
)


@st.composite
def comparisons(draw):
    value = draw(
        st.one_of(
            NUMBERS.map(str),
            IDS,
            st.sampled_from(["true", "VAE", "inf", "-inf", "nan", "0.30", "1_0", "[1]", "none", "completed", "c"]),
            TEXTS.filter(lambda text: '"' not in text).map(lambda text: f'"{text}"'),
        )
    )
    field = draw(FIELDS | st.sampled_from(["model", "tags", "epoch"]))
    return f"{field} {draw(st.sampled_from(['=', '==', '!=', '<', '<=', '>', '>=', '~']))} {value}"


QUESTIONS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=5,
)


@contextlib.contextmanager
def stored(folder, runs):
    """Open the index of a new folder with runs in it."""
    with index_file(folder) as file:
        file.store(Look({run["id"]: run for run in runs}, {run["id"]: 1 for run in runs}, []))
        yield file


@settings(max_examples=400)
@given(
    runs=summaries(), question=QUESTIONS, sort=st.none() | FIELDS | FIELDS.map("-{}".format), limit=st.integers(1, 7)
)
@example([{"id": "a", "tags": [], "epoch": 2**53}], "tags != x and epoch = 9007199254740992", None, 1)
@example([{"id": "a", "tags": ["x"], "epoch": 2**53 + 1}], "tags = x and epoch > 9007199254740992", "-epoch", 1)
@example([{"id": "a", "tags": [], "model": "kplug/vae"}], "model = VAE and not model = ae", None, 1)
@example([{"id": "a", "tags": [], "model": "a/b/vae"}], "model = b/vae or model != vae", None, 1)
@example([{"id": "a", "tags": [], "epoch": True}], "epoch = 1 or epoch ~ ''", "epoch", 1)
def test_the_file_answers_as_the_summaries_do(tmp_path_factory, runs, question, sort, limit):
    expected = list(filter(predicate_of(parse(question)), runs))
    expected = expected if sort is None else sorted_by(expected, sort)
    with stored(tmp_path_factory.mktemp("runs"), runs) as file:
        assert file.answers(parse(question), sort, limit) == expected[:limit]
        assert file.answers(parse(question), sort, None) == expected


@given(runs=summaries(), field=FIELDS)
def test_fields_are_the_same_one_by_one_and_together(runs, field):
    for run in runs:
        value = value_of(run, field)
        assert (field in fields_of(run)) == (has_value(value) or value is None)
        assert not has_value(value) or fields_of(run)[field] == value


def test_what_is_forgotten_leaves_no_field_behind(tmp_path):
    before = {"id": "a", "tags": ["x", "y"], "metrics": {"loss": 1.0}, "parameters": {"model.deep": True}}
    after = {"id": "a", "tags": ["z"], "metrics": {"accuracy": 1.0}}
    with stored(tmp_path, [before]) as file:
        assert file.has_field("deep")
        file.store(Look({"a": after}, {"a": 2}, ["a"]))
        assert [file.has_field(name) for name in ("deep", "loss", "metrics.loss", "accuracy")] == [False] * 3 + [True]
        assert file.answers(parse("tags=x or tags=y"), None, None) == []
        assert file.answers(parse("tags=z"), None, None) == [after]
        file.store(Look({}, {}, ["a"]))
        assert file.changes() == {}
        assert not file.has_field("id")


@pytest.mark.parametrize("depth", [10_000, 100_000])
def test_too_many_parentheses_are_refused(depth):
    with pytest.raises(QueryError, match="too many parentheses"):
        parse("(" * depth + "epoch=1" + ")" * depth)


def test_ordered_insists_on_a_field_that_some_run_has():
    with pytest.raises(QueryError, match=r"No run has a field 'gama'\. Did you mean gamma"):
        ordered([{"id": "a", "parameters": {"gamma": 1}}], "gama")
