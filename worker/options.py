"""The options of our Celery app, and why each differs from Celery's default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .environment import EMBEDDED_BROKER_URL

QUEUE = "melody_logs"
#: Longer than any task runs; Celery's own hour would hide a message of a killed worker for so long.
VISIBILITY_TIMEOUT_SECONDS = 300


def celery_options(broker_url: str, data_folder: Path) -> dict[str, Any]:
    """Make the configuration of the worker's Celery app.

    :param data_folder: where the embedded broker keeps its messages; made, for the owner only, if it is used.
    """
    return {
        "broker_url": broker_url,
        "broker_transport_options": _transport_options(broker_url, data_folder),
        "broker_connection_retry_on_startup": True,
        # For ever: Celery's own hundred attempts end the worker.
        "broker_connection_max_retries": None,
        "include": ["melody_logs.tasks"],
        "task_default_queue": QUEUE,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        # The schedule is fixed: nothing to keep in a file, and no file to be broken by a kill -9.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_max_loop_interval": 1,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_soft_shutdown_timeout": 5,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
    }


def embedded_message_folder(broker_url: str, data_folder: Path) -> Path | None:
    """The folder in which the embedded broker keeps its messages; None with another broker."""
    return data_folder / "messages" if broker_url.startswith(EMBEDDED_BROKER_URL) else None


def _transport_options(broker_url: str, data_folder: Path) -> dict[str, Any]:
    messages = embedded_message_folder(broker_url, data_folder)
    if messages is not None:
        control = data_folder / "control"
        for folder in (data_folder, messages, control):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            "polling_interval": 0.2,
        }
    if broker_url.startswith(("redis:", "rediss:", "sentinel:")):
        return {"visibility_timeout": VISIBILITY_TIMEOUT_SECONDS}
    return {}
