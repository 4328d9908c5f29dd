from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BAD_PATH, METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, Problem, Refused
from gateway.pipeline.chain import Chain
from gateway.routing.canonical import check_target
from gateway.routing.match import Route, Router
from policies.origin import Origin
from policies.public import Public
from tests import samples
from tests.samples import SETUP

OPEN = Chain.of([Public(Public.Config(), SETUP)])
CROSS_ORIGIN = Chain.of([Public(Public.Config(), SETUP), Origin(Origin.Config(), SETUP)])


def route(path: str, *methods: str, hosts: tuple[str, ...] = (), name: str = "", chain: Chain = OPEN, **options) -> Route:
    return Route(name or path, path, chain, upstream="u", methods=frozenset(methods), hosts=hosts, **options)


def taken(routes: list[Route], target: str, method: str = "GET", host: str = "gateway.test", **headers: str) -> str:
    """The route's name, the same whatever the order of the routes."""
    request = samples.request(method, target, {k.replace("_", "-"): v for k, v in headers.items()}, host=host)
    names = {Router(ordered).match(request).name for ordered in (routes, routes[::-1])}
    assert len(names) == 1
    return names.pop()


def refusal(routes: list[Route], target: str, method: str = "GET", **options) -> Refused:
    with pytest.raises(Refused) as refused:
        taken(routes, target, method, **options)
    return refused.value


def problem(routes: list[Route], target: str, method: str = "GET", **options) -> Problem:
    return refusal(routes, target, method, **options).problem


class TestThePath:
    routes = (route("/a"), route("/a/*"), route("/a/{x}"), route("/a/b"), route("/a/{x}/c"), route("/a/b/*"), route("/*"))

    @pytest.mark.parametrize(
        ("target", "name"),
        [
            ("/a", "/a"),
            ("/a/b", "/a/b"),
            ("/a/z", "/a/{x}"),
            ("/a/z/c", "/a/{x}/c"),
            ("/a/z/d", "/a/*"),
            ("/a/b/c", "/a/b/*"),
            ("/a/", "/a/*"),
            ("/a/b/", "/a/b/*"),
            ("/", "/*"),
            ("/ab", "/*"),
            ("/A", "/*"),
            ("/a/b?x=/a", "/a/b"),
        ],
    )
    def test_that_is_most_specific_wins(self, target, name):
        assert taken(list(self.routes), target) == name

    def test_is_matched_as_sent(self):
        assert problem([route("/admin")], "/%61dmin") is ROUTE_NOT_FOUND
        assert taken([route("/%61dmin")], "/%61dmin") == "/%61dmin"
        assert problem([route("/admin")], "/ADMIN") is ROUTE_NOT_FOUND
        assert problem([route("/admin")], "/admin/") is ROUTE_NOT_FOUND

    def test_of_an_open_end_takes_its_stem_so_that_no_wider_route_does(self):
        assert taken([route("/a/*"), route("/*")], "/a") == "/a/*"
        assert problem([route("/a/*")], "/ab/c") is ROUTE_NOT_FOUND

    def test_of_a_parameter_takes_one_segment_and_not_none(self):
        assert problem([route("/a/{x}")], "/a/") is ROUTE_NOT_FOUND
        assert problem([route("/a/{x}")], "/a/b/c") is ROUTE_NOT_FOUND

    @pytest.mark.parametrize("target", ["/files/a%2fb", "/files/a%5Cb"])
    def test_with_an_encoded_slash_is_refused_unless_the_route_takes_it_as_data(self, target):
        assert problem([route("/files/*")], target) is BAD_PATH
        assert taken([route("/files/*", encoded_slashes=True)], target) == "/files/*"

    def test_with_an_encoded_slash_takes_no_route_that_a_decoded_one_would(self):
        routes = [route("/files/*", encoded_slashes=True), route("/files/a/b")]
        assert taken(routes, "/files/a%2fb") == "/files/*"


