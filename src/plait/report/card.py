"""The model card: what a model predicts from what, how well, made how, and where it stops (Mitchell et al. 2019)."""

from __future__ import annotations

import json
import re
from html import escape

from plait import __version__
from plait.evaluation import Evaluation, Judged
from plait.inference import Subset
from plait.predictor import Predictor
from plait.report import words

MOST_LINES = 100
EXAMPLES = {
    "text": "some words",
    "image": "picture.png",
    "audio": "sound.ogg",
    "number": 1.5,
    "category": "a name",
    "labels": ["a name"],
    "video": "clip.mp4",
    "date": "2020-12-31",
    "images": ["one.png", "two.png"],
    "texts": ["some words", "more words"],
    "series": [0.5, 0.7, 0.6],
}


def model_card(predictor: Predictor, evaluation: Evaluation) -> str:
    """The card as Markdown."""
    record, columns = predictor.record, words.every(evaluation)
    inputs, targets = predictor.inputs, predictor.targets
    lines = [
        f"# {_md(words.listed(list(targets)))} from {_md(words.listed(list(inputs)))}",
        "",
        f"A multimodal model made by plait {__version__}: it predicts "
        f"{words.listed([f'**{_md(t)}** ({k})' for t, k in targets.items()])} from "
        f"{words.listed([f'**{_md(c)}** ({k})' for c, k in inputs.items()])}. Any of the inputs may be missing.",
        "",
        *_use(predictor),
        "## Figures",
        "",
    ]
    for target, judged in evaluation.targets.items():
        lines += _figures(target, judged, columns, record.get("judged_on", "test"))
    lines += _data(predictor, evaluation)
    lines += ["## Limits", "", *(f"- {_md(said)}" for said in words.limits(record, evaluation)), ""]
    return "\n".join(lines)


def _use(predictor: Predictor) -> list[str]:
    row = {c: EXAMPLES.get(kind, "…") for c, kind in list(predictor.inputs.items())[:8]}
    first = dict(list(row.items())[:1])
    code = [
        "import plait",
        "",
        'model = plait.load("this folder")',
        f"model.predict([{_literal(row)}])",
        f"model.predict([{_literal(first)}])  # any subset of the inputs",
        'model.evaluate("table.csv")  # figures with intervals, for every subset',
    ]
    longest = max(map(len, re.findall("`+", "\n".join(code))), default=0)
    fence = "`" * max(3, longest + 1)
    return [
        "## Use",
        "",
        f"{fence}python",
        *code,
        fence,
        "",
        "Nothing in the folder is code: loading it runs none.",
        "",
    ]


def _figures(target: str, judged: Judged, columns: Subset, part: str) -> list[str]:
    full, prior, metric = judged.figures[columns], judged.figures[()], judged.main
    lines = [
        f"### {_md(target)}",
        "",
        _md(words.sentence(judged, columns, part)),
        "",
        "| metric | all inputs | 95 % interval | knowing nothing |",
        "|---|---:|---:|---:|",
    ]
    for name, figure in full.items():
        arrow = " ↓" if words.lower_is_better(name) else ""
        lines.append(
            f"| {_md(words.metric_name(name))}{arrow} | {words.value_text(name, figure['value'])} | "
            f"{words.span_text(name, figure) or '–'} | {words.value_text(name, prior[name]['value'])} |"
        )
    lines += [
        "",
        f"{words.metric_name(metric)} by what the model may see:",
        "",
        "| inputs | value | 95 % interval |",
        "|---|---:|---:|",
    ]
    for subset, figures in list(judged.figures.items())[:MOST_LINES]:
        lines.append(
            f"| {_md(words.subset_words(subset))} | {words.value_text(metric, figures[metric]['value'])} | "
            f"{words.span_text(metric, figures[metric]) or '–'} |"
        )
    left = len(judged.figures) - MOST_LINES
    return lines + ([f"| … and {left} more in report.json | | |"] if left > 0 else []) + [""]


def _data(predictor: Predictor, result: Evaluation) -> list[str]:
    record = predictor.record
    parts = " · ".join(
        f"{name} {words.count(n)}" for name, n in zip(("train", "valid", "test"), record.get("parts") or [])
    )
    how = {k: v for k, v in (record.get("split") or {}).items() if v not in (None, False)}
    encoders = ", ".join(f"{c} {part['name']}" for c, part in predictor.spec["inputs"].items())
    lines = [
        "## Data and training",
        "",
        f"- Table: {_md(str(record.get('table')))}, {words.rows(record.get('rows') or 0)}. Split: {parts}; "
        f"{_md(', '.join(f'{k} {v}' for k, v in how.items()))}; seed {record.get('seed')}.",
        f"- Bad cells: {words.count(len(result.bad_cells))}; they count as missing.",
        f"- Encoders: {_md(encoders)}; fusion {_md(predictor.spec['fusion']['name'])}; width "
        f"{predictor.model.width}; "
        f"{words.count(sum(p.numel() for p in predictor.model.parameters()))} parameters.",
    ]
    lines += [
        f"- The folder keeps the network {_md(net['weights'])} (sha256 {net['sha256'][:12]}…), which encodes "
        f"{_md(net['column'])}. Its licence: {_md(net['licence'] or words.NO_LICENCE)}."
        for net in record.get("pretrained") or ()
    ]
    weights = predictor.model.weights()
    if weights:
        lines.append(f"- Learned weights: {_md(', '.join(f'{c} {words.percent(w)}' for c, w in weights.items()))}.")
    options = ", ".join(f"{k} {v}" for k, v in (record.get("training") or {}).items() if v is not None)
    best = record.get("best_epoch")
    kept = f", weights of epoch {best + 1}" if best is not None and best >= 0 else ""
    stopped = f" Stopped early: {_md(record['stopped'])}." if record.get("stopped") else ""
    lines.append(f"- Training: {len(record.get('history') or [])} epochs{kept}; {_md(options)}.{stopped}")
    lines += ["", "| column | modality | role | why |", "|---|---|---|---|"]
    columns = predictor.schema.columns
    lines += [f"| {_md(c.name)} | {c.modality or '–'} | {c.role} | {_md(c.reason)} |" for c in columns[:MOST_LINES]]
    left = len(columns) - MOST_LINES
    return lines + ([f"| … and {left} more | | | |"] if left > 0 else []) + [""]


def _md(text: str) -> str:
    """Plain text in Markdown: nothing in it is markup, HTML or a line break."""
    flat = " ".join(escape(text, quote=False).split())
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", flat)


def _literal(row: dict[str, object]) -> str:
    """A dict as Python code, in plain ASCII where a name could break out of its line."""
    return json.dumps(row, ensure_ascii=False)
