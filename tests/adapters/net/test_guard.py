"""The SSRF suite of the guard: where requests may go, by the form of the URL and by the address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comity import errors
from comity.net import guard
from support.addresses import PRIVATE, URLS

STRICT = guard.Guard()
INSECURE = guard.Guard(insecure=True)

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1",
          "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888",
          "::ffff:8.8.8.8"]  # fmt: skip


def refused(call, *args) -> errors.PermanentDeliveryError:
    with pytest.raises(errors.PermanentDeliveryError) as caught:
        call(*args)
    assert caught.value.code == "refused-address"
    assert len(caught.value.message) < 500
    return caught.value


@pytest.mark.parametrize("ip", PRIVATE)
def test_special_address_is_refused(ip):
    refused(STRICT.check_address, ip)
    if "%" not in ip:
        refused(STRICT.check_address, ipaddress.ip_address(ip))


@pytest.mark.parametrize("ip", PRIVATE)
def test_insecure_opens_loopback_and_nothing_else(ip):
    if ip.startswith("127.") or ip in {"::1", "::ffff:127.0.0.1", "::ffff:7f00:1"}:
        INSECURE.check_address(ip)
    else:
        refused(INSECURE.check_address, ip)


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_address_passes(ip):
    STRICT.check_address(ip)
    STRICT.check_address(ipaddress.ip_address(ip))


@pytest.mark.parametrize(
    "text", ["", "a", "127.1", "0x7f.1", "1.2.3.4.5", "01.2.3.4", "1.2.3.4/8", "partner.example"]
)
def test_text_that_is_no_address_is_refused(text):
    refused(STRICT.check_address, text)


@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url)[:60])
def test_hostile_url_is_refused(url):
    refused(STRICT.check_url, url)


def test_the_tables_of_hostile_addresses_are_as_long_as_they_should_be():
    assert len(set(PRIVATE)) == len(PRIVATE) >= 70
    assert len(set(URLS)) == len(URLS) >= 100


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example", "https://partner.example:8443/a?b=c", "https://8.8.8.8/", "https://[2a00:1450::1]/",
        "https://a_b.example/", "https://xn--bcher-kva.example/", "https://partner.example./", "https://p/urn:uuid:1@x",
        "https://partner.example?mail=a@b", "https://partner.example:65535/", "HTTPS://Partner.Example/",
    ],
)  # fmt: skip
def test_ordinary_url_passes(url):
    assert STRICT.check_url(url).scheme == "https"


def test_http_is_taken_to_a_host_whose_answers_are_signed_and_to_no_other():
    made = guard.Guard(plain=["tsa.example"])
    assert made.check_url("http://TSA.example/stamp").scheme == "http"
    with pytest.raises(guard.RefusedAddressError, match="not encrypted"):
        made.check_url("http://partner.example/")


def test_insecure_takes_http_and_localhost():
    for url in (
        "http://localhost:8080/a",
        "http://127.0.0.1/",
        "http://[::1]:1/",
        "https://localhost/",
        "http://provider/",
    ):
        INSECURE.check_url(url)
    for url in (
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://u@localhost/",
        "http://2130706433/",
        "http://0/",
    ):
        refused(INSECURE.check_url, url)


def test_listed_networks_and_addresses_pass_and_their_neighbours_do_not():
    listed = guard.Guard(
        ["10.1.0.0/16", "192.168.7.7", "fd00:1::/32", "127.0.0.1", "[fe80::1]", "::ffff:10.9.0.0/112"]
    )
    for ip in (
        "10.1.2.3",
        "192.168.7.7",
        "fd00:1::5",
        "127.0.0.1",
        "::ffff:10.1.2.3",
        "fe80::1",
        "::ffff:10.9.1.1",
    ):
        listed.check_address(ip)
    for ip in ("10.2.0.1", "192.168.7.8", "fd00:2::5", "127.0.0.2", "::ffff:10.2.0.1", "::1", "fe80::2"):
        refused(listed.check_address, ip)
    listed.check_url("https://10.1.2.3/")
    listed.check_url("https://localhost/")
    refused(listed.check_url, "http://10.1.2.3/")


def test_listed_host_is_known_whatever_its_case():
    listed = guard.Guard(["Partner.Internal"])
    assert listed.lists_host("partner.internal")
    assert listed.lists_host("PARTNER.INTERNAL.")
    assert not listed.lists_host("evil-partner.internal")
    assert not listed.lists_host("partner.internal.evil")
    guard.Guard(["localhost"]).check_url("https://localhost/")


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.1/8", "a b", "http://h", "*", "*.example", "0x7f.1", "h:80", "300.1.1.1"]
)
def test_entry_of_the_list_that_means_nothing_is_refused_at_once(entry):
    with pytest.raises(errors.SettingsError):
        guard.Guard([entry])


def test_refusal_does_not_repeat_a_password_a_query_or_a_long_url():
    error = refused(STRICT.check_url, "https://partner.example/" + "s" * 8000 + "#x")
    assert "s" * 300 not in error.message
    error = refused(STRICT.check_url, "https://user:secret@partner.example/?token=secret")
    assert "partner.example" in error.message
    assert "secret" not in error.message


def test_socket_is_made_only_for_an_address_that_may_be_connected_to():
    made = INSECURE.open_socket((2, 1, 6, "", ("127.0.0.1", 80)))
    made.close()
    refused(INSECURE.open_socket, (2, 1, 6, "", ("10.0.0.1", 80)))
    refused(INSECURE.open_socket, (10, 1, 6, "", ("fe80::1%eth0", 80, 0, 2)))


def _plain(url):
    """Without what makes no difference: an empty query, and the slash of an empty path."""
    return url.removesuffix("?").replace("/?", "?", 1).rstrip("/")


@given(st.one_of(st.text(), st.text("htps:/@[]%?#.0123456789xabcdef-_~")).map(lambda text: "https://" + text))
@example("https://[::1%25]")
@example("https://A?0")
def test_any_text_is_a_checked_url_or_a_refusal(text):
    try:
        parsed = STRICT.check_url(text)
    except guard.RefusedAddressError:
        return
    assert _plain(str(parsed)) == _plain(text)
    assert parsed.user is None
    assert parsed.raw_host in text


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_whatever_python_calls_not_global_is_refused(address):
    if not address.is_global:
        refused(STRICT.check_address, address)
