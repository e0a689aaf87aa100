"""What a report says, as plain data: one account of the figures, for the page and for report.json alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from plait import metrics
from plait.evaluation import Evaluation, Judged
from plait.predictor import Predictor

POINTS = 200  # of a curve, at most
POINTS_SCATTERED = 600
WORST = 12
MOST_CLASSES = 40  # in matrices and curves
TIMES = ("seconds", "rows_per_second", "data_wait")  # differ from run to run: the report's bytes shall not

Facts = dict[str, Any]


def report_json(predictor: Predictor, evaluation: Evaluation) -> Facts:
    """What the report page says, as plain JSON-able data: how the model was made, and for each target its figures for
    every subset of the inputs, curves, confusions and the examples it got most wrong."""
    record = predictor.record
    found = evaluation.to_json()
    targets = {t: {**found["targets"][t], **details(judged)} for t, judged in evaluation.targets.items()}
    clean: Facts = plain(
        {
            **{k: v for k, v in found.items() if k not in ("targets", "bad_cells")},
            "table": {"name": record.get("table"), "rows": record.get("rows")},
            "inputs": predictor.inputs,
            "outputs": predictor.targets,
            "schema": predictor.schema.to_json(),
            "split": {
                "how": record.get("split"),
                "rows": dict(zip(("train", "valid", "test"), record.get("parts") or [])),
                "judged_on": record.get("judged_on"),
            },
            "seed": record.get("seed"),
            "training": record.get("training"),
            "encoders": record.get("encoders"),
            "pretrained": record.get("pretrained"),
            "fusion": predictor.spec["fusion"],
            "parameters": sum(p.numel() for p in predictor.model.parameters()),
            "learned_weights": predictor.model.weights(),
            "learning": learning(record),
            "targets": targets,
            "bad_cells": evaluation.bad_cells,
        }
    )
    return clean


def plain(value: Any) -> Any:
    """The value as JSON can hold it: arrays as lists, what is not a finite number as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def learning(record: Facts) -> Facts:
    """The learning curves, and the epoch whose weights were kept. Epochs count from 1."""
    epochs = [
        {**{k: v for k, v in e.items() if k not in TIMES}, "epoch": e["epoch"] + 1} for e in record.get("history") or []
    ]
    best = record.get("best_epoch")
    return {
        "epochs": plain(epochs),
        "best_epoch": best + 1 if best is not None and best >= 0 else None,
        "stopped": record.get("stopped"),
    }


def details(judged: Judged) -> Facts:
    """What is particular to the kind of a target, and its worst examples."""
    known = KINDS.get(judged.modality)
    return known(judged) if known else {}


def _category(judged: Judged) -> Facts:
    probability, truth, names = judged.answer.astype(float), judged.truth.astype(int), judged.names
    matrix = metrics.confusion_matrix(probability, truth)
    guess, confidence = probability.argmax(1), probability.max(1)
    wrong = np.flatnonzero(guess != truth)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    likely = np.argsort(-probability[worst], axis=1, kind="stable")[:, :3]
    shown = _shown(matrix)
    hits, actual, said = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    curves = range(len(names)) if len(names) > 2 else [1]
    return {
        "classes_shown": shown,
        "confusion": matrix[np.ix_(shown, shown)],
        "confused": _confused(matrix, names),
        "per_class": _per_class(names, hits, actual, said),
        "roc": [_curve(names[c], probability[:, c], truth == c) for c in curves if c in shown],
        "calibration": metrics.calibration_curve(confidence, guess == truth),
        "worst": [
            {
                "row": int(judged.rows[i]),
                "truth": names[truth[i]],
                "answer": names[guess[i]],
                "probability": probability[i, guess[i]],
                "truth_probability": probability[i, truth[i]],
                "likely": [[names[c], probability[i, c]] for c in top],
            }
            for i, top in zip(worst, likely)
        ],
        "wrong": len(wrong),
    }


