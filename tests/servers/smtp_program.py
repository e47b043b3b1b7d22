"""An SMTP server that takes, refuses and breaks off by the address of the receiver; run as ``smtp_program.py PORT``.

It writes a line of JSON for each mail that it takes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

#: What is answered to a receiver, by the part of the address before the ``@``.
RECEIVER_ANSWERS = {"full": "552 5.2.2 Mailbox full", "later": "451 4.7.1 Greylisted, try again later"}
#: What is answered to the data of a mail to a receiver.
DATA_ANSWERS = {"spam": "554 5.7.1 Looks like spam", "busy": "452 4.3.1 No room"}
SLOW_SECONDS = 30


class Handler:
    """Answers for the server, as aiosmtpd asks it."""

    def __init__(self) -> None:
        self.taken = 0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Take every sender but one."""
        if address.startswith("banned@"):
            return "550 5.7.1 Sender is banned"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Answer to a receiver."""
        answer = RECEIVER_ANSWERS.get(address.partition("@")[0])
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail, or not."""
        names = [address.partition("@")[0] for address in envelope.rcpt_tos]
        if "drop" in names:
            server.transport.abort()
        if "slow" in names:
            await asyncio.sleep(SLOW_SECONDS)
        for name in names:
            if name in DATA_ANSWERS:
                return DATA_ANSWERS[name]
        self.taken += 1
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("utf-8", "replace"),
        }
        print(json.dumps(mail), flush=True)
        return f"250 2.0.0 Ok: queued as Q{self.taken:06}"


async def serve(port: int) -> None:
    """Serve SMTP on the port, and LMTP on the next."""
    handler, loop = Handler(), asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(handler, hostname="mail.example"), "127.0.0.1", port)
    await loop.create_server(lambda: LMTP(handler, hostname="mail.example"), "127.0.0.1", port + 1)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
