"""Networks of content delivery networks: a client's address among them is that of the network, not of a person.

Sources: https://www.cloudflare.com/ips/, https://api.fastly.com/public-ip-list (of June 2023), and the larger networks
of CLOUDFRONT in https://ip-ranges.amazonaws.com/ip-ranges.json; written down in November 2026. They change seldom, and
a share of all rows is judged, never one address: a network that is missing does little harm.
"""

from __future__ import annotations

import ipaddress
from functools import cache, lru_cache

#: By name, separated by spaces.
_PUBLISHED = {
    "Cloudflare": """
        173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20
        188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13
        131.0.72.0/22 2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29
        2c0f:f248::/32""",
    "Fastly": """
        23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20 140.248.64.0/18
        140.248.128.0/17 146.75.0.0/17 151.101.0.0/16 157.52.64.0/18 167.82.0.0/17 167.82.128.0/20 167.82.160.0/20
        167.82.224.0/20 172.111.64.0/18 185.31.16.0/22 199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32 2a04:4e42::/32""",
    "CloudFront": """
        3.160.0.0/14 3.164.0.0/15 3.166.0.0/15 3.168.0.0/14 3.172.0.0/17 3.173.0.0/16 3.174.0.0/15 13.32.0.0/15
        13.35.0.0/16 13.224.0.0/14 13.249.0.0/16 15.158.0.0/16 18.64.0.0/14 18.68.0.0/16 18.154.0.0/15 18.160.0.0/15
        18.164.0.0/15 18.172.0.0/15 18.238.0.0/15 18.244.0.0/15 52.46.0.0/18 52.82.128.0/19 52.84.0.0/15 52.124.128.0/17
        52.222.128.0/17 54.182.0.0/16 54.192.0.0/16 54.230.0.0/17 54.230.128.0/18 54.230.200.0/21
        54.230.208.0/20 54.230.224.0/19 54.239.128.0/18 54.239.192.0/19 54.240.128.0/18
        64.252.64.0/18 64.252.128.0/18 65.8.0.0/16 65.9.0.0/17 65.9.128.0/18 70.132.0.0/18 71.152.0.0/17 99.84.0.0/16
        99.86.0.0/16 108.138.0.0/15 108.156.0.0/14 130.176.0.0/17
        130.176.128.0/18 130.176.192.0/19 130.176.224.0/20 143.204.0.0/16 144.220.0.0/16 204.246.164.0/22
        204.246.168.0/22 204.246.176.0/20 205.251.200.0/21 205.251.208.0/20 216.137.32.0/19 2600:9000::/28""",
}
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4096)
def name_network(address: str) -> str | None:
    """Name the delivery network that a canonical address belongs to; None if it is none of these."""
    parsed = ipaddress.ip_address(address)
    for name, networks in _networks().items():
        if any(parsed in network for network in networks if network.version == parsed.version):
            return name
    return None


@cache
def _networks() -> dict[str, tuple[_Network, ...]]:
    return {name: tuple(map(ipaddress.ip_network, text.split())) for name, text in _PUBLISHED.items()}
