"""Questions in SQL: which rows of the table `fields` answer them, exactly as `query.predicate_of` would.

Each question becomes a `SELECT` of run numbers; `and`, `or` and `not` are what sets are to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kplug.runs.query import COMPONENTS, fields_of, is_number, shown
from kplug.runs.question import Comparison, Every, Not, Question

FIELDS = """
CREATE TABLE fields (
    name TEXT NOT NULL,     -- as it is asked for
    run INTEGER NOT NULL,
    place INTEGER NOT NULL, -- 0; a run's tags have one row each besides, from 1 on
    kind INTEGER NOT NULL,  -- 0 nothing, 1 number, 2 text, 3 anything else
    value,                  -- what it is sorted by: a number or text
    shown TEXT,             -- what a person types, case-folded
    PRIMARY KEY (name, run, place)
) WITHOUT ROWID
"""
_NOTHING, _NUMBER, _TEXT, _OTHER = range(4)
_LARGEST = 2**63 - 1

Sql = tuple[str, list[Any]]


def rows_of(summary: Mapping[str, Any]) -> Iterator[tuple]:
    """Give what the table `fields` holds of a run, without the run: name, place, kind, value, shown."""
    for name, value in fields_of(summary).items():
        yield (name, 0, *_columns(value))
        if name == "tags" and value is not None:
            yield from ((name, place, *_columns(one)) for place, one in enumerate(value, 1))


def selected(question: Question) -> Sql:
    """Return a question as a `SELECT` of the runs that answer it, with its arguments."""
    if isinstance(question, Comparison):
        return _compared(question)
    if isinstance(question, Not):
        text, arguments = selected(question.part)
        return f"SELECT run FROM runs EXCEPT SELECT run FROM ({text})", arguments
    word = " INTERSECT " if isinstance(question, Every) else " UNION "
    parts = [selected(part) for part in question.parts]
    text = word.join(f"SELECT run FROM ({part})" for part, _ in parts)
    return text, [argument for _, arguments in parts for argument in arguments]


def _columns(value: Any) -> tuple[int, Any, str | None]:
    if value is None:
        return _NOTHING, None, None
    if is_number(value):
        return _NUMBER, value if abs(value) <= _LARGEST else float(value), shown(value)
    if isinstance(value, bool):
        return _OTHER, int(value), shown(value)
    return (_TEXT if isinstance(value, str) else _OTHER), str(value), shown(value)


def _compared(comparison: Comparison) -> Sql:
    condition, arguments = _condition(comparison)
    text = f"SELECT run FROM fields WHERE name = ? AND {condition}"
    if comparison.operator != "!=":
        return text, [comparison.field, *arguments]
    having = f"SELECT run FROM fields WHERE name = ? AND place = 0 AND kind != {_NOTHING}"
    return f"{having} EXCEPT {text}", [comparison.field, comparison.field, *arguments]


def _condition(comparison: Comparison) -> Sql:
    """Return what a row must be; for `!=`, what it must not be."""
    field, sign, wanted, number = comparison.field, comparison.operator, comparison.text, comparison.number
    arguments: list[Any]
    if sign == "~":
        condition, arguments = "instr(shown, ?)", [wanted]
    elif sign in {"=", "!="}:
        condition, arguments = _equal(field, wanted, number)
    elif field == "tags":
        condition, arguments = "FALSE", []
    elif number is not None:
        condition, arguments = f"kind = {_NUMBER} AND value {sign} ?", [number]
    else:
        condition, arguments = f"kind = {_TEXT} AND shown {sign} ?", [wanted]
    return f"{'place > 0' if field == 'tags' else 'place = 0'} AND {condition}", arguments


def _equal(field: str, wanted: str, number: float | None) -> Sql:
    if field in COMPONENTS and "/" not in wanted:
        return "(shown = ? OR substr(shown, ?) = ?)", [wanted, -len(wanted) - 1, f"/{wanted}"]
    if number is not None and field != "tags":
        return f"CASE kind WHEN {_NUMBER} THEN value = ? ELSE shown = ? END", [number, wanted]
    return "shown = ?", [wanted]
