"""The SSRF suite of the guard: where requests may go, by the form of the URL and by the address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comity import errors
from comity.net import guard

STRICT = guard.Guard()
INSECURE = guard.Guard(insecure=True)

PRIVATE = [
    # this network, loopback
    "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.1.2.3", "127.255.255.255", "::", "::1",
    # private
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
    "fc00::1", "fd00::1", "fdff:ffff::1", "fd00:ec2::254",
    # carrier NAT, link-local, metadata of clouds
    "100.64.0.1", "100.127.255.255", "100.100.100.200", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "168.63.129.16", "192.0.0.192", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "feff::1",
    # special and documentation
    "192.0.0.1", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255",
    "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2001:db8::1", "3fff::1", "2620:4f:8000::1",
    # multicast, reserved, broadcast
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1", "ff05::1:3",
    # IPv4 in IPv6
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::ffff:0:0",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1", "::10.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b::a00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2001::1", "2001:0:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "100::1", "5f00::1", "4000::1", "1::1",
]  # fmt: skip

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1",
          "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888",
          "::ffff:8.8.8.8"]  # fmt: skip

URLS = [
    # IPv4 spelled so that a resolver may read it
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
    "https://017700000001/", "https://127.1/", "https://127.0.1/", "https://0/", "https://0x0/", "https://00/",
    "https://3232235777/", "https://0xc0a80101/", "https://10.1/", "https://169.16689662/", "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/", "https://8.8.8.08/", "https://8.8.8.8.8/", "https://256.1.1.1/",
    "https://4294967297/", "https://1.1.1/", "https://0x8.8.8.8/", "https://127.0.0.1./", "https://2130706433./",
    "https://0x/", "https://a.0x7f/",
    # addresses as they are
    "https://127.0.0.1/", "https://127.0.0.1:8443/a", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/", "https://[fec0::1]/", "https://[ff02::1]/",
    "https://10.0.0.5/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://[::1%25lo]/",
    "https://[::1", "https://[]/", "https://[x]/", "https://[127.0.0.1]/",
    # names that are loopback by definition
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/",
    "https://x.y.LocalHost:1/",
    # who is meant?
    "https://user@partner.example/", "https://user:pw@partner.example/", "https://@partner.example/",
    "https://:@partner.example/", "https://partner.example@127.0.0.1/", "https://127.0.0.1#@partner.example/",
    "https://partner.example\\@127.0.0.1/", "https://partner.example\\.evil/", "https:\\\\127.0.0.1/",
    "https://partner.example/#frag", "https://partner.example/a#",
    # other schemes and forms
    "http://partner.example/", "HTTP://partner.example/", "ftp://partner.example/", "file:///etc/passwd",
    "file://localhost/etc/passwd", "gopher://127.0.0.1:6379/_x", "unix:///run/docker.sock", "http+unix://%2Frun/a",
    "data:text/plain,x", "javascript:alert(1)", "dict://127.0.0.1:11211/", "ldap://h/", "ws://partner.example/",
    "jar:https://h!/a", "https:partner.example", "https:/partner.example", "//partner.example/", "partner.example/a",
    "/a", "", " ", "https://", "https:///a", "https://?a", "https://:443/",
    # ports
    "https://partner.example:0/", "https://partner.example:65536/", "https://partner.example:-1/",
    "https://partner.example:x/", "https://partner.example:4 43/", "https://partner.example:99999999999/",
    # characters
    "https://partner.example/\r\nX: y", "https://partner.example/a b", "https://partner.example/\t",
    "https://partner.example/\x00", " https://partner.example/",
    "https://partner.example/\x7f", "https://pärtner.example/",
    "https://127。0。0。1/", "https://①②⑦.⓪.⓪.①/", "https://ｌocalhost/", "https://partner.example/é",
    "https://partner..example/", "https://-a.example/", "https://a-.example/", "https://a%2eb.example/",
    "https://%31%32%37.0.0.1/", "https://127.0.0.1%00.partner.example/", "https://a,b/", "https://a;b/",
    "https://*.example/", "https://" + "a" * 64 + ".example/", "https://partner.example/" + "a" * 9000,
]  # fmt: skip


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
