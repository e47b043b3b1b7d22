"""What the processes of one demo share: a file in its data folder, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import ConfigurationError

DATA_DIR_VARIABLE = "MELODY_DEMO_DATA_DIR"
DEFAULT_DATA_DIR = ".demo"
ADMIN_EMAIL = "admin@example.org"

_WORDS = (
    *("amber", "birch", "cedar", "cello", "coral", "delta", "ember", "fjord", "flint", "grove", "harbor", "hazel"),
    *("heron", "indigo", "juniper", "lagoon", "lantern", "maple", "meadow", "nectar", "onyx", "orchid", "otter"),
    *("pebble", "prairie", "quartz", "raven", "river", "saffron", "sierra", "summit", "thistle", "tulip", "velvet"),
    *("walnut", "willow", "zephyr"),
)


@dataclass(frozen=True)
class DemoConfiguration:
    """The secrets, addresses and first passwords of one demo; kept over restarts, ports apart."""

    secret_key: str
    admin_password: str
    people_password: str
    provider_key: str
    database_url: str
    smtp_port: int = 0
    provider_port: int = 0


def data_dir_of_environment() -> Path:
    """The data folder named in ``MELODY_DEMO_DATA_DIR``, else ``.demo`` in the working directory."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR).resolve()


def new_configuration(database_url: str) -> DemoConfiguration:
    """Make the secrets of a new demo."""
    return DemoConfiguration(
        secret_key=secrets.token_urlsafe(32),
        admin_password=make_password(),
        people_password=make_password(),
        provider_key=secrets.token_urlsafe(24),
        database_url=database_url,
    )


def make_password() -> str:
    """Make a password that is easy to type: four words and a number, about 34 bits."""
    words = [secrets.choice(_WORDS) for _ in range(4)]
    return "-".join([*words, str(secrets.randbelow(9_000) + 1_000)])


def load_configuration(data_dir: Path) -> DemoConfiguration:
    """Read the configuration of the demo in *data_dir*.

    :raise ConfigurationError: if no demo was started there yet, or the file cannot be read.
    """
    path = data_dir / "configuration.json"
    try:
        return DemoConfiguration(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigurationError(
            f'"{data_dir}" holds no demo yet: start one with "melody-logs demo --data-dir {data_dir}", '
            f'or name its folder in "{DATA_DIR_VARIABLE}"'
        ) from None
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f'"{path}" is not a configuration of the demo ({error}): remove it') from error


def save_configuration(data_dir: Path, configuration: DemoConfiguration) -> None:
    """Write the configuration into *data_dir*."""
    write_private_json(data_dir / "configuration.json", asdict(configuration))


def write_private_json(path: Path, value: dict[str, Any]) -> None:
    """Replace *path* by *value* as JSON in one step; only the owner may read it."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