def _labels(judged: Judged) -> Facts:
    probability, truth, names = judged.answer.astype(float), judged.truth > 0.5, judged.names
    said = probability >= 0.5
    chosen = np.where(truth, probability, 1 - probability)
    loss = -np.log(chosen.clip(1e-15)).mean(1)
    worst = np.argsort(-loss, kind="stable")[:WORST]
    actual = truth.sum(0)
    shown = sorted(np.argsort(-actual, kind="stable")[:MOST_CLASSES].tolist())
    return {
        "classes_shown": shown,
        "per_class": _per_class(names, (said & truth).sum(0), actual, said.sum(0)),
        "roc": [_curve(names[c], probability[:, c], truth[:, c]) for c in shown],
        "worst": [
            {
                "row": int(judged.rows[i]),
                "loss": loss[i],
                "truth": _named(names, truth[i]),
                "answer": _named(names, said[i]),
                "missed": _graded(names, probability[i], truth[i] & ~said[i]),
                "false": _graded(names, probability[i], said[i] & ~truth[i]),
            }
            for i in worst
        ],
        "wrong": int((said != truth).any(1).sum()),
    }


def _number(judged: Judged) -> Facts:
    value, truth = judged.answer.astype(float), judged.truth.astype(float)
    residual = value - truth
    worst = np.argsort(-np.abs(residual), kind="stable")[:WORST]
    counts, edges = np.histogram(residual, bins=min(30, max(5, int(np.sqrt(len(residual)) * 1.5))))
    stride = -(-len(value) // POINTS_SCATTERED)
    return {
        "points": np.stack([truth, value], 1)[::stride],
        "residuals": {"counts": counts, "edges": edges},
        "worst": [
            {"row": int(judged.rows[i]), "truth": truth[i], "answer": value[i], "residual": residual[i]} for i in worst
        ],
    }


KINDS: dict[str, Callable[[Judged], Facts]] = {"category": _category, "labels": _labels, "number": _number}


def _shown(matrix: np.ndarray) -> list[int]:
    """The classes for which there is room: those with most rows and most confusions, in their own order."""
    weight = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return sorted(np.argsort(-weight, kind="stable")[:MOST_CLASSES].tolist())


def _confused(matrix: np.ndarray, names: list[str], limit: int = 100) -> list[Facts]:
    """The pairs that are mistaken for each other, most frequent first."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    return [
        {"truth": names[i], "answer": names[j], "rows": int(wrong[i, j])}
        for i, j in zip(*np.unravel_index(order, wrong.shape))
        if wrong[i, j]
    ]


def _per_class(names: list[str], hits: np.ndarray, actual: np.ndarray, said: np.ndarray) -> list[Facts]:
    ratio = lambda top, bottom: float(top / bottom) if bottom else None  # noqa: E731
    return [
        {
            "name": n,
            "rows": int(a),
            "said": int(s),
            "precision": ratio(h, s),
            "recall": ratio(h, a),
            "f1": ratio(2 * h, a + s),
        }
        for n, h, a, s in zip(names, hits, actual, said)
    ]


def _curve(name: str, score: np.ndarray, truth: np.ndarray) -> Facts:
    """One class against the rest; no area where the rows are all of one kind."""
    false, true = metrics.roc_curve(score, truth)
    defined = bool(truth.any() and not truth.all())
    area = float(((false[1:] - false[:-1]) * (true[1:] + true[:-1]) / 2).sum())
    keep = np.unique(np.linspace(0, len(false) - 1, min(POINTS, len(false))).round().astype(int))
    return {
        "name": name,
        "auc": area if defined else None,
        "positives": int(truth.sum()),
        "points": np.stack([false[keep], true[keep]], 1).round(5) if defined else [],
    }


def _named(names: list[str], here: np.ndarray) -> list[str]:
    return [n for n, h in zip(names, here) if h]


def _graded(names: list[str], probability: np.ndarray, here: np.ndarray) -> list[list[Any]]:
    return [[n, p] for n, p, h in zip(names, probability.tolist(), here) if h]
