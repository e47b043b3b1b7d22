"""A client that uses the host without end and notes each answer: PORT NAME SEED NOTES [same].

NOTES gets a JSON line once an answer is there, ``{"kind": …, "ids": […]}``, and one for each answer that never came,
``{"kind": …, "unanswered": COUNT}``. With ``same`` it only guesses passwords, of one account after the other, and each
line names the ``account``.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

MOST_ATTEMPTS = 24
#: Enough to be counted in one row, and so few that most accounts have no request without an answer.
GUESSES_AN_ACCOUNT = 25
TIMEOUT_SECONDS = 20
PAUSE_SECONDS = 0.004
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def choose_request(random_numbers: random.Random, name: str, guesses: bool) -> tuple[str, str, dict[str, str], int]:
    """Choose what to do: the kind to be noted, the path, the form and how many entries it makes."""
    if guesses:
        count = random_numbers.randint(1, MOST_ATTEMPTS)
        guesser, _, number = name.partition("-")
        account = f"{guesser}{int(number) // GUESSES_AN_ACCOUNT}@example.org"
        return "sign-in", "/same", {"name": account, "count": str(count)}, count
    dice = random_numbers.random()
    if dice < 0.6:
        count = random_numbers.randint(1, MOST_ATTEMPTS)
        return "sign-in", "/attempts", {"name": name, "count": str(count)}, count
    if dice < 0.85:
        return "email", "/mail", {"name": name}, 1
    return "hook", "/login", {"email": f"{name}@example.org", "password": "right"}, 1


def post(connection: http.client.HTTPConnection, path: str, form: dict[str, str]) -> list[str] | None:
    """Post a form and read the ids in the answer; None if no good answer came."""
    try:
        connection.request("POST", path, urlencode(form), FORM)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
    if answer.status != 200:
        return None
    return [form["email"]] if path == "/login" else list(json.loads(body))


def main() -> None:
    """Ask until killed."""
    port, name, seed, notes = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    guesses = "same" in sys.argv[5:]
    random_numbers = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    number = 0
    with notes.open("w", buffering=1) as file:
        while True:
            number += 1
            kind, path, form, entries = choose_request(random_numbers, f"{name}-{number}", guesses)
            note = {"kind": kind, "account": form["name"]} if guesses else {"kind": kind}
            # Noted first: when this client is ended, its last request counts as one that was not answered.
            file.write(json.dumps(note | {"asked": entries}) + "\n")
            ids = post(connection, path, form)
            if ids is None:
                file.write(json.dumps(note | {"unanswered": entries}) + "\n")
                time.sleep(0.05)
            else:
                file.write(json.dumps(note | {"ids": ids}) + "\n")
                time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
