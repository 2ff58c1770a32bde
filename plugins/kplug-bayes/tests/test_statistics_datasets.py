"""The data sets for A/B tests and anomalies: what is planted is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kplug.testing import check_dataset

import kplug_bayes
from kplug_bayes.datasets.sensor_readings import KINDS

pytestmark = pytest.mark.neutral


def test_the_log_is_a_data_set() -> None:
    check_dataset(kplug_bayes.ab_test_log, {"num_samples": 2000})
    revenue = kplug_bayes.ab_test_log(2000, target="revenue")
    assert (revenue.train[1].shape, revenue.train[1].dtype) == ((1440, 1), np.float32)
    assert "num_classes" not in revenue.info
    converted = kplug_bayes.ab_test_log(2000)
    np.testing.assert_array_equal(revenue.test[0], converted.test[0])
    np.testing.assert_array_equal(revenue.test[1][:, 0] > 0, converted.test[1] == 1)


@pytest.mark.parametrize("parameters", [{"num_samples": 4000}, {"num_samples": 4000, "labels": "kind"}], ids=str)
def test_the_readings_are_a_data_set(parameters: dict[str, Any]) -> None:
    check_dataset(kplug_bayes.sensor_readings, parameters)


def test_the_planted_rates_are_in_the_log() -> None:
    log = kplug_bayes.simulate_ab_test(1_000_000, baseline=0.05, uplift=0.2, order_value=30.0, seed=1)
    for name, rate in (("A", 0.05), ("B", 0.06)):
        mine = log.arm == name
        assert log.rates[name] == pytest.approx(rate)
        assert log.converted[mine].mean() == pytest.approx(rate, abs=4 * np.sqrt(rate / 500_000))
        assert log.revenue[mine].mean() == pytest.approx(rate * 30.0, rel=0.04)
        assert log.revenues[name] == pytest.approx(rate * 30.0)
    assert log.converted[log.returning].mean() == pytest.approx(2 * log.converted[~log.returning].mean(), rel=0.04)
    assert (log.revenue[log.converted] > 0).all()
    assert (log.revenue[~log.converted] == 0).all()
    assert (np.diff(log.day) >= 0).all()
    assert repr(log) == "ABTestLog(1000000 visitors, true A: 0.05 convert, 1.5 revenue; B: 0.06 convert, 1.8 revenue)"


def test_the_data_set_is_the_log() -> None:
    log, data = kplug_bayes.simulate_ab_test(1000, seed=3), kplug_bayes.ab_test_log(1000, seed=3)
    x, y = (np.concatenate([split[part] for split in (data.train, data.validation, data.test)]) for part in (0, 1))
    order = np.argsort(x[:, 2])
    np.testing.assert_array_equal(x[order, 0], log.arm == "B")
    np.testing.assert_array_equal(y[order], log.converted)


def test_faults_are_of_every_kind_in_every_split() -> None:
    data = kplug_bayes.sensor_readings(labels="kind", contamination=0.05)
    for x, y in (data.train, data.validation, data.test):
        counts = np.bincount(y, minlength=len(KINDS))
        assert (counts > 0).all()
        assert counts[1:].sum() / len(y) == pytest.approx(0.05, abs=0.03)
        # A sensor that is stuck has one value for as long as it is.
        stuck = np.flatnonzero((y[1:] == 3) & (y[:-1] == 3))
        assert (np.diff(x, axis=0)[stuck] == 0).any(axis=1).all()
    np.testing.assert_allclose(data.train[0].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(data.train[0].std(axis=0), 1, atol=1e-4)


def test_labels_are_anomalies_where_kinds_are_faults() -> None:
    kinds, labels = (kplug_bayes.sensor_readings(4000, labels=one) for one in ("kind", "anomaly"))
    np.testing.assert_array_equal(kinds.train[0], labels.train[0])
    np.testing.assert_array_equal(kinds.train[1] > 0, labels.train[1])


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        ("ab_test_log", {"num_samples": 5}, "`num_samples` must be a whole number of at least 10"),
        ("ab_test_log", {"target": "clicks"}, "'converted', 'revenue'"),
        ("ab_test_log", {"baseline": 0.7}, "conversion rate of at most 1"),
        ("ab_test_log", {"uplift": -1.0}, "`uplift`"),
        ("ab_test_log", {"order_value": 0.0}, "`order_value`"),
        ("ab_test_log", {"test_fraction": 1.0}, "`test_fraction`"),
        ("ab_test_log", {"num_samples": 10, "test_fraction": 0.95}, "must leave samples to train on"),
        ("ab_test_log", {"seed": -3}, "`seed`"),
        ("sensor_readings", {"num_sensors": 2}, "`num_sensors`"),
        ("sensor_readings", {"contamination": 0.5}, "`contamination`"),
        ("sensor_readings", {"noise": 0.0}, "`noise`"),
        ("sensor_readings", {"labels": "fault"}, "`labels`"),
        ("sensor_readings", {"num_samples": 1000}, "Each split must have 240 readings or more.*a split of 80"),
    ],
)
def test_what_cannot_be_made_is_refused(make: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(kplug_bayes, make)(**parameters)
