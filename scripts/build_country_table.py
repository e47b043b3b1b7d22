"""Build the bundled country table: a small MMDB file in the GeoLite2-Country layout out of a flat country table.

Release step, run by hand: ``python scripts/build_country_table.py SOURCE.mmdb TARGET.mmdb``. SOURCE has records such as
``{"country_code": "NL"}``; its build date becomes that of TARGET, so the same input gives the same bytes.

The result is approximate on purpose. IPv4 is cut at /24 and IPv6 at /48, where the country with most addresses wins;
neighbours of one country are merged; an unassigned gap beside a country is given to it when both together are no larger
than an IPv4 /16 or an IPv6 /26, because nobody signs in from a gap and the file shrinks a lot.

The file format is MaxMind DB 2.0 (maxmind.github.io/MaxMind-DB).
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections import Counter
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import maxminddb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from melody_logs.geolocation.countries import CONTINENT_OF  # after the path to the checkout is known

Network = IPv4Network | IPv6Network
#: A country, a pair of the halves of a network, or nothing.
Tree = Any

DATABASE_TYPE = "melody_logs-Country"
DESCRIPTION = "Approximate countries of networks. Contains data of nro.net (CC BY 4.0)."
IPV4_DEPTH = 96
CUT = {4: IPV4_DEPTH + 24, 6: 48}
FILL_FROM = {4: IPV4_DEPTH + 16, 6: 26}


def main() -> None:
    """Convert the file named on the command line and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    with maxminddb.open_database(arguments.source) as reader:
        tree = merge(build_tree(reader))
        built_at = reader.metadata().build_epoch
    content = encode_database(tree, built_at)
    arguments.target.write_bytes(content)
    print(f"{arguments.target}: {len(content):,} bytes")


def build_tree(reader: maxminddb.Reader) -> Tree:
    """Sort the networks of *reader* into a binary tree; below the cut of its family a leaf counts its addresses."""
    root: list[Tree] = [None, None]
    for network, record in reader:
        country = record.get("country_code") if isinstance(record, dict) else None
        if country in CONTINENT_OF and is_assignable(network):
            insert(root, network, country)
    return root


def is_assignable(network: Network) -> bool:
    """Say whether a visitor can come from *network*; the source gives countries even to private networks."""
    return network.is_global and not network.is_multicast and not network.is_reserved


def insert(root: list[Tree], network: Network, country: str) -> None:
    """Put *network* into the tree, or into the count of the leaf that the cut leaves for it."""
    depth = network.prefixlen + (IPV4_DEPTH if network.version == 4 else 0)
    last = min(depth, CUT[network.version]) - 1
    number = int(network.network_address)
    node = root
    for level in range(last):
        side = number >> (127 - level) & 1
        if node[side] is None:
            node[side] = [None, None]
        node = node[side]
    side = number >> (127 - last) & 1
    counts = node[side] = node[side] or Counter()
    counts[country] += 1 << (128 - depth)


def merge(tree: Tree, depth: int = 0, is_ipv4: bool = True) -> Tree:
    """Reduce counts to their most frequent country, join halves that agree, and fill small gaps."""
    if tree is None:
        return None
    if isinstance(tree, Counter):
        return max(sorted(tree), key=tree.__getitem__)
    left = merge(tree[0], depth + 1, is_ipv4)
    right = merge(tree[1], depth + 1, is_ipv4 and depth >= IPV4_DEPTH)
    if left == right and not isinstance(left, list):
        return left
    if depth >= FILL_FROM[4 if is_ipv4 and depth >= IPV4_DEPTH else 6]:
        if left is None and isinstance(right, str):
            return right
        if right is None and isinstance(left, str):
            return left
    return [left, right]


def encode_database(tree: Tree, built_at: int) -> bytes:
    """Serialise *tree* with 24-bit records, one shared data record a country, and the metadata."""
    nodes: list[list[Tree]] = []
    numbers: dict[int, int] = {}
    collect(tree, nodes, numbers)
    data, offsets = encode_countries()
    encoded = bytearray()
    for node in nodes:
        for child in node:
            if child is None:
                value = len(nodes)
            elif isinstance(child, str):
                value = len(nodes) + 16 + offsets[child]
            else:
                value = numbers[id(child)]
            encoded += value.to_bytes(3, "big")
    return bytes(encoded) + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encode_metadata(len(nodes), built_at)


def collect(node: list[Tree], nodes: list[list[Tree]], numbers: dict[int, int]) -> None:
    """Number the inner nodes, parents first."""
    numbers[id(node)] = len(nodes)
    nodes.append(node)
    for child in node:
        if isinstance(child, list):
            collect(child, nodes, numbers)


def encode_countries() -> tuple[bytes, dict[str, int]]:
    """Encode one record for each country; give the data and the offset of each record in it."""
    data, offsets = b"", {}
    for country, continent in sorted(CONTINENT_OF.items()):
        offsets[country] = len(data)
        data += encode({"continent": {"code": continent}, "country": {"iso_code": country}})
    return data, offsets


def encode_metadata(node_count: int, built_at: int) -> bytes:
    """Encode the map that ends the file."""
    return encode(
        {
            "binary_format_major_version": (5, 2),
            "binary_format_minor_version": (5, 0),
            "build_epoch": (9, built_at),
            "database_type": DATABASE_TYPE,
            "description": {"en": DESCRIPTION},
            "ip_version": (5, 6),
            "languages": ["en"],
            "node_count": (6, node_count),
            "record_size": (5, 24),
        }
    )


def encode(value: Any) -> bytes:
    """Encode text, a map, a list, or a number given as (type of the format, number)."""
    if isinstance(value, str):
        content = value.encode()
        return control(2, len(content)) + content
    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encode, value))
    kind, number = value
    content = int(number).to_bytes((int(number).bit_length() + 7) // 8, "big")
    return control(kind, len(content)) + content


def control(kind: int, size: int) -> bytes:
    """Encode the control byte (or bytes) of a field; sizes up to 284 occur here."""
    extra, size_bits = (struct.pack("B", size - 29), 29) if size >= 29 else (b"", size)
    if kind > 7:
        return bytes([size_bits, kind - 7]) + extra
    return bytes([kind << 5 | size_bits]) + extra


if __name__ == "__main__":
    main()
