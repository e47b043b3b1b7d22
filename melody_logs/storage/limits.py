"""How long anything may wait for the log database, in seconds."""

from __future__ import annotations

CONNECT_SECONDS = 2
#: For a pooled connection to show that it is alive, before its use.
PING_SECONDS = 2.0
READ_SECONDS = 10.0
WRITE_SECONDS = 60.0
LOCK_SECONDS = 10
#: A transaction whose client says nothing is ended by the server: a frozen client must not hold locks for ever.
IDLE_TRANSACTION_SECONDS = 30
#: How long after the server's own limit a connection is broken off.
GRACE_SECONDS = 1.0
