from __future__ import annotations

from ipaddress import ip_network

from gateway.edge.origin import Origins, traceparent_of

NOBODY = Origins()
PROXIES = Origins([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def test_nobody_is_believed_by_default() -> None:
    headers = {"x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https"}
    origin = NOBODY.of("1.2.3.4", "http", headers)
    assert (origin.client_ip, origin.scheme, origin.forwarded_for) == ("1.2.3.4", "http", "1.2.3.4")
    assert NOBODY.request_id("1.2.3.4", [(b"x-request-id", b"chosen-by-client")]) != "chosen-by-client"


def test_a_trusted_proxy_names_the_client() -> None:
    origin = PROXIES.of("10.0.0.1", "http", {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"})
    assert (origin.client_ip, origin.scheme, origin.forwarded_for) == ("1.2.3.4", "https", "1.2.3.4, 10.0.0.1")


def test_what_the_client_wrote_itself_is_not_believed_behind_a_proxy() -> None:
    headers = {"x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.2"}
    origin = PROXIES.of("10.0.0.1", "http", headers)
    assert origin.client_ip == "1.2.3.4"
    assert "6.6.6.6" not in origin.forwarded_for


def test_an_address_that_is_none_ends_the_chain() -> None:
    assert PROXIES.of("10.0.0.1", "http", {"x-forwarded-for": "1.2.3.4, unknown"}).client_ip == "10.0.0.1"


def test_a_mapped_address_is_that_of_its_network() -> None:
    assert PROXIES.of("::ffff:10.0.0.1", "http", {"x-forwarded-for": "1.2.3.4"}).client_ip == "1.2.3.4"


def test_a_trusted_proxy_may_give_a_well_formed_request_id() -> None:
    assert PROXIES.request_id("10.0.0.1", [(b"x-request-id", b"trace-0001")]) == "trace-0001"
    assert PROXIES.request_id("10.0.0.1", [(b"x-request-id", b"a b\n")]) != "a b\n"


def test_only_a_valid_traceparent_goes_on() -> None:
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert traceparent_of(good) == good
    assert traceparent_of(good.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)) is None
    assert traceparent_of(good + "\r\nx: y") is None
