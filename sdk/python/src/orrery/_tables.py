"""Lists of documents that know how to show themselves: as a table of text, and in a notebook."""
from __future__ import annotations

import html
import json
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, TypeVar

ROWS_SHOWN = 200
CELL_CHARACTERS = 80

Row = Dict[str, Any]


R = TypeVar("R")


class Column(NamedTuple):
    title: str
    of: Callable[[Any], str]  #: a row of the list
    number: bool = False  #: aligned to the right


class Shown(List[R]):
    """A list; only how it looks is its own.

    ``unreachable`` names nodes that did not answer; ``truncated`` says that there are more than were asked for.
    """

    def __init__(self, rows: Iterable[R], columns: Sequence[Column], what: str, *, unreachable: Optional[Iterable[str]] = None,
                 truncated: bool = False, nothing: str = "") -> None:
        super().__init__(rows)
        self.unreachable: List[str] = list(unreachable or [])
        self.truncated = bool(truncated)
        self._columns = tuple(columns)
        self._what = what
        self._nothing = nothing or f"(no {what})"

    def __repr__(self) -> str:
        cells = [[column.title for column in self._columns], *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["  ".join(cell.rjust(width) if column.number else cell.ljust(width)
                           for cell, width, column in zip(row, widths, self._columns)).rstrip() for row in cells]
        return "\n".join([*lines, *self._remarks()])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            styles = (' style="text-align: right"' if column.number else ' style="text-align: left"' for column in self._columns)
            return "<tr>" + "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell, style in zip(cells, styles)) + "</tr>"

        head = row([column.title for column in self._columns], "th")
        body = "".join(row(cells, "td") for cells in self._cells())
        remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in self._remarks())
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{remarks}"

    def _cells(self) -> List[List[str]]:
        return [[_cut(column.of(row)) for column in self._columns] for row in self[:ROWS_SHOWN]]

    def _remarks(self) -> List[str]:
        remarks = []
        if not self:
            remarks.append(self._nothing)
        if len(self) > ROWS_SHOWN:
            remarks.append(f"({len(self) - ROWS_SHOWN} more {self._what} are not shown)")
        if self.truncated:
            remarks.append("(there are more; ask with a greater limit)")
        remarks.extend(f"({node} did not answer)" for node in self.unreachable)
        return remarks


class Table(Shown[Row]):
    """A list of plain dicts, as the sidecar sent them, that shows itself as a table. See ``unreachable`` and ``truncated``."""


class Found(NamedTuple):
    """A process that :meth:`Mesh.query` found."""

    name: str
    state: Any


class Findings(Shown[Found]):
    """What :meth:`Mesh.query` found, a list that shows itself as a table."""


def _cut(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= CELL_CHARACTERS else line[:CELL_CHARACTERS - 1] + "…"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _field(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _text(row.get(key))


def _within(outer: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _text((row.get(outer) or {}).get(key))


def _name(row: Mapping[str, Any]) -> str:
    return f"{row.get('class', '-')}/{row.get('key', '-')}"


def _age(key: str) -> Callable[[Mapping[str, Any]], str]:
    def age(row: Mapping[str, Any]) -> str:
        seconds = row.get(key)
        if not isinstance(seconds, (int, float)):
            return "-"
        if seconds < 1:
            return "<1s"
        whole = int(seconds)
        parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
        while not parts[0][0]:
            parts.pop(0)
        return "".join(f"{count}{unit}" for count, unit in parts[:2] if count)
    return age


def _message(row: Mapping[str, Any]) -> str:
    message = row.get("message")
    if not isinstance(message, Mapping):
        return "-"
    return " ".join(_text(message[part]) for part in ("kind", "method", "argument") if message.get(part) is not None)


NODES = (Column("NAME", _field("name")), Column("STATE", _field("state")), Column("PROCESSES", _field("processes"), True),
         Column("RTT (S)", _field("rttSeconds"), True), Column("VERSION", _field("version")), Column("ADDRESS", _field("address")))
PROCESSES = (Column("NAME", _name), Column("NODE", _field("node")), Column("STATE", _field("state")), Column("MAILBOX", _field("mailbox"), True),
             Column("HANDLED", _field("handled"), True), Column("RESTARTS", _field("restarts"), True), Column("AGE", _age("ageSeconds"), True),
             Column("LAST EXIT", _within("lastExit", "reason")))
CLASSES = (Column("NAME", _field("name")), Column("BEHAVIOUR", _field("behaviour")), Column("VERSION", _field("version"), True),
           Column("STRATEGY", _within("supervision", "strategy")), Column("RESTART", _within("supervision", "restart")),
           Column("ERROR", _field("error")))
SUPERVISORS = (Column("SUPERVISOR", _field("path")), Column("NODE", _field("node")), Column("STRATEGY", _field("strategy")),
               Column("CHILDREN", _field("children"), True), Column("RESTARTS", _field("restarts"), True),
               Column("BUDGET LEFT", _field("budgetLeft"), True), Column("GIVEN UP", _field("givenUpNow"), True))
TOP = (Column("NAME", _name), Column("NODE", _field("node")), Column("STATE", _field("state")), Column("MAILBOX", _field("mailbox"), True),
       Column("OLDEST (S)", _field("oldestSeconds"), True), Column("MEMORY (BYTES)", _field("memoryBytes"), True),
       Column("MESSAGES/S", _field("messagesPerSecond"), True), Column("REDUCTIONS/S", _field("reductionsPerSecond"), True),
       Column("HANDLED", _field("handled"), True))
CRASHES = (Column("AGO", _age("agoSeconds"), True), Column("NAME", _name), Column("NODE", _field("node")), Column("DECISION", _field("decision")),
           Column("MESSAGE", _message), Column("REASON", _field("reason")))
FINDINGS = (Column("NAME", lambda found: str(found.name)), Column("STATE", lambda found: _text(found.state)))
