"""The benchmarks run: with tiny sizes, which say nothing about speed."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.measuring import Bar, Comparison
from tests.servers.availability import missing
from tests.servers.binaries import postgresql_binaries


def test_every_benchmark_prints_what_it_expected_and_measured(capfd: pytest.CaptureFixture[str]) -> None:
    """A JSON line each to standard output, and a table that names each to standard error."""
    if not postgresql_binaries():
        missing("PostgreSQL", "Let `make test` install it (as root), or install 'postgresql'.")
    # The other login differs by its slow password hash alone.
    names = [name for name in BENCHMARKS if name != "login-scrypt"]
    assert main(["--quick", "--rounds", "3", *(f"--only={name}" for name in names)]) == 0
    captured = capfd.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["name"] for line in lines] == names
    for line in lines:
        assert line["rounds"] == 3
        assert line["ratio"] > 0
        assert line["medians"].keys() == {"ours", "bare"}
    assert "Expected against measured" in captured.err


@pytest.mark.parametrize(("bar", "met"), [(Bar("<=", 2.4), False), (Bar(">=", 2.5), True), (Bar("<=", 2.5), True)])
def test_ratio_is_the_median_of_the_rounds_without_the_first(bar: Bar, met: bool) -> None:
    """Each round divides what it measured itself; the round that warms up does not count."""
    ours = iter([99.0, 10.0, 20.0, 60.0])
    bare = iter([1.0, 4.0, 10.0, 20.0])
    result = Comparison("name", "says", bar, "s", lambda: next(ours), lambda: next(bare)).run(3)
    assert result.ratio == 2.5
    assert result.medians == {"ours": 20.0, "bare": 10.0}
    assert result.met is met


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "2"])
    assert "accepted: 3 and more" in capsys.readouterr().err
