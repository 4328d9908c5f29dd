"""Where deliveries may go: to the public internet, and nowhere else unless the operator says so."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from gateway.webhooks.address import Destination, Rules, chosen

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.0.10",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_refused(text: str) -> None:
    assert not Rules().allows(ip_address(text))
    assert chosen([text], Rules()) == ()
    assert chosen(["8.8.8.8", text], Rules()) == ()


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert Rules().allows(ip_address(text))


def test_a_network_is_allowed_by_name_and_no_other_one_with_it() -> None:
    rules = Rules(allow_private=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    allowed = ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "8.8.8.8"]
    assert [text for text in [*allowed, "10.2.0.1", "127.0.0.1", "::1"] if rules.allows(ip_address(text))] == allowed


def test_a_host_without_an_address_is_connected_to_nowhere() -> None:
    assert list(chosen([], Rules())) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:pass@hooks.example.com/",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com/\n",
        "https://höoks.example.com/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:99999/",
        "https://10.0.0.1/",
        "https://127.0.0.1:8443/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1%eth0]/",
    ],
)
def test_what_is_no_safe_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        Rules(allow_http=True).check(url)
    assert len(url) < 10 or url not in str(caught.value)


def test_http_is_taken_only_where_it_is_allowed() -> None:
    with pytest.raises(ValueError, match="https"):
        Rules().check("http://hooks.example.com/")
    Rules(allow_http=True).check("http://hooks.example.com/")


def test_a_url_keeps_its_path_when_an_address_takes_the_place_of_its_name() -> None:
    destination = Destination.of("https://hooks.example.com:8443/a/b?c=d&e=%2f")
    assert destination.authority == "hooks.example.com:8443"
    assert destination.at(ip_address("192.0.2.1")) == "https://192.0.2.1:8443/a/b?c=d&e=%2f"
    assert Destination.of("https://hooks.example.com").at(ip_address("2001:db8::1")) == "https://[2001:db8::1]:443/"
