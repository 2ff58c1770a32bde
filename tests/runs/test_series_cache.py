"""Columns that are kept beside the records."""

import os

import pytest
from metric_files import records_in, records_of, write

from kplug.runs.series import SeriesReader, read_arrays


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def cache(path):
    return path.with_name(".metrics.jsonl.columns")


LARGE = 15_000


@pytest.fixture
def large(path):
    write(path, range(LARGE), size=0)
    return path


def test_small_files_have_no_cache(path):
    write(path, range(100))
    read_arrays(path)
    assert [one.name for one in path.parent.iterdir()] == ["metrics.jsonl"]


def test_columns_come_from_the_cache(large, cache, monkeypatch):
    read_arrays(large)
    assert cache.exists()

    def refused(*_):
        raise AssertionError("parsed")

    monkeypatch.setattr("kplug.runs.metric_arrays.LineParser.parse", refused)
    arrays = read_arrays(large)
    assert arrays.steps.tolist() == list(range(LARGE))
    assert arrays.metrics["loss"].tolist() == [1 / (1 + step) for step in range(LARGE)]
    assert arrays.metrics["loss"].flags.aligned
    # The same content in another file, as after a copy.
    content = large.read_bytes()
    large.unlink()
    large.write_bytes(content)
    assert records_of(read_arrays(large)) == records_in(large)


def test_what_is_new_is_added_to_what_is_cached(large, cache):
    with large.open("ab") as file:
        file.write(b"nonsense\n")
    read_arrays(large)
    write(large, range(LARGE, LARGE + 10), accuracy=0.5)
    reader = SeriesReader(large)
    reader.refresh()
    assert records_of(reader.arrays()) == records_in(large)
    assert reader.malformed == 1


def test_a_cache_of_other_records_is_not_believed(large, cache):
    lines = large.read_bytes().splitlines(keepends=True)
    read_arrays(large)
    # Of the same length, with the same ending.
    lines[3] = lines[3].replace(b"0.25", b"0.75")
    large.write_bytes(b"".join(lines))
    assert read_arrays(large).metrics["loss"][3] == 0.75
    write(large, range(5, 9), size=sum(map(len, lines[:5])))
    assert read_arrays(large).steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\n",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        lambda content: content.replace(b'"rows": 15000', b'"rows": 15001'),
        lambda content: b"null\n" * 3,
    ],
)
def test_a_damaged_cache_is_replaced(large, cache, damage):
    read_arrays(large)
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert records_of(read_arrays(large)) == records_in(large)
    assert cache.read_bytes() == whole


def test_a_cache_is_seldom_written(large, cache):
    def changes():
        """Return whether reading changes the directory, which is where the index looks."""
        before = large.parent.stat().st_mtime_ns
        read_arrays(large)
        return large.parent.stat().st_mtime_ns != before

    assert changes()
    assert not changes()
    write(large, range(LARGE, LARGE + 100))
    assert not changes()
    # Quiet for an hour: what is there is all there will be.
    os.utime(large, (large.stat().st_atime, large.stat().st_mtime - 3600))
    assert changes()
    assert not changes()
    write(large, range(LARGE))
    assert changes()


def test_a_live_reader_keeps_a_cache_too(large, cache):
    reader = SeriesReader(large)
    reader.refresh()
    first = cache.read_bytes()
    write(large, range(10))
    reader.refresh()
    assert cache.read_bytes() == first
    write(large, range(LARGE))
    reader.refresh()
    assert cache.read_bytes() != first
    assert records_of(read_arrays(large)) == records_in(large)


def test_a_directory_that_cannot_be_written_goes_without(large, cache, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", denied)
    assert len(read_arrays(large)) == LARGE
    assert [one.name for one in large.parent.iterdir()] == ["metrics.jsonl"]
