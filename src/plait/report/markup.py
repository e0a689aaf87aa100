"""HTML that cannot be forgotten to be escaped: every string that is not Html already is escaped when it is put in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = {"meta", "link", "br", "img", "source"}


class Html(str):
    """Text that is HTML already. An f-string of it is a plain str again, so what is put together by hand is escaped."""


def html_of(value: object) -> Html:
    """A value as HTML: escaped, unless it is Html. None is nothing. What UTF-8 cannot hold becomes "?"."""
    if value is None:
        return Html("")
    if isinstance(value, Html):
        return value
    return Html(escape(str(value).encode("utf-8", errors="replace").decode("utf-8").replace("\0", "\ufffd")))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Several values, one after the other; `between` is escaped too."""
    return Html(html_of(between).join(html_of(p) for p in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """One element. Attributes: `class_` is class, `data_x` is data-x; None and False leave it out, True has no "
    "value."""
    written = []
    for key, value in attributes.items():
        if value is not None and value is not False:
            plain = key.rstrip("_").replace("_", "-")
            written.append(f" {plain}" if value is True else f' {plain}="{html_of(value)}"')
    opening = f"<{name}{''.join(written)}>"
    return Html(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def div(class_: str, /, *children: object, **attributes: object) -> Html:
    """A div of a class."""
    return tag("div", *children, class_=class_, **attributes)


def span(class_: str, /, *children: object, **attributes: object) -> Html:
    """A span of a class."""
    return tag("span", *children, class_=class_, **attributes)


def name_html(value: object) -> Html:
    """A name the user gave (a class, a column), kept apart from the direction of the text around it."""
    return tag("bdi", value)


def table(head: Sequence[object], rows: Iterable[Sequence[object]], class_: str = "") -> Html:
    """A table that scrolls sideways when it has to. The first cell of a row is its heading; "#" before the name of a
    column sets it as figures."""
    figures = [isinstance(h, str) and not isinstance(h, Html) and h.startswith("#") for h in head]
    names = [h[1:] if number else h for h, number in zip(head, figures)]  # type: ignore[index]
    top = tag("tr", *(tag("th", n, scope="col", class_="n" if f else None) for n, f in zip(names, figures)))
    body = [
        tag(
            "tr",
            *(
                tag("th", c, scope="row") if i == 0 else tag("td", c, class_="n" if figures[i] else None)
                for i, c in enumerate(row)
            ),
        )
        for row in rows
    ]
    return div("scroll", tag("table", tag("thead", top), tag("tbody", *body), class_=class_ or None), tabindex="0")


def folded(title: object, *children: object, open_: bool = False) -> Html:
    """What is there for whoever wants it."""
    return tag("details", tag("summary", title), *children, open=open_)
