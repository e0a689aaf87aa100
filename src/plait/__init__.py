"""plait: from a table of text, pictures, sound, numbers and categories to a measured multimodal model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait.comparison import Comparison as Comparison
    from plait.comparison import compare as compare
    from plait.errors import PlaitError as PlaitError
    from plait.fewshot import Shots as Shots
    from plait.fewshot import shots as shots
    from plait.fitting import fit as fit
    from plait.inspection import Inspection as Inspection
    from plait.inspection import inspect as inspect
    from plait.predictor import Predictor as Predictor
    from plait.predictor import load as load
    from plait.types import Tokens as Tokens

__version__ = "0.1.0"

_PUBLIC = {
    "Comparison": "plait.comparison",
    "Inspection": "plait.inspection",
    "PlaitError": "plait.errors",
    "Predictor": "plait.predictor",
    "Shots": "plait.fewshot",
    "Tokens": "plait.types",
    "compare": "plait.comparison",
    "fit": "plait.fitting",
    "inspect": "plait.inspection",
    "load": "plait.predictor",
    "shots": "plait.fewshot",
}
__all__ = [
    "Comparison",
    "Inspection",
    "PlaitError",
    "Predictor",
    "Shots",
    "Tokens",
    "compare",
    "fit",
    "inspect",
    "load",
    "shots",
]


def __getattr__(name: str) -> Any:  # PEP 562: `import plait` stays free of torch
    if name not in _PUBLIC:
        raise AttributeError(f"module 'plait' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
