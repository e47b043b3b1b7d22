"""The benchmarks run: with tiny sizes, which say nothing about speed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.measuring import Bar, Comparison, in_turns, ratio
from tests.servers.availability import missing
from tests.servers.binaries import postgresql_binaries, redis_binaries

#: The others differ from one of these by an argument alone.
NAMES = (
    "login-sha256-8-gthread",
    "record-sign-in",
    "record-mail",
    "peers-sign-in",
    "peers-mail",
    "postgresql-frozen-sign-in",
    "redis-frozen-mail",
    "backlog-sign-in",
    "request-work",
    "drain",
    "locate",
    "locate-celery",
    "footprint",
    "api-page",
)


@pytest.fixture(autouse=True)
def servers() -> None:
    """The benchmarks start their servers themselves."""
    if not postgresql_binaries():
        missing("PostgreSQL", "Let `make test` install it (as root), or install 'postgresql'.")
    if not redis_binaries():
        missing("Redis", "Let `make test` install it (as root), or install 'redis-server'.")


@pytest.mark.parametrize("name", NAMES)
def test_benchmark_prints_what_it_expected_and_measured(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A JSON line to standard output and to the file, and a table to standard error."""
    output = tmp_path / "results.jsonl"
    assert main(["--quick", "--rounds", "3", "--only", name, "--output", str(output)]) == 0
    captured = capfd.readouterr()
    assert captured.out == output.read_text(encoding="utf-8")
    (line,) = map(json.loads, captured.out.splitlines())
    assert line["name"] == name
    if name.startswith("peers-") and not line["bars"]:
        assert "a quick run does not install the peers" in line["notes"][0]
    else:
        assert line["rounds"] == 3
        assert line["bars"]
    if name == "request-work":
        # These are counts, so they hold in a quick run as well; the second half is what a control does.
        assert len(line["bars"]) == 8
        assert [verdict for verdict in line["bars"] if not verdict["met"]] == []
    assert "Expected against measured" in captured.err


def test_every_benchmark_is_tried_or_a_variant_of_one() -> None:
    tried = {name.split("-")[0] for name in NAMES}
    assert set(NAMES) <= BENCHMARKS.keys()
    assert {name.split("-")[0] for name in BENCHMARKS} == tried


@pytest.mark.parametrize(("bar", "met"), [(Bar("<=", 2.4), False), (Bar(">=", 2.5), True), (Bar("==", 2.5), True)])
def test_ratio_is_the_median_of_the_rounds_without_the_first(bar: Bar, met: bool) -> None:
    """Each round divides what it measured itself; the round that warms up does not count."""
    ours = iter([99.0, 10.0, 20.0, 60.0])
    bare = iter([1.0, 4.0, 10.0, 20.0])
    measure = in_turns(ours=lambda: next(ours), bare=lambda: next(bare))
    result = Comparison("name", "says", "s", measure, [ratio("ours", "bare", bar)]).run(3)
    (verdict,) = result.verdicts
    assert verdict.figure == 2.5
    assert result.medians == {"ours": 20.0, "bare": 10.0}
    assert verdict.met is met


def test_sides_take_turns_in_being_first() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return 1.0

    measure = in_turns(a=lambda: side("a"), b=lambda: side("b"))
    assert [list(measure(number)) for number in (1, 2)] == [["a", "b"], ["a", "b"]]
    assert order == ["a", "b", "b", "a"]


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "2"])
    assert "accepted: 3 and more" in capsys.readouterr().err


def test_newest_results_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that misses its bar ends right of the line at 1, one that meets it left of it; a later line counts."""
    file = tmp_path / "performance.jsonl"
    lines = [
        _line("speed", "ours / bare", ">= 0.5", 0.1, met=False),
        _line("speed", "ours / bare", ">= 0.5", 1.0, met=True),
        _line("cost", "ours / bare", "<= 4", 8.0, met=False),
        _line("work", "statements", "== 0", 0.0, met=True),
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert main(["--plot", str(file), str(tmp_path / "drawn.svg")]) == 0
    assert "| `speed` | ours 2 µs | ours / bare | >= 0.5 | 1 | met |" in capsys.readouterr().out
    drawing = ElementTree.parse(tmp_path / "drawn.svg").getroot()
    (bar,) = _elements(drawing, "line", "bar")
    end = float(bar.attrib["x1"])
    for style, count, is_left in (("met", 2, True), ("missed", 1, False)):
        shapes = list(_elements(drawing, "rect", style))
        assert len(shapes) == count
        for shape in shapes:
            assert (float(shape.attrib["x"]) + float(shape.attrib["width"]) < end) is is_left


def _line(name: str, of: str, bar: str, measured: float, *, met: bool) -> Mapping[str, object]:
    verdict = {"of": of, "bar": bar, "measured": measured, "met": met}
    return {"name": name, "unit": "µs", "medians": {"ours": 2.0}, "bars": [verdict], "notes": []}


def _elements(drawing: ElementTree.Element, tag: str, style: str) -> Iterator[ElementTree.Element]:
    for element in drawing.iter(f"{{http://www.w3.org/2000/svg}}{tag}"):
        if element.get("class") == style:
            yield element
