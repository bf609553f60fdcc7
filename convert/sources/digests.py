"""What a server promises of a file's content, and holding the file against it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c

from hub2hf.errors import SourceError

_CHUNK = 8 << 20
# RFC 9530 (Repr-Digest), RFC 3230 (Digest), and Google Cloud Storage, where TF Hub keeps its modules (x-goog-hash).
_HEADERS = {"Repr-Digest": r"(sha-256|md5)=:([A-Za-z0-9+/=]+):", "Digest": r"(sha-256|md5|crc32c)=([A-Za-z0-9+/=]+)"}
_GOOGLE = ("X-Goog-Hash", r"(md5|crc32c)=([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Promised:
    """Digests by the name of their algorithm: "sha-256", "md5" or "crc32c"."""

    digests: Mapping[str, bytes]

    def check(self, path: Path, url: str, sha256: str = "") -> str:
        """Return the SHA-256 of a file, held against the promises and against `sha256` where it is given.

        Raises:
            SourceError: it is another.
        """
        hashes: dict[str, Any] = {"sha-256": hashlib.sha256()}
        if "md5" in self.digests:
            hashes["md5"] = hashlib.md5(usedforsecurity=False)
        if "crc32c" in self.digests:
            hashes["crc32c"] = google_crc32c.Checksum()
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                for value in hashes.values():
                    value.update(data)
        found: str = hashes["sha-256"].hexdigest()
        if sha256 and found != sha256:
            raise _wrong(url, "SHA-256", found, sha256)
        for name, promised in self.digests.items():
            if hashes[name].digest() != promised:
                raise _wrong(url, name, hashes[name].hexdigest(), promised.hex())
        return found


def _wrong(url: str, name: str, found: object, wanted: str) -> SourceError:
    shown = found.decode() if isinstance(found, bytes) else found
    return SourceError(
        f"What {url} sent has the {name} {shown}, not {wanted}.",
        "It was discarded; run the same command again, and if that does not help, ask the owner of the file.",
    )


def promised_by(headers: Mapping[str, str]) -> Promised:
    """Return the digests that the headers of an answer promise for the whole file; malformed ones count as none."""
    found: dict[str, bytes] = {}
    patterns = dict(_HEADERS)
    if (
        headers.get("X-Goog-Stored-Content-Encoding", "identity") == "identity"
    ):  # else it is of what is stored, not sent
        patterns.update([_GOOGLE])
    for header, pattern in patterns.items():
        for name, text in re.findall(pattern, headers.get(header, "")):
            try:
                found.setdefault(name, base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return Promised(found)
