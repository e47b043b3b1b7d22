"""The README and docs/ tell the truth: what there is stands in them, and what stands in them is there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from melody_logs import MelodyLogs, signals
from melody_logs.api.rows import ROW_SCHEMAS
from melody_logs.cli import create_group
from melody_logs.cli.program import main as program
from melody_logs.extension import MESSAGE_FIELDS, SIGN_IN_FIELDS
from melody_logs.settings import describe
from melody_logs.storage.models import TABLES
from melody_logs.vocabulary import EVENTS, METHODS, OUTCOMES, PERMISSIONS, REASONS, SCOPES, STATUS_RANK
from tests.deliveries.conftest import EVERY_KEY
from tests.docs import PAGES, ROOT, commands_in, fenced, links_in, page, targets_of

README = PAGES["README.md"]


def leaf_commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    """List the commands of a group and its groups with their full names."""
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{path} {name}"
        found += leaf_commands(command, full) if isinstance(command, click.Group) else [(full, command)]
    return found


def our_rules() -> list[tuple[str, str, str]]:
    """List our addresses as (blueprint, method, path), with KIND, ID and FILE for what varies."""
    app = Flask("host")
    app.config.update(SECRET_KEY="test", SQLALCHEMY_DATABASE_URI="sqlite://", **EVERY_KEY)
    MelodyLogs(app)
    rules = []
    for rule in app.url_map.iter_rules():
        blueprint, dot, _ = rule.endpoint.rpartition(".")
        if not dot or not blueprint.startswith("melody_logs"):
            continue
        path = re.sub(r"<any\([^>]*>|(?<=/logs/)(?:email|sms|sign-in)(?=/|$)", "KIND", rule.rule)
        path = re.sub(r"<(?:row_id|job_id|path:flow_id)>", "ID", path).replace("<path:filename>", "FILE")
        # A converter of ours that takes one word only.
        path = re.sub(r'<\w+\("([^"]+)"\):\w+>', r"\1", path)
        rules += [(blueprint, method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    return sorted(set(rules))


def test_every_setting_stands_in_the_table_of_the_settings() -> None:
    assert [name for name, *_ in describe() if f"`{name}`" not in page("settings.md")] == []


def test_table_of_the_settings_is_as_the_script_writes_it() -> None:
    written = runpy.run_path(str(ROOT / "scripts" / "write_settings.py"))["renew"](page("settings.md"))
    assert written == page("settings.md"), "run: python scripts/write_settings.py"


def test_every_scope_permission_and_command_is_named_in_the_readme() -> None:
    words = [*SCOPES, *PERMISSIONS]
    words += [name.rpartition(" ")[2] for name, _ in leaf_commands(create_group(), "")]
    assert [word for word in words if f"`{word}`" not in README and f" {word}" not in README] == []


def test_first_screen_has_the_two_commands_and_few_lines_of_code() -> None:
    first_screen = README[: README.index("## What is in the box")]
    assert "make run" in first_screen and "make test" in first_screen
    code = first_screen.split("```python\n")[1].split("```")[0].strip().splitlines()
    assert len(code) <= 15


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    """Files exist, and headings with the name after ``#`` stand in them."""
    broken = []
    for link in links_in(PAGES[name]):
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        if not target.exists() or (anchor and anchor not in targets_of(target)):
            broken.append(link)
    assert broken == []


def test_index_and_readme_lead_to_the_documentation() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages - {link.partition("#")[0] for link in links_in(page("index.md"))} == set()
    assert "docs/index.md" in links_in(README)


def test_every_picture_is_shown() -> None:
    shown = {Path(link).name for text in PAGES.values() for link in links_in(text)}
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} - shown == set()


def test_every_signal_is_documented_with_its_payload() -> None:
    named = {name for name, value in vars(signals).items() if name[0] != "_" and hasattr(value, "send")}
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", page("recording.md"), re.M))
    assert named <= set(rows)
    for name, words in (("entry_recorded", ("kind", "event_id", "folded")), ("logs_degraded", ("reason", "lost"))):
        assert all(f"`{word}`" in rows[name] for word in words)


@pytest.mark.parametrize(
    ("heading", "keywords", "kind"),
    [("Keywords of a sign-in", SIGN_IN_FIELDS, "sign-in"), ("Keywords of a message", MESSAGE_FIELDS, "email")],
)
def test_every_keyword_is_documented_with_its_limit(heading: str, keywords: frozenset[str], kind: Any) -> None:
    section = page("recording.md").split(f"### {heading}\n")[1].split("\n#")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d*) ?\|", section, re.M))
    assert set(rows) >= keywords
    for name in keywords & set(TABLES[kind].c.keys()):
        length = getattr(TABLES[kind].c[name].type, "length", None)
        # A word of the vocabulary has no limit of its own; a body is limited by a setting, an answer by the code.
        if length and name not in ("event", "outcome", "status"):
            assert rows[name] == str(length), name


