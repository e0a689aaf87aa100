"""How figures are said: the names of metrics in plain words, numbers, intervals, and the one sentence that sums up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.evaluation import Evaluation, Judged
from plait.inference import Subset
from plait.metrics import LOWER_IS_BETTER

Figure = dict[str, "float | None"]
THIN = "\u202f"  # narrow no-break space
MINUS = "\u2212"

METRICS: dict[str, tuple[str, str]] = {  # name -> how it is called, what it says
    "accuracy": ("Accuracy", "share of rows that are entirely right"),
    "balanced_accuracy": ("Balanced accuracy", "recall, averaged so that every class counts alike"),
    "precision_macro": ("Precision, macro", "when it names a class, how often that is right; every class counts alike"),
    "recall_macro": ("Recall, macro", "share of each class that is found; every class counts alike"),
    "f1_macro": ("F1, macro", "precision and recall in one; every class counts alike"),
    "precision_weighted": ("Precision, weighted", "precision, classes counting by their rows"),
    "recall_weighted": ("Recall, weighted", "recall, classes counting by their rows"),
    "f1_weighted": ("F1, weighted", "F1, classes counting by their rows"),
    "precision_micro": ("Precision, micro", "of all labels it said, the share that is right"),
    "recall_micro": ("Recall, micro", "of all labels there are, the share it said"),
    "f1_micro": ("F1, micro", "precision and recall over all labels in one"),
    "roc_auc": ("ROC AUC", "chance that a row of the class ranks above one that is not; 0.5 is guessing"),
    "average_precision": ("Average precision", "area under precision and recall"),
    "log_loss": ("Log loss", "surprise at the truth; being sure and wrong costs most"),
    "brier": ("Brier score", "squared error of the probabilities"),
    "ece": ("Calibration error", "how far confidence and share of right answers lie apart"),
    "hamming_loss": ("Hamming loss", "share of single yes-or-no decisions that are wrong"),
    "rmse": ("RMSE", "root of the mean squared error, in the target's unit; large errors count most"),
    "mae": ("MAE", "mean absolute error, in the target's unit"),
    "r2": ("R²", "share of the variation that is explained; 0 is always saying the mean"),
}
IN_UNITS = {"rmse", "mae"}
SHARES = {"accuracy"}
SAID = {  # main metric -> what the model does, what a model that sees nothing would do
    "accuracy": ("the model is right in {}", "it would be {}"),
    "rmse": ("the model is off by {}, as a root mean square", "it would be off by {}"),
    "f1_micro": ("the model finds the labels with an F1 of {}", "it would be {}"),
}
HELD_OUT = {"test": "held-out rows", "valid": "validation rows", "train": "rows it was trained on"}


def metric_name(metric: str) -> str:
    """What a metric is called."""
    return METRICS[metric][0] if metric in METRICS else metric.replace("_", " ").capitalize()


def metric_meaning(metric: str) -> str:
    """What a metric says, in plain words."""
    return METRICS[metric][1] if metric in METRICS else ""


def lower_is_better(metric: str) -> bool:
    """Whether a small value is a good one."""
    return metric in LOWER_IS_BETTER


def count(value: int) -> str:
    """1,234"""
    return f"{value:,}"


def rows(value: int) -> str:
    """1 row, 1,234 rows"""
    return f"{value:,} row{'' if value == 1 else 's'}"


def number(value: float) -> str:
    """A quantity with about three digits that matter: 1,234,568 · 2007 · 123.5 · 12.3 · 1.23 · 0.123 · 1.2e-05"""
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-3:
        text = f"{value:.3g}"
    elif size >= 1000:
        text = f"{value:,.0f}" if size >= 10_000 else f"{value:.0f}"
    else:
        text = f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def percent(value: float) -> str:
    """63 %"""
    return f"{100 * value:.0f}{THIN}%"


def value_text(metric: str, value: float | None) -> str:
    """The value of a metric, alone."""
    if value is None:
        return "not defined"
    if metric in SHARES:
        return percent(value)
    return number(value) if metric in IN_UNITS else f"{value:.3f}".replace("-", MINUS)


def span_text(metric: str, figure: Figure) -> str:
    """The 95 % interval of a metric, alone: 56–71 %. Nothing where there is none."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return ""
    if metric in SHARES:
        return f"{100 * low:.0f}–{100 * high:.0f}{THIN}%"
    between = " to " if low < 0 else "–"
    return f"{value_text(metric, low)}{between}{value_text(metric, high)}"


