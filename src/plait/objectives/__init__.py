"""Every objective: what training makes smaller. To add one: write its file, add its line."""

from plait.spec import Table

OBJECTIVES = Table(
    "objective",
    {
        "supervised": "plait.objectives.supervised:Supervised",
    },
)