def test_every_word_of_the_vocabulary_is_documented() -> None:
    text = page("recording.md")
    words = [*EVENTS, *OUTCOMES, *REASONS, *METHODS, *STATUS_RANK]
    assert [word for word in words if f"`{word}`" not in text] == []


def test_every_command_and_option_is_documented() -> None:
    rows = re.findall(r"^\| `(flask [^`]+)` \| (.*?) \|", page("operations.md"), re.M)
    for name, command in leaf_commands(create_group(), "flask melody-logs"):
        options = next((shown for usage, shown in rows if f"{usage} ".startswith(f"{name} ")), None)
        assert options is not None, name
        wanted = {option.opts[-1] for option in command.params if isinstance(option, click.Option)}
        assert set(re.findall(r"--[a-z0-9-]+", options)) == wanted, name
    for name, command in leaf_commands(program, "melody-logs"):
        assert f"`{name}`" in page("operations.md")
        for option in command.params:
            assert f"`{option.opts[-1]}`" in page("operations.md"), option


def test_every_finding_of_health_is_explained() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "melody_logs/health").glob("*.py"))
    named = set(re.findall(r'Finding\(\s*"([^"]+)"', sources))
    table = page("operations.md").split("## Health")[1].split("\n## ")[0]
    explained = {name for row in re.findall(r"^\| ([\w, -]+) \|", table, re.M) for name in row.split(", ")}
    assert named and named - explained == set()


@pytest.mark.parametrize("rule", our_rules(), ids=" ".join)
def test_every_endpoint_is_documented(rule: tuple[str, str, str]) -> None:
    blueprint, method, path = rule
    places = {"melody_logs_admin": "pages.md", "melody_logs_monitoring": "operations.md"} | {
        "melody_logs_deliveries": "delivery.md"
    }
    text = page(places.get(blueprint, "api.md"))
    assert f"`{method} {path}`" in text


def test_blueprints_that_a_login_wall_lets_through_are_those_of_the_api() -> None:
    ours = {blueprint for blueprint, _, _ in our_rules()} - {"melody_logs_admin"}
    assert ours == set(re.findall(r'"(melody_logs_\w+)"', page("hosts.md")))


def test_every_permission_scope_and_field_is_documented() -> None:
    assert [word for word in PERMISSIONS if f"| `{word}` |" not in page("pages.md")] == []
    assert [word for word in SCOPES if f"| `{word}` |" not in page("api.md")] == []
    fields = {name for schema in ROW_SCHEMAS.values() for name in schema.fields}
    table = page("api.md").split("## Fields")[1].split("\n## ")[0]
    assert {name for name in fields if f"`{name}`" not in table} == set()


@pytest.mark.parametrize("name", PAGES)
def test_python_in_the_documentation_compiles(name: str) -> None:
    for number, code in enumerate(fenced(PAGES[name], "python")):
        compile(code, f"{name} block {number}", "exec")


@pytest.mark.parametrize("name", PAGES)
def test_settings_and_variables_that_are_named_exist(name: str) -> None:
    known = {key for key, *_ in describe()}
    variables = set(re.findall(r"^``(MELODY_WORKER_\w+)``", (ROOT / "worker/environment.py").read_text(), re.M))
    assert variables
    text = PAGES[name]
    assert set(re.findall(r"\bMELODY_LOGS_[A-Z_]*[A-Z]\b", text.replace("FLASK_", ""))) - known == set()
    assert set(re.findall(r"\bMELODY_WORKER_[A-Z_]*[A-Z]\b", text)) - variables == set()
    if name == "docs/worker.md":
        assert variables <= set(re.findall(r"`(MELODY_WORKER_\w+)`", text))


@pytest.mark.parametrize("name", PAGES)
def test_commands_in_the_documentation_exist(name: str) -> None:
    """Click parses each; its options and sub-commands must be there."""
    for words in commands_in(PAGES[name], "flask melody-logs"):
        check_command(create_group(), words)
    for words in commands_in(PAGES[name], "melody-logs"):
        check_command(program, words)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for words in commands_in(PAGES[name], "make"):
        assert words[0] in targets, words


@pytest.mark.parametrize("name", PAGES)
def test_celery_commands_in_the_documentation_are_accepted(name: str) -> None:
    from celery.bin.celery import celery

    for words in commands_in(PAGES[name], "celery -A melody_logs.worker"):
        check_command(celery, words)


def check_command(command: click.Command, words: list[str]) -> None:
    """Parse a command line as click would, without running it.

    :raise click.ClickException: for a sub-command or option that is not there.
    """
    context = click.Context(command)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f'"{words[0]}" is no command of "{command.name}"')
        command, words, context = found, words[1:], click.Context(found, parent=context)
    command.make_parser(context).parse_args(list(words))