def figure_words(metric: str, figure: Figure) -> str:
    """63 % (56–71 %)"""
    span = span_text(metric, figure)
    return value_text(metric, figure["value"]) + (f" ({span})" if span else "")


def every(result: Evaluation) -> Subset:
    """All columns, as a subset."""
    return tuple(result.columns)


def subset_words(subset: Sequence[str]) -> str:
    """image + text"""
    return " + ".join(subset) or "nothing"


def listed(names: Sequence[str]) -> str:
    """a, b and c"""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def held_out(part: str) -> str:
    """What the rows are called that a model was judged on."""
    return HELD_OUT.get(part, "rows")


def sentence(judged: Judged, columns: Subset, part: str) -> str:
    """The headline figure in one plain sentence, next to what a model scores that sees nothing."""
    metric = judged.main
    does, would = SAID.get(metric, (f"{metric_name(metric)} is {{}}", "it would be {}"))
    full, prior = judged.figures[columns][metric], judged.figures[()][metric]
    n = rows(len(judged.rows)).split(" ")[0]
    noun = held_out(part) if len(judged.rows) != 1 else held_out(part).replace("rows", "row", 1)
    return (
        f"On {n} {noun} {does.format(figure_words(metric, full))}; knowing nothing "
        f"{would.format(value_text(metric, prior['value']))}."
    )


NO_LICENCE = "not said where the weights come from"


def _origin(record: dict[str, Any], train: int) -> str:
    """What the parts of a model were learned from."""
    nets = list(dict.fromkeys(net["weights"] for net in record.get("pretrained") or ()))
    if nets:
        had = f"{listed(nets)} had learned from other data before, with what these hold and leave out"
        return f"{had}; the rest was learned from {rows(train)} of this table."
    return (
        f"Every part of the model was trained from scratch on {rows(train)} of this table. It knows nothing of the world "
        f"beyond them."
    )


def limits(record: dict[str, Any], result: Evaluation) -> list[str]:
    """What the figures do not say, in plain words."""
    part, parts = record.get("judged_on", "test"), record.get("parts") or [0, 0, 0]
    how = record.get("split") or {}
    said = []
    if part == "train":
        said.append(
            "No rows were held out: the model was judged on the rows it was trained on. These figures say "
            "nothing about new rows."
        )
    if part == "valid":
        said.append(
            "There is no test part: the validation rows that chose the best epoch are also the ones it is "
            "judged on, which flatters the figures a little."
        )
    if result.size < 1000:
        said.append(
            f"The model was judged on {rows(result.size)} only: the intervals are wide, and a difference "
            f"smaller than they are may be chance."
        )
    said.append(
        "The intervals (95 %, bootstrap over the rows judged) say how figures would vary with other rows of "
        "the same kind. They hold neither another seed, nor other splits, nor rows from elsewhere."
    )
    said += record.get("thin_classes", [])
    for target, judged in result.targets.items():
        if len(judged.rows) < result.size:
            said.append(
                f"{rows(result.size - len(judged.rows))} of {count(result.size)} carry no label of {target!r}, "
                f"or one that no training row has; they are not judged."
            )
    if parts[0]:
        said.append(_origin(record, parts[0]))
    if how.get("group"):
        said.append(
            f"Rows that share a value of {how['group']!r} stayed on one side of the split. Near duplicates "
            f"across different values of it are not looked for."
        )
    elif how.get("time"):
        said.append(
            f"The split is by {how['time']!r}: the latest rows are held out. Near duplicates are not looked for."
        )
    elif not how.get("column"):
        said.append(
            "Rows were split by chance. Near duplicates (the same object pictured twice, several rows of one "
            "person) may lie on both sides and flatter the figures; a split by group shows it."
        )
    if record.get("late"):
        said.append(
            f"Preparing the cells alone took {record['late']:.0f} s longer than the time limit: less was tried."
        )
    if record.get("stopped") in ("time limit", "interrupted"):
        said.append(f"Training ended early ({record['stopped']}); more epochs may do better.")
    said.append(
        "Scores fall when new rows differ from the table: other cameras, other microphones, other words, other times."
    )
    said.append(
        "Not for decisions about people without further checks: for each group concerned, on current data, by "
        "someone who answers for it."
    )
    return said
