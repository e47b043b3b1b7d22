"""What runs beside the requests: plain functions that Celery tasks, the pages and the commands call alike."""
