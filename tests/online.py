"""What tests need of the world outside: a network, real weights. Where these cannot be had they are skipped, and say why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plait.errors import FetchError
from plait.weights.fetch import get
from plait.weights.find import own_folder

GIVEN = os.environ.get("PLAIT_TEST_WEIGHTS")  # a folder of real weights; nothing is fetched into it
FOLDER = (
    Path(GIVEN).expanduser() if GIVEN else own_folder()
)  # else where `plait weights get` puts them, between runs too


@contextmanager
def online() -> Iterator[None]:
    """Skips the test where something cannot be fetched; a file that is another than the one pinned still fails it."""
    try:
        yield
    except FetchError as error:
        if "sha256" in str(error):
            raise
        pytest.skip(f"needs what cannot be fetched here: {error}")


def weights(name: str, *, fetch: bool = True) -> Path:
    """The folder of real weights, fetched where it is not there and may be. Skips the test where it cannot be had."""
    folder = FOLDER / name
    if not (folder / "config.json").is_file():
        if GIVEN or not fetch:
            pytest.skip(f"needs the weights {name}, which are not in {FOLDER}: plait weights get {name} --to {FOLDER}")
        with online():
            get(name, FOLDER, say=lambda _: None)
    return folder
