"""Modules by any name a user's column may have: with dots, in Chinese, or like an attribute of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


class Named(nn.Module, Generic[M]):
    """A dict of modules. Parameters are called by the place of the name in sorted order."""

    def __init__(self, modules: Mapping[str, M]) -> None:
        super().__init__()
        self.names = sorted(modules)
        self.parts = nn.ModuleList(modules[n] for n in self.names)

    def __getitem__(self, name: str) -> M:
        return self.parts[self.names.index(name)]  # type: ignore[return-value]

    def items(self) -> Iterator[tuple[str, M]]:
        return zip(self.names, self.parts)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
