"""Libraries that plait works without: imported when they are needed, with the pip line where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from plait.errors import MissingExtraError


def need(module: str, extra: str) -> ModuleType:
    """The module called `module`, which the extra `extra` of plait brings. Raises MissingExtraError without it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'{module} cannot be imported ({error}). It comes with: pip install "plait[{extra}]".'
        ) from error
