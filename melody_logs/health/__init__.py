"""Is everything well, and if not, what helps: for the command, the pages, the probe and Prometheus."""

from __future__ import annotations

from .check import check_health, recent_health
from .figures import Figures
from .findings import Finding, Health, Level
from .json_form import describe_health
from .recent import remembered_health

__all__ = [
    "Figures",
    "Finding",
    "Health",
    "Level",
    "check_health",
    "describe_health",
    "recent_health",
    "remembered_health",
]
