"""Files from the web, each with the checksum that its publisher gives."""

from __future__ import annotations

import contextlib
import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path


def matches(path: Path, md5: str) -> bool:
    """Whether the file is there and has this checksum."""
    return path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5


def download(urls: Sequence[str], path: Path, md5: str) -> None:
    """Fetches the file from the first address that gives it, whole or not at all.

    Raises RuntimeError, naming what went wrong at each address, if none gives a file with this checksum.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    failures = []
    try:
        for url in urls:
            try:
                with urllib.request.urlopen(url, timeout=60) as source, open(part, "wb") as file:
                    while piece := source.read(1 << 20):
                        file.write(piece)
            except (urllib.error.URLError, OSError) as error:
                failures.append(f"{url}: {error}")
                continue
            if matches(part, md5):
                os.replace(part, path)
                return
            failures.append(f"{url}: the file's MD5 checksum is not {md5}")
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    raise RuntimeError(f"could not download {path.name}; put it at {path} by hand. " + "; ".join(failures))