class TestTheHost:
    def test_named_exactly_goes_before_a_wildcard_and_that_before_none(self):
        routes = [
            route("/x", hosts=("api.example.com",), name="exact"),
            route("/x", hosts=("*.example.com",), name="wild"),
            route("/x", name="any"),
        ]
        assert taken(routes, "/x", host="api.example.com") == "exact"
        assert taken(routes, "/x", host="www.example.com") == "wild"
        assert taken(routes, "/x", host="a.b.example.com") == "wild"
        assert taken(routes, "/x", host="example.com") == "any"
        assert taken(routes, "/x", host="evilexample.com") == "any"
        assert taken(routes, "/x", host="api.example.com.evil.org") == "any"

    def test_of_a_longer_wildcard_goes_first(self):
        routes = [route("/*", hosts=("*.eu.example.com",), name="eu"), route("/a/b", hosts=("*.example.com",), name="wild")]
        assert taken(routes, "/a/b", host="x.eu.example.com") == "eu"

    def test_counts_before_the_path(self):
        routes = [route("/*", hosts=("api.example.com",), name="host"), route("/a/b", name="path")]
        assert taken(routes, "/a/b", host="api.example.com") == "host"

    def test_of_a_route_with_several_counts_as_the_one_that_matched(self):
        routes = [
            route("/x/*", hosts=("other.org", "*.example.com"), name="several"),
            route("/*", hosts=("api.example.com",), name="exact"),
        ]
        assert taken(routes, "/x/y", host="api.example.com") == "exact"
        assert taken(routes, "/x/y", host="www.example.com") == "several"
        assert taken(routes, "/x/y", host="other.org") == "several"

    @pytest.mark.parametrize("host", ["api.example.com", "api.example.com:8443"])
    def test_is_compared_without_its_port(self, host):
        assert taken([route("/x", hosts=("api.example.com",))], "/x", host=host) == "/x"

    @pytest.mark.parametrize("host", ["[2001:db8::1]", "[2001:db8::1]:8443"])
    def test_may_be_an_ipv6_address(self, host):
        assert taken([route("/x", hosts=("[2001:db8::1]",))], "/x", host=host) == "/x"

    def test_that_no_route_answers_for_is_not_found(self):
        assert problem([route("/x", hosts=("api.example.com",))], "/x") is ROUTE_NOT_FOUND


class TestTheMethod:
    routes = (route("/x", "GET", name="read"), route("/x", "POST", name="write"), route("/y", "GET"), route("/y", name="rest"))

    def test_chooses_between_routes_of_one_path(self):
        assert taken(list(self.routes), "/x", "GET") == "read"
        assert taken(list(self.routes), "/x", "POST") == "write"

    def test_named_goes_before_all(self):
        assert taken(list(self.routes), "/y", "GET") == "/y"
        assert taken(list(self.routes), "/y", "DELETE") == "rest"

    def test_that_is_not_allowed_is_told_which_are(self):
        refused = refusal(list(self.routes), "/x", "DELETE")
        assert refused.problem is METHOD_NOT_ALLOWED
        assert refused.headers == (("Allow", "GET, POST"),)

    def test_is_compared_as_sent(self):
        assert problem(list(self.routes), "/x", "get") is METHOD_NOT_ALLOWED

    def test_that_a_specific_path_does_not_allow_falls_to_a_wider_one_that_does(self):
        assert taken([route("/a/b", "GET"), route("/a/*", "POST")], "/a/b", "POST") == "/a/*"


ANNOUNCED = {"Access_Control_Request_Method": "POST"}


class TestAPreflight:
    def test_is_answered_by_the_route_of_the_request_that_it_announces(self):
        routes = [route("/x", "GET", name="read", chain=CROSS_ORIGIN), route("/x", "POST", name="write", chain=CROSS_ORIGIN)]
        assert taken(routes, "/x", "OPTIONS", **ANNOUNCED) == "write"

    def test_opens_no_route_that_does_not_answer_other_origins(self):
        assert problem([route("/x", "POST")], "/x", "OPTIONS", **ANNOUNCED) is METHOD_NOT_ALLOWED
        assert taken([route("/x", "POST", "OPTIONS")], "/x", "OPTIONS", **ANNOUNCED) == "/x"

    def test_is_what_options_means_only_with_the_announcement(self):
        assert problem([route("/x", "POST", chain=CROSS_ORIGIN)], "/x", "OPTIONS") is METHOD_NOT_ALLOWED

    def test_announcement_beside_another_method_means_nothing(self):
        assert problem([route("/x", "POST", chain=CROSS_ORIGIN)], "/x", "GET", **ANNOUNCED) is METHOD_NOT_ALLOWED


paths = st.lists(st.text(st.sampled_from("ab.~-_%:@"), max_size=4), max_size=5).map(lambda parts: "/" + "/".join(parts))
queries = st.sampled_from(["", "?", "?a=/b", "?/a"])


@given(paths, queries, paths)
def test_the_path_that_is_matched_is_that_of_the_target_byte_for_byte(path, query, other):
    """What is accepted is forwarded as it stands; so a route takes exactly the requests whose bytes are its path."""
    target = (path + query).encode()
    try:
        check_target(target)
    except Refused:
        return
    request = samples.request(target=path + query)
    assert request.target == target
    assert request.path.encode() == target.partition(b"?")[0]
    assert Router([route(path)]).match(request).path == path
    if other != path:
        with pytest.raises(Refused):
            Router([route(other)]).match(request)
