"""The entry point of a host with a Celery of its own: ``celery -A tests.worker.own_celery worker``."""

from tests.worker.host_app import create_celery

app = create_celery()
