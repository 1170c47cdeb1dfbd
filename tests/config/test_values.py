"""What is read from URLs that were checked."""

from __future__ import annotations

from pattoo_mp.config import values


def test_host_and_port_of_a_url_are_known() -> None:
    """Those that the scheme has if none is given, too."""
    assert values.host_and_port("https://pattoo.example.org/x") == ("pattoo.example.org", 443)
    assert values.host_and_port("http://pattoo.example.org") == ("pattoo.example.org", 80)
    assert values.host_and_port("https://[::1]:8443") == ("::1", 8443)
    assert values.host_and_port(values.url("::1", 20201)) == ("::1", 20201)


def test_an_interface_in_an_address_is_written_as_urls_have_it() -> None:
    """RFC 6874."""
    assert values.url("fe80::1%eth0", 20201) == "http://[fe80::1%25eth0]:20201"
