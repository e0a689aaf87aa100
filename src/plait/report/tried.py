"""What was tried when plait chose by itself: every candidate, its loss on rows not learned from, its cost, and why one won."""

from __future__ import annotations

from typing import Any

from plait.predictor import Predictor
from plait.report.markup import Html, div, join, name_html, table, tag

MOST = 40  # candidates of a target that are shown


def tried(predictor: Predictor) -> Html:
    """A section, or nothing where nothing was chosen."""
    boards, rivals = predictor.leaderboard, predictor.record.get("rivals")
    if not boards and not rivals:
        return Html("")
    parts = [_of(target, board) for target, board in boards.items()]
    if rivals:
        parts.append(tag("p", _rivals(rivals)))
    return tag("section", tag("h2", "What was tried"), *parts, id="tried")


def _of(target: str, board: list[dict[str, Any]]) -> Html:
    losses = [entry["loss"] for entry in board]
    least, most = min(losses), max(losses)
    rows = []
    for place, entry in enumerate(board[:MOST]):
        share = (entry["loss"] - least) / (most - least) if most > least else 0.0
        bar = div("bar", tag("i", style=f"width:{100 * share:.0f}%"))
        name = tag("b", entry["name"]) if place == 0 else entry["name"]
        rows.append([name, f"{entry['loss']:.3f}", bar, f"{entry['seconds']:.1f} s"])
    said = (
        "Loss on rows that a candidate had not learned from, after the temperature that fits best, and seconds to learn it over "
        f"the folds. The first was taken: {board[0].get('why', 'it was asked for')}."
    )
    parts = [
        tag("h3", name_html(target)),
        tag("p", said, class_="soft"),
        div("card", table(["candidate", "#loss", "above the least", "#to learn"], rows, class_="wide")),
    ]
    if len(board) > MOST:
        parts.append(tag("p", f"{len(board) - MOST} more are in the model's leaderboard.", class_="note"))
    return join(parts)


def _rivals(rivals: dict[str, Any]) -> str:
    return (
        f"The networks were trained on too (LoRA): their loss on the validation rows is {rivals['fine-tuned']:.3f}, that of "
        f"learners of fixed features who had not seen these rows {rivals['learners']:.3f}. Taken: {rivals['taken']}. To be "
        f"taken, networks have to be better by more than one standard error."
    )
