"""Every modality: what a value is, how to recognise it, how to read it. To add one: write its file, add its line."""

from functools import cache

from plait.modalities.base import Modality
from plait.spec import Table

MODALITIES = Table(
    "modality",
    {
        "text": "plait.modalities.text:Text",
        "image": "plait.modalities.image:Image",
        "audio": "plait.modalities.audio:Audio",
        "number": "plait.modalities.number:Number",
        "category": "plait.modalities.category:Category",
        "labels": "plait.modalities.labels:Labels",
    },
)


@cache
def modality(name: str) -> Modality:
    """The modality called `name`; raises UnknownNameError with the nearest name."""
    return MODALITIES.load(name)()  # type: ignore[no-any-return]
