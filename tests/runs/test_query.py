"""Questions about runs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplug.errors import QueryError
from kplug.runs.query import matching, ordered


def run(number, **fields):
    return {
        "id": f"run-{number}",
        "name": None,
        "state": "completed",
        "model": "kplug/vae",
        "epoch": 10,
        "metrics": {},
        "test_metrics": {},
        "parameters": {},
        **fields,
    }


RUNS = [
    run(
        0, metrics={"val_loss": 0.25, "loss": 0.1}, parameters={"model.latent_dim": 2, "optimizer.learning_rate": 1e-3}
    ),
    run(1, metrics={"val_loss": 0.35}, parameters={"model.latent_dim": 16}, state="failed", name="Big One"),
    run(2, metrics={"val_loss": None}, model="acme/vae", test_metrics={"loss": 3.0}, parameters={"model.deep": True}),
    run(
        3,
        model="kplug/augmented_cnn",
        loss_name="kplug/focal_loss",
        state="running",
        parameters={"model.filters": [8, 16], "loss.gamma": 2.0},
    ),
]


def asked(question):
    return [int(one["id"].removeprefix("run-")) for one in matching(RUNS, question)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("val_loss<0.3", [0]),
        ("val_loss <= 0.35", [0, 1]),
        ("val_loss>=.25 and val_loss < 3e-1", [0]),
        ("model=vae", [0, 1, 2]),
        ("model=VAE", [0, 1, 2]),
        ("model=kplug/vae", [0, 1]),
        ("model!=vae", [3]),
        ("model~aug", [3]),
        ("state = completed", [0, 2]),
        ("state=failed or state=running", [1, 3]),
        ("not state=completed", [1, 3]),
        ("not (state=failed or state=running) and model=vae", [0, 2]),
        ("state=failed or state=completed and model=acme/vae", [1, 2]),
        ("model.latent_dim=16", [1]),
        ("latent_dim>2", [1]),
        ("learning_rate=0.001", [0]),
        ("deep=true", [2]),
        ("test.loss>2", [2]),
        ("metrics.loss<1", [0]),
        ("loss<1", [0]),
        ("loss_name=focal_loss", [3]),
        ("name='big one'", [1]),
        ('name~"g o"', [1]),
        ("epoch=10", [0, 1, 2, 3]),
        ("val_loss!=0.25", [1]),
        ("gamma=2", [3]),
        ("filters='[8, 16]'", [3]),
        ("state<d", [0, 2]),
        ("epoch<abc", []),
    ],
)
def test_a_question_finds_its_runs(question, expected):
    assert asked(question) == expected


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("val_loss", "it ends where an operator after 'val_loss' is expected"),
        ("val_loss<", "a value after val_loss< is expected"),
        ("val_loss<0.3 and", "a field is expected"),
        ("(val_loss<0.3", "closing parenthesis is missing"),
        ("val_loss<0.3)", r"unexpected '\)'"),
        ("val_loss<0.3 model=vae", "unexpected 'model'"),
        ("<0.3", "'<' stands where a field is expected"),
        ("name='open", "cannot be read from"),
        ("val_los<0.3", "No run has a field 'val_los'. Did you mean val_loss"),
        ("zzz=1", "No run has a field 'zzz'.*Operators"),
    ],
)
def test_what_is_no_question_is_refused(question, named):
    with pytest.raises(QueryError, match=named):
        asked(question)


def test_of_no_runs_anything_may_be_asked():
    assert matching([], "anything=1") == []


@given(st.text(max_size=30))
def test_any_text_is_answered_or_refused_in_words(question):
    try:
        found = matching(RUNS, question)
    except QueryError as error:
        assert str(error)
    else:
        assert all(one in RUNS for one in found)


def test_runs_are_sorted_by_a_field_and_those_without_it_come_last():
    def numbers(field):
        return [int(one["id"].removeprefix("run-")) for one in ordered(RUNS, field)]

    assert numbers("val_loss") == [0, 1, 2, 3]
    assert numbers("-val_loss") == [1, 0, 2, 3]
    assert numbers("-id") == [3, 2, 1, 0]
    assert numbers("latent_dim") == [0, 1, 2, 3]
    with pytest.raises(QueryError, match="No run has a field 'val_lss'"):
        numbers("val_lss")


DAY = 86400.0


def test_moments_are_compared_with_dates_and_ages():
    now = time.time()
    runs = [
        {"id": "old", "created": now - 3 * DAY},
        {"id": "new", "created": now - 60},
        {"id": "none", "created": None},
    ]

    def fitting(question):
        return [run["id"] for run in matching(runs, question)]

    assert fitting("created>2d") == ["new"]
    assert fitting("created<2d") == ["old"]
    assert fitting(f"created<{time.strftime('%Y-%m-%d', time.localtime(now - 2 * DAY))}") == ["old"]
    assert fitting(f"created>'{time.strftime('%Y-%m-%d %H:%M', time.localtime(now - DAY))}'") == ["new"]
    assert fitting(f"created>={now - 61}") == ["new"]
    with pytest.raises(QueryError, match="created is a moment: compare it with a date, as in 2026-11-20"):
        fitting("created>yesterday")
