"""`text`: folders, sections, lines, and what is said of texts that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from kplug.datasets import text
from kplug.errors import DataError

ALL = {"min_documents": 1, "max_document_share": 1.0}
ANIMALS = [f"dog {'cat ' * number}" for number in range(1, 11)]
PLANTS = [f"oak {'elm ' * number}" for number in range(1, 11)]


def write(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(texts):
        (folder / f"{number}.txt").write_text(content, encoding="utf-8")


def everything(data):
    return np.concatenate([split[0] for split in (data.train, data.validation, data.test)])


def test_a_document_on_each_line_has_no_label(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(ANIMALS + PLANTS).encode())
    data = text(file, **ALL)
    assert data.info == {
        "input_shape": (4,),
        # In total: cat 55, elm 55, dog 10, oak 10.
        "vocabulary": ("cat", "elm", "dog", "oak"),
        "vocabulary_size": 4,
    }
    assert [len(split) for split in (data.train, data.validation, data.test)] == [1, 1, 1]
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [14, 2, 4]
    assert everything(data).dtype == np.float32
    np.testing.assert_array_equal(everything(data).sum(axis=0), [55, 55, 10, 10])


def test_a_folder_of_files_has_no_label(tmp_path):
    write(tmp_path, ANIMALS)
    (tmp_path / "readme.md").write_text("not a document")
    (tmp_path / ".hidden.txt").write_text("neither is this")
    data = text(tmp_path, **ALL)
    assert len(data.train) == 1
    assert data.info["vocabulary"] == ("cat", "dog")
    assert len(everything(data)) == 10


def test_one_folder_inside_has_no_label(tmp_path):
    write(tmp_path / "animals", ANIMALS)
    assert len(text(tmp_path, **ALL).train) == 1


def test_folders_inside_are_sections(tmp_path):
    write(tmp_path / "plants", PLANTS)
    write(tmp_path / "animals", ANIMALS)
    data = text(tmp_path, **ALL)
    assert data.info["class_names"] == ("animals", "plants")
    assert data.info["num_classes"] == 2
    x, y = data.train
    assert (y.dtype, y.shape) == (np.int64, (14,))
    oak = x[:, data.info["vocabulary"].index("oak")]
    np.testing.assert_array_equal(y, oak)


def test_documents_without_a_word_of_the_vocabulary_are_left_out(tmp_path):
    write(tmp_path / "animals", [*ANIMALS, "the of and"])
    write(tmp_path / "plants", [*PLANTS, "unique"])
    data = text(tmp_path, min_documents=2, max_document_share=1.0)
    assert len(everything(data)) == 20


def rows(split):
    return {row.tobytes() for row in split[0]}


@pytest.mark.parametrize("seed", range(5))
def test_documents_that_recur_are_all_kept_in_one_split(tmp_path, seed):
    again = ["Cat! Cat, DOG."] * 3 + ["elm oak"] * 2
    write(tmp_path / "animals", ANIMALS + again)
    write(tmp_path / "plants", PLANTS + again)
    data = text(tmp_path, **ALL, seed=seed)
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [22, 2, 6]
    assert not rows(data.train) & rows(data.validation)
    assert not rows(data.test) & (rows(data.train) | rows(data.validation))


def test_too_few_different_documents(tmp_path):
    write(tmp_path, ["cat dog"] * 8 + ["cat"] * 7)
    with pytest.raises(DataError, match="has 15 samples, 2 different ones: too few"):
        text(tmp_path, **ALL)


def test_the_vocabularys_parameters_are_passed_on(tmp_path):
    write(tmp_path, [*ANIMALS, *PLANTS, "the the the"])
    assert text(tmp_path, max_words=1, **ALL).info["vocabulary"] == ("cat",)
    assert "the" in text(tmp_path, stop_words=None, **ALL).info["vocabulary"]


def test_one_seed_gives_one_order_and_another_another(tmp_path):
    write(tmp_path, ANIMALS + PLANTS)
    first, again, other = (text(tmp_path, **ALL, seed=seed).train[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_files_beside_folders_are_refused(tmp_path):
    write(tmp_path, ANIMALS)
    write(tmp_path / "plants", PLANTS)
    with pytest.raises(DataError, match=r"has \.txt files, and more in the folder 'plants'\. Put all of them"):
        text(tmp_path)


def test_no_files(tmp_path):
    with pytest.raises(DataError, match=r"has no \.txt files, nor have the folders in it"):
        text(tmp_path)


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*absent\.txt"):
        text(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match=r"empty\.txt is empty"):
        text(tmp_path / "empty.txt")
    write(tmp_path / "folder", [*ANIMALS, " \n"])
    with pytest.raises(DataError, match=r"10\.txt is empty\. Fill it or take it away"):
        text(tmp_path / "folder")


def test_another_encoding_is_named_with_its_place(tmp_path):
    write(tmp_path, ANIMALS)
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt is not text in UTF-8: .* at byte 3\. Save it as UTF-8"):
        text(tmp_path)


def test_no_word_left(tmp_path):
    write(tmp_path, ["cat", "dog", "elm"])
    with pytest.raises(DataError, match=r".*: No word is left of the 3 in 3 documents.*Lower `min_documents`"):
        text(tmp_path)


def test_too_few_documents(tmp_path):
    write(tmp_path, ["cat", "dog"])
    with pytest.raises(DataError, match="has 2 samples: too few"):
        text(tmp_path, **ALL)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("max_words", 0),
        ("min_documents", 0),
        ("max_document_share", 0),
        ("stop_words", "german"),
        ("validation_fraction", 0),
        ("test_fraction", 1),
        ("seed", -1),
    ],
)
def test_parameters_out_of_range(tmp_path, parameter, value):
    with pytest.raises(ValueError, match=f"`{parameter}`.*{value}"):
        text(tmp_path, **{parameter: value})
