"""The Celery process of melody_logs: ``celery -A melody_logs.worker worker`` and ``celery -A melody_logs.worker beat``.

The host's app is named in the environment (:mod:`melody_logs.worker.environment`).
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Celery asks for ``app``; made only then, so that the other modules of this package load without a host.
    if name != "app":
        raise AttributeError(f'module "{__name__}" has no attribute "{name}"')
    from .celery_app import create_worker

    app = globals()["app"] = create_worker()
    return app
