"""A result as a folder that people read: report.md, index.html, tables as CSV, figures as PNG.

The data comes finished; nothing is computed here. Numbers keep the digits that `format_cell` gives
them in Markdown and HTML, and all their digits in CSV, where an interval takes four columns.
"""

from __future__ import annotations

import csv
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from router.errors import UsageError

from .bootstrap import Interval

__all__ = ["Cell", "Figure", "Report", "Section", "Table", "format_cell", "write_report"]

Cell = str | int | float | bool | Interval | None

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells, one for each column; `name` also names the CSV file.

    `decimals` is for floats and intervals; `percent` names the columns to show times 100.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    decimals: int = 3
    percent: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A PNG already drawn; copied into the folder unless it is there. `name` is its caption."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, paragraphs (blank lines part them), tables, figures."""

    heading: str
    text: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """All of a result; `summary` is plain text under the title: data, artifact, seed, command."""

    title: str
    sections: Sequence[Section]
    summary: str = ""


def write_report(report: Report, folder: Path) -> Path:
    """Write the folder (made if need be) and return index.html's path.

    Everything is checked before the first file is written: rows as long as the columns, table
    and figure names that make distinct file names, figures that exist.
    """
    tables = [table for section in report.sections for table in section.tables]
    figures = [figure for section in report.sections for figure in section.figures]
    _check(tables, figures)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    for table in tables:
        _write_csv(table, folder / "tables" / _file_name(table.name, "csv"))
    for figure in figures:
        target = folder / "figures" / figure.path.name
        if figure.path.resolve() != target.resolve():
            shutil.copyfile(figure.path, target)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("training", "templates"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    environment.filters["paragraphs"] = _paragraphs
    environment.filters["pipe"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    page = {"report": report, "view": [_view(section) for section in report.sections]}
    for name in ("report.md", "index.html"):
        text = environment.get_template(f"{name}.j2").render(page)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "index.html"


def format_cell(cell: Cell, *, decimals: int = 3, percent: bool = False) -> str:
    """A cell as people read it: 0.983, 98.3%, 0.983 [0.971, 0.994], 12,345, yes, or a dash."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    spec = f".{max(decimals - 2, 0)}%" if percent else f",.{decimals}f"
    return format(cell, spec)


def _view(section: Section) -> dict[str, Any]:
    """What the templates need: cells as (text, is a number), and file names."""
    tables = []
    for table in section.tables:
        percent = [column in table.percent for column in table.columns]
        rows = [
            [
                (format_cell(cell, decimals=table.decimals, percent=share), _numeric(cell))
                for cell, share in zip(row, percent, strict=True)
            ]
            for row in table.rows
        ]
        right = [bool(rows) and all(row[k][1] for row in rows) for k in range(len(table.columns))]
        file = f"tables/{_file_name(table.name, 'csv')}"
        tables.append({"table": table, "rows": rows, "right": right, "file": file})
    figures = [(figure.name, f"figures/{figure.path.name}") for figure in section.figures]
    return {"section": section, "tables": tables, "figures": figures}


def _numeric(cell: Cell) -> bool:
    return not isinstance(cell, str | bool)


def _code(text: str) -> Markup:
    """Escaped for HTML, with `backticks` as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _write_csv(table: Table, path: Path) -> None:
    """Full precision; a column with an interval becomes four: value, low, high, n."""
    wide = [
        any(isinstance(row[k], Interval) for row in table.rows) for k in range(len(table.columns))
    ]
    header: list[str] = []
    for column, is_wide in zip(table.columns, wide, strict=True):
        header += (
            [column, f"{column} low", f"{column} high", f"{column} n"] if is_wide else [column]
        )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in table.rows:
            values: list[Cell] = []
            for cell, is_wide in zip(row, wide, strict=True):
                if isinstance(cell, Interval):
                    values += [cell.estimate, cell.low, cell.high, cell.n]
                else:
                    values += [cell, None, None, None] if is_wide else [cell]
            writer.writerow(values)


def _file_name(name: str, ending: str) -> str:
    return f"{_UNSAFE.sub('-', name).strip('-.').lower()}.{ending}"


def _check(tables: Sequence[Table], figures: Sequence[Figure]) -> None:
    """UsageError for anything that would leave a report half-written or overwrite a file."""
    for table in tables:
        if any(len(row) != len(table.columns) for row in table.rows):
            expected = f"{len(table.columns)} cells in each row"
            raise UsageError(f"table {table.name!r} has other rows, expected {expected}")
    files = [_file_name(table.name, "csv") for table in tables]
    distinct = {figure.path.name: figure.path.resolve() for figure in figures}
    files += [
        figure.path.name
        for figure in figures
        if distinct[figure.path.name] != figure.path.resolve()
    ]
    files += list(distinct)
    repeated = sorted({file for file in files if files.count(file) > 1 or file.startswith(".")})
    if repeated:
        raise UsageError(f"names repeated or empty as file names: {repeated}; make them distinct")
    for figure in figures:
        if not figure.path.is_file():
            raise UsageError(
                f"figure {figure.name!r}: no file at {figure.path.name}; draw it first"
            )
