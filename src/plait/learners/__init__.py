"""Every learner of fixed vectors. To add one: write its file, add its line."""

from plait.spec import Table

LEARNERS = Table(
    "learner",
    {
        "logistic": "plait.learners.logistic:Logistic",
        "ridge": "plait.learners.ridge:Ridge",
        "svm": "plait.learners.svm:LinearSVM",
        "kernel": "plait.learners.kernel:KernelRidge",
        "knn": "plait.learners.knn:KNearest",
        "prototypes": "plait.learners.prototypes:Prototypes",
        "trees": "plait.learners.trees:Trees",
        "blend": "plait.learners.blend:Blend",
        "mlp": "plait.learners.mlp:Ensemble",
        "fused": "plait.learners.fused:Fused",
    },
)
