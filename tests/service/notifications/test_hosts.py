"""Where notifications may go: URLs that every program reads alike, hosts of the list, addresses of the internet."""

from __future__ import annotations

import ipaddress

import pytest

from tunewell.service.notifications import addresses, hosts
from tunewell.spec.errors import ForbiddenError, SpecError
from tunewell.store.rows import AllowedHostRow

#: Addresses that are not of the public internet, however they are written.
INSIDE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("168.63.129.16", "240.0.0.1", "192.88.99.1"),
    *("::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "2001:db8::1", "100::1"),
    # Of IPv4, in another coat: mapped, compatible, translated, by 6to4, by Teredo.
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::1"),
]
#: What is no address of a single machine.
NOBODY = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"]


@pytest.mark.parametrize("text", INSIDE)
def test_addresses_inside(text: str) -> None:
    """They are refused, unless an entry permits them."""
    address = addresses.parse(text)
    assert addresses.refusal(address, private=False)
    assert not addresses.refusal(address, private=True)


@pytest.mark.parametrize("text", NOBODY)
def test_addresses_of_nobody(text: str) -> None:
    """They are refused in any case."""
    assert addresses.refusal(addresses.parse(text), private=True)


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_addresses_of_the_internet(text: str) -> None:
    """They are permitted."""
    assert not addresses.refusal(addresses.parse(text), private=False)


def test_every_network_within_is_refused() -> None:
    """First and last address of each network that is private, or leads to IPv4, are refused."""
    nets = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"]
    nets += ["fc00::/7", "fe80::/10", "2002::/16", "64:ff9b::/96", "::ffff:0:0/96", "2001::/32"]
    for network in map(ipaddress.ip_network, nets):
        for address in (network[0], network[-1]):
            assert addresses.refusal(address, private=False), address


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.org", "//hooks.example.org", "https:hooks.example.org", "https://", "https:///x"),
        *("ftp://hooks.example.org", "file:///etc/passwd", "gopher://hooks.example.org/_x", "javascript:alert(1)"),
        *("https://u@hooks.example.org", "https://u:p@hooks.example.org", "https://hooks.example.org@127.0.0.1/"),
        *("https://hooks.example.org\\@127.0.0.1/", "https://hooks.example.org/\r\nHost: x", "https://a b/"),
        *("https://hooks.example.org/\tx", "https://hooks.example.org:0/", "https://hooks.example.org:99999/"),
        *("https://hooks.example.org/#x", "https://[::1%25eth0]/", "https://[::1/", "https://-a.org/", "https://a..b/"),
        *("https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://1.2.3/"),
        *("https://127.0.0.1.0x1/", "https://0x7f.0.0.1/", "https://127.0.0.01/", "https://café.example.org/"),
        *(
            "https://１２７.0.0.1/",
            "https://ⓛocalhost/",
            "https://example.org./",
            "https://%3127.0.0.1/",
            "https://*.a.b/",
        ),
        "https://example.org/" + 2000 * "x",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """Odd schemes, users, and hosts that programs may read in several ways are refused."""
    with pytest.raises(SpecError):
        hosts.parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "where"),
    [
        ("https://Hooks.Example.org", "hooks.example.org", 443, "/", "hooks.example.org"),
        ("https://hooks.example.org:443/a?b=c", "hooks.example.org", 443, "/a?b=c", "hooks.example.org"),
        ("https://hooks.example.org:8443/a", "hooks.example.org", 8443, "/a", "hooks.example.org:8443"),
        ("http://hooks/a", "hooks", 80, "/a", "hooks"),
        ("https://192.0.2.7/", "192.0.2.7", 443, "/", "192.0.2.7"),
        ("https://[2001:DB8:0::7]:8443/", "2001:db8::7", 8443, "/", "[2001:db8::7]:8443"),
    ],
)
def test_urls(url: str, host: str, port: int, path: str, where: str) -> None:
    """Host, port and path are what every program takes them for; people are shown where it leads, and no more."""
    place = hosts.parse_url(url)
    assert (place.host, place.port, place.path) == (host, port, path)
    assert place.shown == f"{url.partition(':')[0]}://{where}/…"


def row(host: str, port: int = 443, plain_http: bool = False) -> AllowedHostRow:
    """Return an entry of the list."""
    return AllowedHostRow(host, port, plain_http, False, 1.0)


def test_the_list() -> None:
    """An entry counts for its very host, or for all below it, and for one port; the closest one counts."""
    allowed = [row("*.example.org"), row("a.example.org"), row("*.b.example.org"), row("plain.org", 80, True)]
    find = lambda url: hosts.find(allowed, hosts.parse_url(url)).host  # noqa: E731 - it is read as a table
    assert find("https://a.example.org/") == "a.example.org"
    assert find("https://x.b.example.org/") == "*.b.example.org"
    assert find("https://x.y.example.org/") == "*.example.org"
    assert find("http://plain.org/") == "plain.org"
    for url in (
        *("https://example.org/", "https://badexample.org/", "https://example.org.evil.com/"),
        *("https://a.example.org:444/", "http://a.example.org:443/", "https://plain.org/"),
    ):
        with pytest.raises(ForbiddenError):
            hosts.find(allowed, hosts.parse_url(url))
