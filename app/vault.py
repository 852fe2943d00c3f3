"""Encryption under SECRET_KEY: texts that only a process with that key can read.

A sealed text is a Fernet token (AES in CBC mode and an HMAC) of the data and of whose it is: what
one owner's is can't be opened in another's name, wherever the text was copied to. The key of the
cipher is derived from SECRET_KEY by HKDF, so that a passphrase of any length will do.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from app.errors import SecretKeyMissing, SecretUnreadable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

#: Sets these keys apart from any others that are ever derived from SECRET_KEY.
PURPOSE = b"chaingraph secrets 1"


class Keyring:
    """SECRET_KEY, and the one that it replaces while secrets are moved from that to this."""

    def __init__(self, key: str | None, old: str | None = None) -> None:
        self._key = key
        self._old = old

    @property
    def is_set(self) -> bool:
        """Whether there is a key to seal with."""
        return self._key is not None

    def seal(self, owner: str, data: Any) -> str:
        """Encrypt JSON of this owner. Raises SecretKeyMissing."""
        return self._ciphers[0].encrypt(orjson.dumps([owner, data])).decode()

    def open(self, owner: str, sealed: str) -> Any:
        """Give the data. Raises SecretKeyMissing; SecretUnreadable under another key or owner."""
        owned_by, data = orjson.loads(self._opened(sealed))
        if owned_by != owner:
            raise SecretUnreadable
        return data

    def renew(self, sealed: str) -> str:
        """The same under SECRET_KEY, where it is under the old one. Raises as `open` does."""
        from cryptography.fernet import InvalidToken

        try:
            # Of text that is not ASCII the cipher would raise another error than of other rubbish.
            self._ciphers[0].decrypt(sealed.encode())
        except InvalidToken:
            return self._ciphers[0].encrypt(self._opened(sealed)).decode()
        return sealed

    def _opened(self, sealed: str) -> bytes:
        from cryptography.fernet import InvalidToken, MultiFernet

        try:
            return MultiFernet(self._ciphers).decrypt(sealed.encode())
        except InvalidToken:
            raise SecretUnreadable from None

    @cached_property
    def _ciphers(self) -> list[Fernet]:
        if self._key is None:
            raise SecretKeyMissing
        return [_cipher(key) for key in (self._key, self._old) if key is not None]


#: For a process without SECRET_KEY: it seals and opens nothing.
NO_KEY = Keyring(None)


def _cipher(key: str) -> Fernet:
    # Late: whoever has no secrets doesn't load it.
    from base64 import urlsafe_b64encode

    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode())
    return Fernet(urlsafe_b64encode(derived))
