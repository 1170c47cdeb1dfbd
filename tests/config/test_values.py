"""Parts of checked URLs."""

from __future__ import annotations

from pattoo_mp.config import values


def test_host_and_port_of_a_url() -> None:
    """Without a port, the default of the scheme."""
    assert values.host_and_port("https://pattoo.example.org/x") == ("pattoo.example.org", 443)
    assert values.host_and_port("http://pattoo.example.org") == ("pattoo.example.org", 80)
    assert values.host_and_port("https://[::1]:8443") == ("::1", 8443)
    assert values.host_and_port(values.url("::1", 20201)) == ("::1", 20201)


def test_the_zone_of_an_ipv6_address_is_escaped_in_a_url() -> None:
    """RFC 6874."""
    assert values.url("fe80::1%eth0", 20201) == "http://[fe80::1%25eth0]:20201"
