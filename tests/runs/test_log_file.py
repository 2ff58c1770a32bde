"""Logs that grow while they are read."""

import pytest

from kplug.errors import RunStorageError
from kplug.runs import log_file
from kplug.runs.log_file import LogReader, last_lines

pytestmark = pytest.mark.neutral

TEXT = "über\x1b[31mrot\x1b[0m 😀\r\nzwei\n"


def read(reader, ended=False):
    return "".join(reader.read(ended))


def test_each_call_gives_what_is_new(tmp_path):
    path = tmp_path / "output.log"
    reader = LogReader(path)
    assert read(reader) == ""
    path.write_text("one\n")
    assert read(reader) == "one\n"
    with path.open("a") as file:
        file.write("two")
    assert (read(reader), read(reader), read(reader, ended=True)) == ("two", "", "")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_characters_and_colours_that_are_written_in_parts_are_put_together(tmp_path, monkeypatch, size):
    monkeypatch.setattr(log_file, "_PIECE", size)
    path = tmp_path / "output.log"
    reader, pieces, content = LogReader(path), [], TEXT.encode()
    for end in range(1, len(content) + 1):
        path.write_bytes(content[:end])
        pieces += reader.read(ended=end == len(content))
    assert "".join(pieces) == TEXT.replace("\r\n", "\n")
    assert not any(piece.endswith(("\x1b", "\x1b[", "\x1b[3")) for piece in pieces)


def test_what_stays_torn_is_shown_at_the_end(tmp_path):
    path = tmp_path / "output.log"
    path.write_bytes("ü".encode()[:1] + b"a\x1b[3")
    assert read(LogReader(path), ended=True) == "\ufffda\x1b[3"


def test_a_log_is_read_in_pieces(tmp_path):
    path = tmp_path / "output.log"
    path.write_bytes(b"x" * (5 << 20))
    assert max(len(piece) for piece in LogReader(path).read()) <= 1 << 20


def test_the_last_lines_are_read_from_the_end(tmp_path):
    path = tmp_path / "output.log"
    assert last_lines(path, 2) == []
    path.write_bytes(b"x" * 100_000 + b"\none\ntwo\n")
    assert last_lines(path, 2) == ["one", "two"]
    assert last_lines(path, 5) == ["one", "two"]  # not the half of a line where the 64 KiB begin
    path.write_bytes(b"x" * 100_000)
    assert [len(line) for line in last_lines(path, 5)] == [65536]


def test_a_log_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RunStorageError, match="cannot be read: Is a directory"):
        read(LogReader(tmp_path))
    with pytest.raises(RunStorageError, match="cannot be read: Is a directory"):
        last_lines(tmp_path, 3)
