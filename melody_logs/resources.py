"""Where the templates and migrations lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_package = Path(__file__).resolve().parent
_root = _package if (_package / "templates").is_dir() else _package.parent

TEMPLATES = _root / "templates"
MIGRATIONS = _root / "migrations"
STATIC = _package / "static"
