"""TLS as the client sees it: an authority given by the operator is trusted, anything else is not."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from comity import errors
from comity.net import http

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


def certificate(path, *names, end=END):
    """Write a self-signed server certificate with its key and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    return str(path)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def tls_server(serve, answer):
    async def start(file, **limits):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        for name, value in limits.items():
            setattr(context, name, value)
        return await serve(lambda *_: answer(b"safe"), context)

    return start


async def asked(server, ca_file, timeout_s=5, **guarding):
    client = http.HttpClient(http.Guard(["127.0.0.1"], **guarding), tls_ca_file=ca_file, timeout_s=timeout_s)
    try:
        return await client.request("POST", server.url, body=b"x")
    finally:
        await client.close()


async def test_authority_of_the_operator_is_trusted(tls_server, tmp_path):
    file = certificate(tmp_path / "a.pem", LOOPBACK)
    server = await tls_server(file)
    assert (await asked(server, file)).body == b"safe"


@pytest.mark.parametrize("insecure", [False, True])
async def test_unknown_authority_wrong_name_and_expiry_are_refused(tls_server, tmp_path, insecure):
    good = certificate(tmp_path / "good.pem", LOOPBACK)
    other = certificate(tmp_path / "other.pem", x509.DNSName("partner.example"))
    old = certificate(tmp_path / "old.pem", LOOPBACK, end=dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    for served, trusted in ((good, None), (good, other), (other, other), (old, old)):
        server = await tls_server(served)
        with pytest.raises(errors.TransientDeliveryError, match="certificate") as caught:
            await asked(server, trusted, insecure=insecure)
        assert not caught.value.outcome_unknown
        assert not server.requests


async def test_https_to_a_server_without_tls_is_an_error(serve, answer, tmp_path):
    server = await serve(lambda *_: answer())
    server.url = server.url.replace("http:", "https:")
    with pytest.raises(errors.TransientDeliveryError):
        await asked(server, None, timeout_s=0.5)
    assert not server.requests


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_file_without_a_certificate_is_refused_at_once(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.SettingsError, match=r"ca\.pem"):
        http.HttpClient(http.Guard(), tls_ca_file=str(file))
