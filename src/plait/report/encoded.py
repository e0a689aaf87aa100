"""How the inputs are encoded: by what, why that was taken, and whose networks the model keeps."""

from __future__ import annotations

from plait.predictor import Predictor
from plait.report import words
from plait.report.markup import Html, div, name_html, span, table, tag


def inputs(predictor: Predictor, most: int) -> Html:
    """The encoder of each input; for those that plait chose also why, and how a better one could be had."""
    why = {choice["column"]: choice for choice in predictor.record.get("encoders") or ()}
    rows: list[list[object]] = []
    for column, part in list(predictor.spec["inputs"].items())[:most]:
        rows.append([name_html(column), tag("code", part["name"])])
        if column in why:
            better = f". Better: {why[column]['better']}" if why[column]["better"] else ""
            rows[-1] += [why[column]["taken"], span("soft", f"{why[column]['why']}{better}")]
    return div("card", table(["input", "encoder", *(["taken", "why"] if why else [])], rows))


def networks(predictor: Predictor, most: int) -> Html | None:
    """The pretrained networks that the model keeps, and the licences it passes them on under."""
    found = predictor.record.get("pretrained")
    if not found:
        return None
    rows: list[list[object]] = [
        [name_html(n["column"]), n["weights"], tag("code", f"{n['sha256'][:12]}…"), n["licence"] or words.NO_LICENCE]
        for n in found[:most]
    ]
    return div("card", table(["input", "network that the model keeps", "sha256", "licence"], rows, class_="wide"))
