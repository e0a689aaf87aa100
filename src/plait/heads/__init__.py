"""Every head, by the kind of its target. To add one: write its file, add its line."""

from plait.spec import Table

HEADS = Table(
    "head",
    {
        "category": "plait.heads.category:CategoryHead",
        "labels": "plait.heads.labels:LabelsHead",
        "number": "plait.heads.number:NumberHead",
    },
)

DEFAULTS = {"category": "category", "labels": "labels", "number": "number"}  # modality of the target -> head
