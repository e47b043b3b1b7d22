"""Who visits the demo: addresses around the world, devices, and how often somebody does what."""

from __future__ import annotations

import random

from .accounts import PEOPLE, TEXT_STEP_PEOPLE

#: Public networks in many countries; a visitor gets a host number in one of them.
HOME_NETWORKS = (
    "24.48.0", "66.249.66", "73.162.10", "99.224.12", "142.116.8", "189.203.5", "190.24.9", "200.147.3",
    "181.43.77", "81.2.69", "86.143.22", "90.84.144", "91.64.13", "93.184.50", "79.37.211", "88.12.40",
    "145.53.9", "178.197.233", "84.208.20", "83.248.15", "85.76.33", "89.64.28", "77.75.76", "95.90.201",
    "78.186.31", "41.79.198", "105.112.96", "196.25.1", "197.211.58", "154.118.20", "103.21.124", "49.36.12",
    "202.134.7", "113.161.70", "118.136.22", "126.74.3", "133.242.18", "175.45.20", "203.30.12", "121.99.40",
    "124.82.17", "210.6.99", "220.255.4", "58.96.22", "1.36.40", "2.49.77",
)  # fmt: skip
#: Where guessing comes from: few networks, many tries.
GUESSING_NETWORKS = ("45.155.205", "185.220.101", "193.32.162", "141.98.10", "222.186.30", "61.177.172")
DEVICES = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Mobile Safari/537.36",
)
GUESSING_DEVICE = "python-requests/2.32.4"
UNKNOWN_NAMES = ("admin", "root", "test", "info", "office", "sales", "webmaster", "support", "billing", "hello")
#: What happens, and how often out of a hundred.
DEEDS = {"sign_in": 58, "wrong_password": 13, "guess": 12, "text_step": 9, "reset": 6, "full_mailbox": 2}
PLAIN_PEOPLE = tuple(name for name in PEOPLE if name not in TEXT_STEP_PEOPLE)


def choose_deed(chance: random.Random) -> str:
    """Choose what happens next."""
    return chance.choices(list(DEEDS), weights=list(DEEDS.values()))[0]


def home_of(name: str, chance: random.Random) -> tuple[str, str]:
    """Give the address and device of a person: mostly the same ones, now and then those of a journey."""
    usual = random.Random(name)
    source = chance if chance.random() < 0.35 else usual
    return f"{source.choice(HOME_NETWORKS)}.{source.randint(1, 254)}", source.choice(DEVICES)


def guessing_place(chance: random.Random) -> tuple[str, str]:
    """Give the address and device of somebody who tries names."""
    return f"{chance.choice(GUESSING_NETWORKS)}.{chance.randint(1, 254)}", GUESSING_DEVICE
