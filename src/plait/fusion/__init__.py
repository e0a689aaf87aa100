"""Every fusion. To add one: write its file, add its line."""

from plait.spec import Table

FUSIONS = Table(
    "fusion",
    {
        "concat": "plait.fusion.concat:Concat",
        "weighted": "plait.fusion.weighted:Weighted",
        "product": "plait.fusion.product:Product",
        "attention": "plait.fusion.attention:AttentionFusion",
        "gated": "plait.fusion.gated:Gated",
        "experts": "plait.fusion.experts:Experts",
        "tensor": "plait.fusion.tensor:TensorFusion",
        "lowrank": "plait.fusion.lowrank:LowRank",
        "bilinear": "plait.fusion.bilinear:Bilinear",
        "progressive": "plait.fusion.progressive:Progressive",
        "cross": "plait.fusion.cross:Cross",
        "bottleneck": "plait.fusion.bottleneck:Bottleneck",
        "perceiver": "plait.fusion.perceiver:Perceiver",
        "graph": "plait.fusion.graph:Graph",
        "temporal": "plait.fusion.temporal:Temporal",
        "ensemble": "plait.fusion.ensemble:Ensemble",
        "average": "plait.fusion.average:Average",
        "votes": "plait.fusion.votes:Votes",
        "product_of_experts": "plait.fusion.product_of_experts:ProductOfExperts",
    },
)

DEFAULT = "gated"
SINGLE = "average"  # of one column, where there is nothing to fuse: its own head, and no layer more


def default(columns: int) -> str:
    """What the loop trains over so many columns, where nobody says."""
    return DEFAULT if columns > 1 else SINGLE
