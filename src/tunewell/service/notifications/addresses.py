"""Which network addresses notifications may go to: those of the public internet, and no way around into another."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

#: Prefixes of IPv6 whose addresses lead to one of IPv4 that they hold: by mapping, translation or a tunnel.
_HOLDING = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))
)
#: Networks for whose addresses `is_global` says yes, or says so in some versions of Python: those that providers share,
#: of protocols, of benchmarks, the relays of 6to4, what asks a cloud about its own machine, site-local ones.
_NOT_PUBLIC_4 = ("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "192.88.99.0/24", "168.63.129.16/32")
_NOT_PUBLIC_6 = ("fec0::/10", "100::/64", "5f00::/16")
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, (*_NOT_PUBLIC_4, *_NOT_PUBLIC_6)))


def parse(text: str) -> Address:
    """Return an address as it is written in one way only; raise `ValueError` for anything else."""
    address = ipaddress.ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("it names an interface")
    return address


def refusal(address: Address, private: bool) -> str:
    """Return why nothing is sent to an address, in words that follow its name; empty: something may be.

    `private` permits addresses that are not of the public internet.
    """
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        return "is no address of a single machine"
    if private or _is_public(address):
        return ""
    return "is not of the public internet"


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and any(address in network for network in _HOLDING):
        return False
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_private or address.is_reserved or address.is_link_local)
