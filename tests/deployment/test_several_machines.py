"""Several web machines: a spool of its own on each, one database for all."""

from __future__ import annotations

from pathlib import Path

from tests.guest.serving import APP, ATTEMPTS, GUNICORN, StartServer, expected
from tests.storage.rows import assert_totals_match, read_all


def test_machines_write_to_one_database_in_one_order(start_server: StartServer, tmp_path: Path) -> None:
    """Each by two processes at once; the ids rise in the order of the commits."""
    machines = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        machines.append(start_server([*GUNICORN, APP], name=name, TEST_HOST_FOLDER=str(tmp_path / name)))
    numbers = range(2 * ATTEMPTS)
    for start in numbers[::8]:
        for machine, offset in zip(machines, (0, 4), strict=True):
            machine.sign_in(numbers[start + offset : start + offset + 4])
    machines[0].wait_for(numbers)
    rows = read_all(machines[0].database, "sign-in")
    assert [row.recorded_at for row in rows] == sorted(row.recorded_at for row in rows)
    assert len({row.position for row in rows}) == len(rows)
    assert_totals_match(machines[0].database)
    facts = [fact for machine in machines for fact in machine.ask_facts(2)]
    folders = [Path(spool).parent.parent.parent.name for fact in facts for spool in fact["spools"]]
    assert sorted(folders) == ["one", "one", "two", "two"]


def test_machine_that_dies_leaves_its_entries_to_a_process_of_its_own(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Another machine cannot see its disk, and must not: the entries come when it is back."""
    folder = tmp_path / "one"
    folder.mkdir()
    (tmp_path / "two").mkdir()
    lost = start_server(
        [*GUNICORN, "--workers", "1", APP], name="one", TEST_HOST_FOLDER=str(folder), TEST_HOST_DRAIN="0"
    )
    lost.sign_in(range(10))
    lost.process.kill()
    other = start_server([*GUNICORN, "--workers", "1", APP], name="two", TEST_HOST_FOLDER=str(tmp_path / "two"))
    other.sign_in(range(10, 20))
    other.wait_for(range(10, 20))
    assert len(list(folder.glob("melody_logs/spool/*.spool"))) == 1
    start_server([*GUNICORN, "--workers", "1", APP], name="again", TEST_HOST_FOLDER=str(folder))
    other.wait_for(range(20))
    assert other.recorded() == expected(range(20))
