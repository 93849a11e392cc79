import pytest

from seglight.commands.serve.label_studio.origins import Origin, origins_of, split_address
from seglight.errors import UserError


@pytest.mark.parametrize(
    ("address", "origin", "target"),
    [
        ("https://a.org", Origin("https", "a.org", 443), "/"),
        ("HTTP://A.Org:8080/x/y.png?b=c", Origin("http", "a.org", 8080), "/x/y.png?b=c"),
        ("http://a.org./x#part", Origin("http", "a.org", 80), "/x"),
        ("http://127.0.0.1/a b/%20ü.png", Origin("http", "127.0.0.1", 80), "/a%20b/%20%C3%BC.png"),
        ("http://[::1]:81/?d=a/b.png", Origin("http", "::1", 81), "/?d=a/b.png"),
        ("http://[0:0::1]/", Origin("http", "::1", 80), "/"),
        ("https://bücher.example/", Origin("https", "xn--bcher-kva.example", 443), "/"),
        # line ends do not reach a request
        ("http://a.org/x\r\nHost: b", Origin("http", "a.org", 80), "/xHost:%20b"),
    ],
)
def test_addresses(address: str, origin: Origin, target: str) -> None:
    assert split_address(address) == (origin, target)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///etc/passwd", "does not begin with http"),
        ("ftp://a.org/x", "does not begin with http"),
        ("//a.org/x", "does not begin with http"),
        ("http:///x", "has no host"),
        ("http://user:word@a.org/", "states a user"),
        ("http://a.org@169.254.169.254/", "states a user"),
        ("http://a.org\\@b.org/", "states a user"),
        ("http://a.org:99999/", "ort"),
        ("http://a.org:x/", "ort"),
        ("http://[::1/", "IPv6"),
        ("http://" + "a" * 70 + "/", "label"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_address(address)


def test_an_origin_as_text_is_its_address() -> None:
    for text in ("https://a.org", "http://a.org", "https://a.org:80", "http://[::1]:8080"):
        assert str(origins_of([text])[0]) == text
    assert origins_of(["http://[::1]:8080"])[0].authority == "[::1]:8080"
    assert origins_of(["a.org"])[0].authority == "a.org"


def test_hosts_of_the_command_line() -> None:
    assert origins_of(["labels.example.org", "b.org:8443", "http://127.0.0.1:8080/"]) == (
        Origin("https", "labels.example.org", 443),
        Origin("https", "b.org", 8443),
        Origin("http", "127.0.0.1", 8080),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--allow_hosts : it has no host"),
        ("file:///data", "--allow_hosts file:///data: it does not begin with http:// or https://"),
        ("https://a.org/labels", "a host has no path: give https://a.org"),
        ("::1", "--allow_hosts ::1: "),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        origins_of([text])
    assert message in str(error.value)
