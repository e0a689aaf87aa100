"""Every fusion. To add one: write its file, add its line."""

from plait.spec import Table

FUSIONS = Table(
    "fusion",
    {
        "concat": "plait.fusion.concat:Concat",
        "weighted": "plait.fusion.weighted:Weighted",
        "product": "plait.fusion.product:Product",
        "attention": "plait.fusion.attention:AttentionFusion",
        "average": "plait.fusion.average:Average",
    },
)

DEFAULT = "average"
