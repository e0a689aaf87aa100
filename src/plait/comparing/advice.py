"""One plain sentence or two for each column: which encoder to take, what it gains, what it costs."""

from __future__ import annotations

from typing import Any

from plait.comparing.figures import Figure, clear
from plait.report import words

Facts = dict[str, Any]


def seconds_text(seconds: float) -> str:
    """0.2 ms, 15 ms, 2.3 s, 4 min"""
    if seconds < 1e-4:
        return f"{1e6 * seconds:.0f} µs"
    if seconds < 1:
        return f"{1e3 * seconds:.{1 if seconds < 0.01 else 0}f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def gap_text(metric: str, gap: Figure) -> str:
    """9 ± 3 points; 0.031 ± 0.012 of RMSE. The size alone, whichever is better."""
    value, low, high = gap["value"], gap["low"], gap["high"]
    if value is None:
        return "an unknown amount"
    half = None if low is None or high is None else (high - low) / 2
    if metric in words.SHARES:
        if value == 0 and not half:
            return "0 points"
        digits = 1 if half is not None and half < 0.01 else 0
        sure = "" if half is None else f" ± {100 * half:.{digits}f}"
        return f"{100 * abs(value):.{digits}f}{sure} points"
    say = words.number if metric in words.IN_UNITS else "{:.3f}".format
    return f"{say(abs(value))}{'' if half is None else f' ± {say(half)}'} of {words.metric_name(metric)}"


def signed_gap(metric: str, gap: Figure) -> str:
    """+9 ± 3 points; above zero is better."""
    if gap["value"] is None:
        return "–"
    return ("+" if gap["value"] >= 0 else words.MINUS) + gap_text(metric, gap).split(" of ")[0]


def column_advice(facts: Facts, column: Facts) -> str:
    """What to take for a column."""
    metric, best, gaps = facts["metric"], column["best"], column["gaps"]
    by_name = {r["name"]: r for r in column["rungs"]}
    cost = {kind: seconds_text(by_name[name]["prepare"]["seconds_a_row"]) for kind, name in best.items()}
    said: list[str] = []
    if "pretrained" in best and "classic" in best:
        first, top = _pretrained_or_classic(metric, column, cost)
        said.append(first)
    else:
        top = next((k for k in ("pretrained", "classic", "scratch") if k in best), "")
        if not top:
            return "Nothing could be tried here."
        level = words.figure_words(metric, by_name[best[top]])
        said.append(f"{_called(column, top)} reaches {level} and costs {cost[top]} a row.")
    if top != "scratch" and "scratch" in best:
        gap = gaps[f"{top} - scratch"]
        size, learn = gap_text(metric, gap), seconds_text(by_name[best["scratch"]]["learn_seconds"])
        if clear(gap) > 0:
            said.append(f"Training from scratch stays {size} below it.")
        elif clear(gap) < 0:
            said.append(f"Training from scratch beats it by {size}, after {learn} of training.")
            top = "scratch"
        else:
            said.append(f"Training from scratch cannot be told from it (a difference of {size}).")
    if "tuned" in best and "pretrained" in best:
        said.append(_tuned(metric, gaps["tuned - pretrained"], best, by_name))
    if clear(gaps[f"{top} - floor"]) <= 0:
        size = signed_gap(metric, gaps[f"{top} - floor"])
        said.append(f"Whether this column says anything is not sure ({size} over {facts['floor']['name']}).")
    if column["absent"] and "pretrained" not in best:
        least = min(column["absent"], key=lambda a: a["megabytes"])
        said.append(f"No pretrained weights for it are here; the lightest: {least['get']} ({least['megabytes']} MB).")
    return " ".join(said)


def _tuned(metric: str, gap: Figure, best: Facts, rungs: Facts) -> str:
    """What training through the network adds to leaving it as it is."""
    size, learn = gap_text(metric, gap), seconds_text(rungs[best["tuned"]]["learn_seconds"])
    how = {1: f"is {size} better than", -1: f"stays {size} below"}.get(clear(gap))
    if how is None:
        return f"{best['tuned']}, cannot be told from {best['pretrained']} (a difference of {size}), after {learn} of training."
    return f"{best['tuned']}, {how} {best['pretrained']} as it is, after {learn} of training."


def _called(column: Facts, kind: str) -> str:
    """The chosen rung of a kind, and that it is the best of several."""
    name: str = column["best"][kind]
    if kind == "scratch":
        return name
    several = sum(r["kind"] == kind and not r["error"] for r in column["rungs"]) > 1
    return f"The best {kind} encoder, {name}," if several else f"The {kind} encoder {name}"


def _pretrained_or_classic(metric: str, column: Facts, cost: dict[str, str]) -> tuple[str, str]:
    """The sentence, and the kind to take: where they cannot be told apart, the cheaper one."""
    gap, best = column["gaps"]["pretrained - classic"], column["best"]
    size = gap_text(metric, gap)
    pretrained, classic = best["pretrained"], _called(column, "classic").replace("The ", "the ", 1).rstrip(",")
    if clear(gap) > 0:
        return f"{pretrained} beats {classic}, by {size} and costs {cost['pretrained']} a row.", "pretrained"
    costs = f"{cost['classic']} a row against {cost['pretrained']}"
    if clear(gap) < 0:
        return f"{pretrained} stays {size} below {classic}, which costs {costs}.", "classic"
    rungs = {r["name"]: r["prepare"]["seconds_a_row"] for r in column["rungs"] if not r["error"]}
    cheap = "classic" if rungs[best["classic"]] <= rungs[pretrained] else "pretrained"
    return (
        f"{pretrained} cannot be told from {classic} (a difference of {size}): take {best[cheap]}, the cheaper one "
        f"({costs})."
    ), cheap


def joint_advice(facts: Facts) -> str:
    """What all columns together add."""
    metric, rungs = facts["metric"], [r for r in facts["together"]["rungs"] if not r["error"]]
    if not rungs:
        return "All columns together could not be tried."
    said = [f"All columns together, {rungs[-1]['name']}, reach {words.figure_words(metric, rungs[-1])}."]
    alone = facts["together"].get("single")
    if alone:
        size, name = gap_text(metric, alone), f"{alone['column']} alone ({alone['name']})"
        how = {1: f"That is {size} better than {name}", -1: f"That is {size} worse than {name}"}
        said.append(how.get(clear(alone), f"That cannot be told from {name}: a difference of {size}") + ".")
    return " ".join(said)
