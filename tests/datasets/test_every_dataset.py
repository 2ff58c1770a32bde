"""What holds for every data set that needs no download: it is one as kplug uses them."""

import pytest

from kplug import datasets
from kplug.testing import check_dataset

CASES = {
    "digits": {},
    "digits, nothing to validate": {"validation_fraction": 0.0, "seed": 3},
    "iris": {},
    "wine": {},
    "breast_cancer": {"standardize": False},
    "diabetes": {},
    "moons": {"num_samples": 60, "noise": 0.2},
    "blobs": {"num_samples": 60},
    "gaussian_grid": {"num_samples": 200},
    "imbalanced": {"num_samples": 400},
    "synthetic_topics": {
        "train_documents": 80,
        "test_documents": 20,
        "vocabulary_size": 50,
    },
    "python_docs": {},
}


@pytest.mark.neutral
@pytest.mark.parametrize("case", CASES)
def test_a_data_set_is_one_as_kplug_uses_them(case):
    check_dataset(getattr(datasets, case.partition(",")[0]), CASES[case])
