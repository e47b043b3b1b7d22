# The wheel is built from the checkout and installed without it: beside a checkout, Python would take that one.
FROM python:3.13-slim AS build
WORKDIR /checkout
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/*.whl)[postgresql]" gunicorn \
    && useradd --create-home --uid 10001 host \
    && install -d -o host -g host -m 700 /srv/host /srv/spool
COPY examples/host_app.py /srv/host/
WORKDIR /srv/host
USER host
ENV PYTHONUNBUFFERED=1 FLASK_APP=host_app:create_app REMAP_SIGTERM=SIGQUIT
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "8", "host_app:create_app()"]
