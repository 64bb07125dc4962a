"""The files of the widget and of the demo page, and the headers that keep their pages to themselves."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from addons.channels.web.settings import Settings
from addons.configuration import ConfigurationError

_HERE = Path(__file__).parent
# Written by hand, and built from widget/.
FOLDERS = (_HERE / "pages", _HERE / "static")
DEMO_PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
# Our own files only: nothing inline, no eval, no third party; scripts cannot write HTML.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types lit-html; "
    "frame-ancestors {ancestors}"
)


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    content: bytes
    content_type: str
    etag: str


def read_files(folders: tuple[Path, ...] = FOLDERS) -> dict[str, File]:
    """Read every file once; they are few and small.

    Returns:
        The files by their path under the channel's address.

    Raises:
        ConfigurationError: a file is of a kind no page needs, so somebody put it there by mistake.
    """
    files = {}
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
            if path.suffix not in _TYPES:
                raise ConfigurationError(path, "everyone can fetch the files of this folder; move what no page needs.")
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            files[path.relative_to(folder).as_posix()] = File(content, _TYPES[path.suffix], etag)
    return files


def common_headers(settings: Settings) -> Mapping[str, str]:
    """The headers of everything the channel sends.

    Args:
        settings: an `https` address is told to browsers as the only way here.
    """
    headers = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
        "x-robots-tag": "noindex",
    }
    if settings.address.startswith("https://"):
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


def file_headers(name: str, file: File, settings: Settings) -> Mapping[str, str]:
    """The further headers of a file.

    Args:
        name: its path under the channel's address.
        file: the file.
        settings: the origins are the websites that may show the panel in a frame; nobody may frame the demo page.
    """
    ancestors = "'none'" if name == DEMO_PAGE else " ".join(["'self'", *settings.origins])
    return {
        "content-security-policy": _POLICY.format(ancestors=ancestors),
        "cache-control": "no-cache",
        "etag": file.etag,
        # The loader runs in the clinic's page, the panel in a frame of it.
        "cross-origin-resource-policy": "cross-origin",
    }


def data_headers() -> Mapping[str, str]:
    """The further headers of everything that is not a file: nobody keeps it, nothing runs in it."""
    return {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
    }
