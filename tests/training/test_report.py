"""Reports: one folder, readable as Markdown and HTML, exact in CSV, nothing written when wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from router.errors import UsageError
from training.bootstrap import Interval
from training.report import Cell, Figure, Report, Section, Table, format_cell, write_report

INTERVAL = Interval(estimate=0.98123, low=0.97, high=0.99, n=1319)
TABLE = Table(
    name="Saving by set",
    columns=["set", "saving", "n", "met"],
    rows=[["GSM8K | all", INTERVAL, 1319, True], ["<MATH>", 0.5, 12, None]],
    note="Chosen with `sluice calibrate`.",
    percent=frozenset({"saving"}),
)


def report_of(*tables: Table, figures: tuple[Figure, ...] = ()) -> Report:
    section = Section(heading="Policy", text="One.\n\nTwo.", tables=tables, figures=figures)
    return Report(title="A & B", summary="seed 7", sections=[section])


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.98345, "0.983"),
        (1234.5, "1,234.500"),
        (12345, "12,345"),
        (True, "yes"),
        (None, "–"),
        (float("nan"), "–"),
        ("plain", "plain"),
        (INTERVAL, "0.981 [0.970, 0.990]"),
    ],
)
def test_cells_read_well(cell: Cell, text: str) -> None:
    assert format_cell(cell) == text


def test_percent_cells() -> None:
    assert format_cell(INTERVAL, percent=True) == "98.1% [97.0%, 99.0%]"


def test_markdown_and_html_show_the_table(tmp_path: Path) -> None:
    page = write_report(report_of(TABLE), tmp_path / "out").read_text(encoding="utf-8")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| GSM8K \\| all | 98.1% [97.0%, 99.0%] | 1,319 | yes |" in text
    assert "| set | saving | n | met |\n| --- | ---: | ---: | --- |\n" in text
    assert '<td class="right">98.1% [97.0%, 99.0%]</td>' in page
    assert "&lt;MATH&gt;" in page
    assert "A &amp; B" in page
    assert "<code>sluice calibrate</code>" in page
    assert "http" not in page  # nothing fetched from elsewhere


def test_csv_keeps_every_digit_and_parts_the_interval(tmp_path: Path) -> None:
    write_report(report_of(TABLE), tmp_path)
    path = tmp_path / "tables" / "saving-by-set.csv"
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["set", "saving", "saving low", "saving high", "saving n", "n", "met"]
    assert rows[1] == ["GSM8K | all", "0.98123", "0.97", "0.99", "1319", "1319", "True"]
    assert rows[2] == ["<MATH>", "0.5", "", "", "", "12", ""]


def test_figures_are_copied_or_left_where_they_are(tmp_path: Path) -> None:
    outside = tmp_path / "plot.png"
    outside.write_bytes(b"png")
    inside = tmp_path / "out" / "figures" / "in.png"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"in")
    figures = (Figure(name="Out", path=outside), Figure(name="In", path=inside))
    page = write_report(report_of(figures=figures), tmp_path / "out").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "figures" / "plot.png").read_bytes() == b"png"
    assert inside.read_bytes() == b"in"
    assert 'src="figures/in.png" alt="In"' in page


def test_the_same_data_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(report_of(TABLE), tmp_path / name)
    for file in ("index.html", "report.md", "tables/saving-by-set.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_nothing_is_written_when_something_is_wrong(tmp_path: Path) -> None:
    ragged = Table(name="ragged", columns=["a", "b"], rows=[["x"]])
    missing = Figure(name="gone", path=tmp_path / "gone.png")
    folder = tmp_path / "out"
    for report, message in (
        (report_of(ragged), "2 cells"),
        (report_of(TABLE, TABLE), "distinct"),
        (report_of(figures=(missing,)), "gone"),
    ):
        with pytest.raises(UsageError, match=message):
            write_report(report, folder)
        assert not folder.exists()
