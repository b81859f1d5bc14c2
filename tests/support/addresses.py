"""Addresses that lead where nobody may send us: by number, by form, and by name.

The unit test of `net.guard` takes them one by one; the tests of everything that leaves send them as a partner would.
"""

from __future__ import annotations

import socket

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

INWARD = {
    "a.evil.example": ["127.0.0.1"], "b.evil.example": ["::1"], "c.evil.example": ["10.0.0.1"],
    "d.evil.example": ["169.254.169.254"], "e.evil.example": ["::ffff:127.0.0.1"], "f.evil.example": ["0.0.0.0"],
    "g.evil.example": ["127.0.0.1", "127.0.0.2"], "h.evil.example": ["fd00::1", "127.0.0.1"],
    "i.evil.example": ["64:ff9b::7f00:1"], "j.evil.example": ["127.255.255.254"], "k.evil.example": ["100.64.0.1"],
    "l.evil.example": ["192.168.0.1", "::1"],
}  # fmt: skip
"""Names that resolve inward."""


class Names:
    """A resolver that answers from a table and notes what it was asked; a list of lists is used up call by call."""

    def __init__(self, table) -> None:
        self.table = table
        self.asked: list[str] = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        answers = self.table.get(host)
        if answers is None:
            raise OSError(None, "no such name")
        if isinstance(answers[0], list):
            answers = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {
                "hostname": host, "host": ip, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST,
                "family": socket.AF_INET6 if ":" in ip else socket.AF_INET,
            }
            for ip in answers
        ]  # fmt: skip

    async def close(self):
        pass
