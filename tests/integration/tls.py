"""A TLS front for a plain server, with a certificate authority of its own: clients that insist."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.tcp_server import forward, in_thread

#: The host that clients without a setting for it speak to: a test maps it to the front.
LASTFM = "ws.audioscrobbler.com"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    authority = subject == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(LASTFM)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def issue(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a certificate of 127.0.0.1 that it signed.

    Returns
    -------
    tuple[Path, Path]
        The authority's certificate; the server's key and certificate.
    """
    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    ca, chain = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(_certificate("test CA", root, "test CA", root).public_bytes(pem))
    chain.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + _certificate("127.0.0.1", key, "test CA", root).public_bytes(pem)
    )
    return ca, chain


class TlsFront:
    """Forwards TLS connections on ``port`` to a plain server.

    Attributes
    ----------
    ca
        File of the authority's certificate, for clients to trust.
    """

    def __init__(self, target: int, folder: Path) -> None:
        self.ca, chain = issue(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        self._running = ExitStack()
        self.port = self._running.enter_context(in_thread(partial(forward, target), context))

    def stop(self) -> None:
        """Close the front."""
        self._running.close()
