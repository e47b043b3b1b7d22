"""The README tells the truth: every setting, scope and command stands in it, and its settings are the table's."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from melody_logs.cli import create_group
from melody_logs.settings import describe
from melody_logs.vocabulary import PERMISSIONS, SCOPES

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def settings_row(name: str, default: object, unit: str, help: str) -> str:
    """Write a setting as a row of the README's table."""
    shown = "" if default in (None, ()) else f"`{default}`" + (f" {unit}" if unit else "")
    return f"| `{name}` | {shown} | {help.replace('<', '&lt;')} |"


@pytest.mark.parametrize("setting", describe(), ids=lambda setting: setting[0])
def test_every_setting_stands_in_the_readme_as_it_is(setting: tuple[str, object, str, str]) -> None:
    assert settings_row(*setting) in README


def test_every_scope_permission_and_command_is_named() -> None:
    group = create_group()
    words = [*SCOPES, *PERMISSIONS]
    for name, command in group.commands.items():
        words.append(name)
        if isinstance(command, click.Group):
            words += command.commands
    missing = [word for word in words if f"`{word}`" not in README and f" {word}" not in README]
    assert missing == []


def test_first_screen_has_the_two_commands_and_few_lines_of_code() -> None:
    first_screen = README[: README.index("## What is in the box")]
    assert "make run" in first_screen and "make test" in first_screen
    code = first_screen.split("```python\n")[1].split("```")[0].strip().splitlines()
    assert len(code) <= 15


def test_every_link_to_a_file_leads_somewhere() -> None:
    root = Path(__file__).parent.parent
    targets = [part.split(")")[0] for part in README.split("](")[1:]]
    targets += [part.split('"')[0] for part in README.split('src="')[1:]]
    targets += [part.split('"')[0] for part in README.split('srcset="')[1:]]
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (root / target).is_file()] == []
