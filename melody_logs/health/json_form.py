"""The health as a program reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .findings import Finding, Health


def describe_health(health: Health) -> dict[str, Any]:
    """Give ``well``, ``findings`` and ``figures`` as values that JSON has; moments are text in UTC."""
    return {
        "well": health.well,
        "findings": [_describe_finding(finding) for finding in health.findings],
        "figures": {
            field.name: _describe(getattr(health.figures, field.name)) for field in dataclasses.fields(health.figures)
        },
    }


def _describe_finding(finding: Finding) -> dict[str, Any]:
    return {field.name: _describe(getattr(finding, field.name)) for field in dataclasses.fields(finding)}


def _describe(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _describe(one) for name, one in value.items()}
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        return _describe(named()) if named else [_describe(one) for one in value]
    return value
