"""What of an app's authentication is recorded, and what leaves no trace: for the command and the pages."""

from __future__ import annotations

from .remarks import Connected, Remark
from .report import Coverage, describe_coverage, examine, recent_coverage

__all__ = ["Connected", "Coverage", "Remark", "describe_coverage", "examine", "recent_coverage"]
