"""Makes the Celery app of the worker and beat processes around the host's Flask app."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from flask import Flask

from melody_logs.tasks import beat_schedule

from .connection import PatientBroker
from .environment import broker_url, data_folder, lifeline_descriptor, load_host
from .lifeline import watch_lifeline
from .options import celery_options, embedded_message_folder
from .process import connect_process_events


def create_worker() -> Celery:
    """Load the host named in the environment and make a Celery app whose tasks run inside its app context.

    :raise ConfigurationError: if no host is named, or it cannot be loaded.
    :raise NotInitialisedError: if the host has not called ``MelodyLogs.init_app``.
    """
    descriptor = lifeline_descriptor()
    if descriptor is not None:
        watch_lifeline(descriptor)
    host = load_host()
    folder, url = data_folder(host), broker_url()
    worker = Celery("melody_logs", task_cls=_context_task(host), amqp=PatientBroker)
    worker.conf.update(celery_options(url, folder))
    worker.conf.beat_schedule = beat_schedule(host)
    worker.set_default()
    connect_process_events(host, embedded_message_folder(url, folder))
    return worker


def _context_task(host: Flask) -> type[Any]:
    class ContextTask(Task):  # type: ignore[misc]  # Celery has no types
        """A task that runs inside the host's app context, as Flask's documentation shows it."""

        def __call__(self, *args: object, **kwargs: object) -> object:
            with host.app_context():
                return self.run(*args, **kwargs)

    return ContextTask
