"""The worker with Redis behind TLS, by the address of the guide: encrypted, the server's name and issuer checked."""

from __future__ import annotations

from pathlib import Path

import redis

from melody_logs.storage.models import SignInLog
from tests.docs import options_of_address
from tests.servers.binaries import redis_binaries
from tests.servers.redis_server import running_redis
from tests.servers.tls import Authority, tls_in_front_of
from tests.worker.conftest import Host

OURS = "melody_logs.worker"
PASSWORD = "open-sesame"


def test_worker_uses_redis_over_tls(host: Host, tmp_path: Path) -> None:
    """One that trusts somebody else's certificates gets no further than their refusal."""
    authority = Authority(tmp_path / "authority")
    stranger = Authority(tmp_path / "stranger", "Somebody else")
    folder = tmp_path / "redis"
    folder.mkdir()
    host.add_sign_ins(3)
    with (
        running_redis(redis_binaries()[0], folder) as server,
        redis.Redis.from_url(server.url) as client,
        tls_in_front_of(server.port, authority) as port,
    ):
        client.config_set("requirepass", PASSWORD)

        def trust(ca: Path) -> None:
            options = options_of_address("worker.md", "rediss", ca)
            host.environment["MELODY_WORKER_BROKER_URL"] = f"rediss://:{PASSWORD}@localhost:{port}/0?{options}"

        trust(stranger.ca)
        strange = host.start(OURS, "worker", "--pool", "solo", name="strange")
        trust(authority.ca)
        worker = host.start(OURS, "worker", "--pool", "solo", name="worker")
        host.start(OURS, "call", "melody_logs.locate_pending", name="call").wait()
        worker.wait_until(lambda: host.count(SignInLog.country == "GB") == 3, what="locating")
        strange.wait_for_output("certificate verify failed")
        worker.kill()
        strange.kill()
