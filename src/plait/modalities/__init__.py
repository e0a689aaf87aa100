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
        "video": "plait.modalities.video:Video",
        "images": "plait.modalities.images:Images",
        "texts": "plait.modalities.texts:Texts",
        "number": "plait.modalities.number:Number",
        "date": "plait.modalities.date:Date",
        "category": "plait.modalities.category:Category",
        "labels": "plait.modalities.labels:Labels",
        "series": "plait.modalities.series:TimeSeries",
    },
)


@cache
def modality(name: str) -> Modality:
    """The modality called `name`; raises UnknownNameError with the nearest name."""
    return MODALITIES.load(name)()  # type: ignore[no-any-return]
