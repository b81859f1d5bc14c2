import pytest

from comity import errors
from comity.dsp import binding


@pytest.mark.parametrize(
    ("pid", "written"),
    [
        ("urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:11111111-1111-4111-8111-111111111111"),
        ("https://a.example/x?y#z", "https:%2F%2Fa.example%2Fx%3Fy%23z"),
        ("a b%2Fc", "a%20b%252Fc"),
        ("é", "%C3%A9"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("..a", "..a"),
        ("\r\n", "%0D%0A"),
    ],
)
def test_a_pid_is_one_segment_of_a_path(pid, written):
    assert binding.segment(pid) == written


@pytest.mark.parametrize(
    "address", ["https://a.example/dsp", "https://a.example/dsp/", "https://a.example/dsp//"]
)
def test_an_address_is_extended_with_or_without_a_slash_at_its_end(address):
    assert binding.join(address, "/negotiations/request") == "https://a.example/dsp/negotiations/request"


@pytest.mark.parametrize(
    "address",
    [
        "https://a.example",
        "http://127.0.0.1:8080/dsp/2025-1/",
        "https://[2001:db8::1]:8443/x",
        "HTTPS://A.example/~x",
    ],
)
def test_an_address_that_messages_can_be_sent_to_is_taken(address):
    binding.check_address(address, path="$")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a.example/dsp",
        "//a.example",
        "ftp://a.example",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://a.example/?x=1",
        "https://a.example/#x",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:x",
        "https://[::1",
        "https://user:secret@a.example",
        "https://a.example/a b",
        "https://a.exa\nmple/dsp",
        "https://a.example/\r\nHost: b",
        "https://é.example",
    ],
)
def test_an_address_that_no_message_could_be_sent_to_is_refused_with_its_place(address):
    with pytest.raises(errors.InvalidInputError, match="must be an https URL") as caught:
        binding.check_address(address, path="$.callbackAddress")
    assert caught.value.path == "$.callbackAddress"
