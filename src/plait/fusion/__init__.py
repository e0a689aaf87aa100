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
EACH = "average"  # of one column, where there is nothing to fuse; and of encoders from scratch, each of which then learns by
# a loss of its own: fused before, the quick ones leave the others untaught (Wang, Tran & Feiszli 2020; Du et al. 2023)


def default(columns: int, *, scratch: bool) -> str:
    """What the loop trains over so many columns, where nobody says. `scratch`: some by a network that knows nothing yet."""
    return EACH if scratch or columns == 1 else DEFAULT
