"""What a person may name: told apart by its form alone, without a look at the disk or the network."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hub2hf.errors import SourceError
from hub2hf.known_models import TFHUB

TFHUB_HOSTS = frozenset({"tfhub.dev", "www.tfhub.dev"})
KAGGLE_HOSTS = frozenset({"kaggle.com", "www.kaggle.com"})
COMPRESSED = ("tf-hub-format", "compressed")  # what tensorflow_hub adds to ask for the archive
FRAMEWORKS = {"tensorflow1": "tensorFlow1", "tensorflow2": "tensorFlow2"}  # as Kaggle's own snippets spell them
OTHER_FRAMEWORKS = frozenset({"keras", "jax", "pytorch", "tflite", "tfjs", "transformers", "flax", "onnx", "other"})
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class TfhubAddress:
    """A module on tfhub.dev; `handle` is its address without options, as tensorflow_hub keys its cache."""

    handle: str

    def url(self, endpoint: str = TFHUB) -> str:
        """Return the address of its archive, on tfhub.dev or a mirror."""
        return f"{endpoint.rstrip('/')}{self.handle.removeprefix(TFHUB)}?{urlencode([COMPRESSED])}"

    def __str__(self) -> str:
        return self.handle


@dataclass(frozen=True)
class KaggleHandle:
    """OWNER/MODEL/FRAMEWORK/VARIATION of a model on Kaggle, and its version; None is the newest."""

    owner: str
    model: str
    framework: str
    variation: str
    version: int | None = None

    def __str__(self) -> str:
        parts = (self.owner, self.model, self.framework, self.variation)
        return "/".join((*parts, *([] if self.version is None else [str(self.version)])))


@dataclass(frozen=True)
class ArchiveUrl:
    """An archive anywhere on the web.

    Attributes:
        url: its address, without the fragment.
        sha256: what it must have, as the fragment `#sha256=…` tells; empty when it does not tell.
    """

    url: str
    sha256: str = ""

    @property
    def text(self) -> str:
        """The address as the person wrote it."""
        return f"{self.url}#sha256={self.sha256}" if self.sha256 else self.url

    def __str__(self) -> str:
        return self.text


Address = TfhubAddress | KaggleHandle | ArchiveUrl


def parse_address(text: str) -> Address | None:
    """Return what `text` names on the network; None when it has the form of none of these.

    Raises:
        SourceError: it has the form of an address, and something in it is wrong.
    """
    bare = text.split("://", 1)[-1]
    host = bare.split("/", 1)[0].lower()
    if "://" not in text and host not in TFHUB_HOSTS | KAGGLE_HOSTS:
        return kaggle_handle(text)
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        named = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise SourceError(f"{text} is not an address: {error}.", "Check it.") from None
    if parts.scheme.lower() not in ("http", "https") or not named:
        raise SourceError(
            f"{text} is not an address of http or https.", "Fetch it yourself and give the archive or the folder."
        )
    if parts.username is not None or parts.password is not None:
        raise SourceError("The address holds a name or a password.", "Leave it out; put it into ~/.netrc.")
    if named in TFHUB_HOSTS:
        return _tfhub(parts.path, parts.query)
    if named in KAGGLE_HOSTS:
        return _kaggle_page(text, parts.path)
    return _archive(text, urlunsplit(parts._replace(fragment="")), parts.fragment)


def kaggle_handle(text: str) -> KaggleHandle | None:
    """Return the model that `text` is the Kaggle handle of; None when it is none.

    Raises:
        SourceError: a handle of a model in another form than a TensorFlow SavedModel.
    """
    parts = text.split("/")
    if len(parts) not in (4, 5) or not all(SLUG.fullmatch(part) for part in parts):
        return None
    framework, version = parts[2].lower(), parts[4] if len(parts) == 5 else ""
    if framework in OTHER_FRAMEWORKS:
        raise SourceError(
            f"{text} is a model for {parts[2]}, not a TensorFlow SavedModel.",
            "Name a variation of the framework tensorFlow2 or tensorFlow1.",
        )
    if framework not in FRAMEWORKS or (version and not (version.isascii() and version.isdigit() and int(version))):
        return None
    return KaggleHandle(parts[0], parts[1], FRAMEWORKS[framework], parts[3], int(version) if version else None)


def _tfhub(path: str, query: str) -> TfhubAddress:
    path = re.sub("/{2,}", "/", path).rstrip("/")
    if path.count("/") < 2:
        raise SourceError(
            f"{TFHUB}{path} is not a module.", f"An address looks like {TFHUB}/google/LEALLA/LEALLA-large/1."
        )
    options = [pair for pair in parse_qsl(query) if pair != COMPRESSED]
    return TfhubAddress(f"{TFHUB}{path}" + (f"?{urlencode(options)}" if options else ""))


def _kaggle_page(text: str, path: str) -> KaggleHandle:
    """Read the address of a page: models/O/M/F/V[/N], or models/O/M/frameworks/F/variations/V[/versions/N]."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["models"]:
        words = [part for part in parts[1:] if part.lower() not in ("frameworks", "variations", "versions")]
        found = kaggle_handle("/".join(words))
        if found is not None:
            return found
    raise SourceError(
        f"{text} is not the address of a variation of a model on Kaggle.",
        "Choose a TensorFlow variation on the page; an address looks like "
        "https://www.kaggle.com/models/google/lealla/tensorFlow2/lealla-large/1.",
    )


def _archive(text: str, url: str, fragment: str) -> ArchiveUrl:
    if not fragment:
        return ArchiveUrl(url)
    name, _, digest = fragment.partition("=")
    if name.lower() != "sha256" or not re.fullmatch("[0-9a-fA-F]{64}", digest):
        raise SourceError(f"The end of {text} is not #sha256= and 64 hexadecimal digits.", "Check it or leave it out.")
    return replace(ArchiveUrl(url), sha256=digest.lower())
