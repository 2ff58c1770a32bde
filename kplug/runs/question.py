"""Questions as they are typed, and what they are read as: `val_loss<0.3 and model=vae`."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kplug.errors import QueryError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator><=|>=|!=|==|=|<|>|~)
      | (?P<parenthesis>[()])
      | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
      | (?P<word>[^\s()<>=!~"']+)
    )""",
    re.VERBOSE,
)
HELP = (
    "A question compares fields with values: val_loss<0.3 and model=vae. Operators: = != < <= > >= ~ (contains); "
    "and, or, not, parentheses."
)


TIMES = frozenset({"created", "queued", "started", "ended", "first_batch"})
"""The fields that are moments, in seconds since the Unix epoch."""

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class Comparison:
    """A field beside a value.

    Attributes:
        field: The field.
        operator: `=`, `!=`, `<`, `<=`, `>`, `>=` or `~`.
        text: The value, case-folded.
        number: The value as a number, where it is one and was not quoted.
    """

    field: str
    operator: str
    text: str
    number: float | None = None


@dataclass(frozen=True)
class Every:
    """Questions joined by `and`."""

    parts: tuple[Question, ...]


@dataclass(frozen=True)
class Either:
    """Questions joined by `or`."""

    parts: tuple[Question, ...]


@dataclass(frozen=True)
class Not:
    """A question's opposite."""

    part: Question


Question = Comparison | Every | Either | Not


def parse(text: str) -> Question:
    """Read a question.

    Raises:
        QueryError: If it cannot be read.
    """
    # Bytes that are no text stand in command lines as halves of surrogate pairs, which no run has.
    text = text.encode("utf-8", "replace").decode()
    try:
        return _Parser(text).parsed()
    except RecursionError:
        raise QueryError(f"The question cannot be read: it has too many parentheses. {HELP}") from None


def fields_in(question: Question) -> Iterator[str]:
    """Give the fields of a question, from left to right."""
    match question:
        case Comparison():
            yield question.field
        case Not():
            yield from fields_in(question.part)
        case _:
            for part in question.parts:
                yield from fields_in(part)


class _Parser:
    """Reads a question by recursive descent."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._tokens = list(_tokens(question))
        self._next = 0

    def parsed(self) -> Question:
        question = self._either()
        if self._next < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._next][1]!r}")
        return question

    def _either(self) -> Question:
        parts = [self._both()]
        while self._take_word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Question:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self) -> Question:
        if self._take_word("not"):
            return Not(self._one())
        if self._take("parenthesis", "("):
            inner = self._either()
            if not self._take("parenthesis", ")"):
                raise self._error("a closing parenthesis is missing")
            return inner
        field = self._taken({"word"}, "a field")
        operator = self._taken({"operator"}, f"an operator after {field!r}")
        kind = self._tokens[self._next][0] if self._next < len(self._tokens) else "end"
        value = self._taken({"word", "text"}, f"a value after {field}{operator}")
        number = self._moment(field, value) if field in TIMES else None if kind == "text" else _number(value)
        return Comparison(field, "=" if operator == "==" else operator, value.casefold(), number)

    def _moment(self, field: str, text: str) -> float:
        """Return what a time field is compared with: seconds, a date, or how long ago."""
        number = _number(text)
        if number is not None:
            return number
        found = _AGO.fullmatch(text.strip().lower())
        if found is not None:
            return time.time() - float(found[1]) * _SECONDS[found[2]]
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            raise self._error(
                f"{field} is a moment: compare it with a date, as in 2026-11-20 or '2026-11-20 14:30', or with an age, "
                "as in 2d"
            ) from None

    def _take(self, kind: str, text: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == (kind, text):
            self._next += 1
            return True
        return False

    def _take_word(self, word: str) -> bool:
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if kind == "word" and text.lower() == word:
                self._next += 1
                return True
        return False

    def _taken(self, kinds: set[str], what: str) -> str:
        if self._next >= len(self._tokens):
            raise self._error(f"it ends where {what} is expected")
        kind, text = self._tokens[self._next]
        if kind not in kinds:
            raise self._error(f"{text!r} stands where {what} is expected")
        self._next += 1
        return text

    def _error(self, what: str) -> QueryError:
        return QueryError(f"The question {self._question!r} cannot be read: {what}. {HELP}")


def _tokens(question: str) -> Iterator[tuple[str, str]]:
    position, question = 0, question.rstrip()
    if not question:
        raise QueryError(f"The question is empty. {HELP}")
    while position < len(question):
        found = _TOKEN.match(question, position)
        if found is None:
            raise QueryError(f"The question {question!r} cannot be read from {question[position:]!r} on. {HELP}")
        kind = str(found.lastgroup)
        yield ("text" if kind in {"double", "single"} else kind), str(found[kind])
        position = found.end()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
