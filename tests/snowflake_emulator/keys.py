"""Key-pair authentication as Snowflake documents it: a JWT signed with the user's RSA key."""

from __future__ import annotations

import base64
import hashlib

import jwt
from cryptography.hazmat.primitives.serialization import load_der_public_key


class Refused(Exception):
    """The token is not one of this user; the message gives the reason."""


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of a public key given as base64 of its DER form."""
    digest = hashlib.sha256(base64.b64decode(public_key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode()


def check(token: str, keys: dict[str, str]) -> str:
    """Return the user whom a token proves.

    Parameters
    ----------
    keys
        ``USER -> public key`` (base64 of DER).

    Raises
    ------
    Refused
        The signature, the time or one of the claims is wrong.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        account, _, user = str(claims.get("sub", "")).rpartition(".")
        if user not in keys:
            raise Refused(f"user {user!r} has no key")
        key = load_der_public_key(base64.b64decode(keys[user]))
        jwt.decode(
            token,
            key,  # type: ignore[arg-type]
            algorithms=["RS256"],
            options={"require": ["exp", "iat", "iss", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise Refused(str(error)) from None
    issuer = f"{account}.{user}.{fingerprint(keys[user])}"
    if claims["iss"] != issuer:
        raise Refused(f"issuer {claims['iss']} is not {issuer}")
    if claims["exp"] - claims["iat"] > 3600:
        raise Refused("tokens are valid for an hour at most")
    return user
