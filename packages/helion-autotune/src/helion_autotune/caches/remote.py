"""A cache at any fsspec URL: s3://, gs://, memory://, a network file system. Needs the extra ``fsspec``."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from helion_autotune.caches.stored import StoredCache
from helion_autotune.optional import require

if TYPE_CHECKING:
    from collections.abc import Iterator


class FsspecCache(StoredCache):
    """Files below ``url``; ``options`` go to the file system (credentials come from its own configuration).

    Object stores have no locks: two processes that write one key at the same moment may lose entries of one of
    them, but never leave a damaged file. Raises MissingDependency without fsspec, or without the library of the
    URL's scheme.
    """

    def __init__(self, url: str, **options: Any) -> None:
        require("fsspec", "fsspec")
        from fsspec.core import url_to_fs

        self.url = url
        try:
            self._files, self._root = url_to_fs(url, **options)
        except ImportError as error:
            require(str(error.name or "fsspec"), "fsspec")
            raise
        self._root = self._root.rstrip("/")

    def describe(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _read(self, name: str) -> str | None:
        try:
            return self._files.cat_file(self._path(name)).decode("utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        path = self._path(name)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        self._files.pipe_file(temporary, text.encode())
        self._files.mv(temporary, path)

    def _names(self, folder: str | None) -> Iterator[str]:
        pattern = f"{self._root}/{'*' if folder is None else folder}/*.json"
        for path in self._files.glob(pattern):
            yield "/".join(str(path).split("/")[-2:])

    def _set_aside(self, name: str) -> str:
        aside = f"{name}.corrupt-{time.time_ns()}"
        self._files.mv(self._path(name), self._path(aside))
        return aside
