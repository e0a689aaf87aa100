"""Name + keyword arguments -> object. A constructor's signature is its schema; learned facts are constructor arguments.

A spec is a name or {"name": ..., **options}. An option belongs to `learn` (how facts are learned from the
training cells) or to the constructor; what `learn` returns are constructor arguments too. A completed spec holds
constructor arguments only, all of them plain JSON or arrays of numbers: it is what a model folder keeps.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from plait.errors import PlaitError, unknown

if TYPE_CHECKING:
    import numpy as np

Spec = Any  # a name, or {"name": ..., **options}
Outside = bool | Collection[str]  # which "their_package.module:Class" may be imported: all, none, or those listed

_OUTSIDE: ContextVar[Outside] = ContextVar("outside", default=False)  # for what is being built


@contextmanager
def _allowing(outside: Outside) -> Iterator[None]:
    mark = _OUTSIDE.set(outside)
    try:
        yield
    finally:
        _OUTSIDE.reset(mark)


def _allowed(path: str, outside: Outside) -> bool:
    return outside if isinstance(outside, bool) else path in outside


def imported(path: str) -> Any:
    """The class "their_package.module:Class" of others, for a part that is being built. Raises PlaitError where whoever
    builds it did not allow that: importing it runs its code."""
    if not isinstance(path, str) or ":" not in path:
        raise PlaitError(f"{path!r} names no class; expected 'their_package.module:Class'.")
    if not _allowed(path, _OUTSIDE.get()):
        raise PlaitError(
            f"it uses {path!r}, which is not of plait: importing it runs its code. If you trust that code, say so: "
            f"plait.load(folder, outside=[{path!r}])."
        )
    module, _, attribute = path.partition(":")
    try:
        found = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise PlaitError(
            f"{path!r} cannot be imported: {error}. Its class has to stand in a module by itself."
        ) from error
    return found


class Table(Mapping[str, str]):
    """name -> "module:Class", imported when it is first asked for."""

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str, *, outside: Outside = False) -> Any:
        """The class called `name`; with `outside`, also "their_package.module:Class": any, or those listed."""
        target = name if ":" in name and _allowed(name, outside) else self._entries.get(name)
        if target is None:
            raise unknown(self.kind, name, self)
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise PlaitError(f"{self.kind} {name!r} cannot be imported: {error}.") from error

    def normal(self, spec: Spec) -> dict[str, Any]:
        """The spec as a dict; raises on unknown names and options before any work is done."""
        options = self._options(spec)
        cls = self.load(options["name"], outside=True)
        known = {**_options(cls.__init__), **_options(cls.learn)} if hasattr(cls, "learn") else _options(cls.__init__)
        for key in options:
            if key != "name" and key not in known:
                raise unknown(f"option of {self.kind} {options['name']!r}:", key, known)
        return options

    def complete(self, spec: Spec, *cells: Any, **given: Any) -> dict[str, Any]:
        """The spec with the facts that `learn` takes from the training cells. Options the user gave win over learned ones, but
        for those that `learn` was given: of several values it returns the one it chose. `given`: its further arguments."""
        options = self.normal(spec)
        cls = self.load(options["name"], outside=True)
        how = {k: v for k, v in options.items() if k in _options(cls.learn)}
        rest = {k: v for k, v in options.items() if k not in how or k in _options(cls.__init__)}
        try:
            with _allowing(True):  # what is completed comes from a person, not from a folder
                learned = {k: _by_rows(v) for k, v in cls.learn(*cells, **given, **how).items()}
            return {**learned, **{k: v for k, v in rest.items() if k not in how or k not in learned}}
        except PlaitError:
            raise
        except (TypeError, ValueError, ArithmeticError, OverflowError) as error:
            raise PlaitError(f"{self.kind} {options['name']!r} cannot learn with {how}: {error}.") from error

    def takes(self, spec: Spec, option: str) -> bool:
        """Whether a part can be given this option when it learns."""
        return option in _options(self.load(self._options(spec)["name"], outside=True).learn)

    def hyperparameters(self, completed: Spec) -> dict[str, Any]:
        """Of a completed spec what `learn` takes as an option: values that were chosen, and can be given again."""
        options = self._options(completed)
        known = _options(self.load(options["name"], outside=True).learn)
        return {k: v for k, v in options.items() if k in known}

    def _options(self, spec: Spec) -> dict[str, Any]:
        options = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
        if not isinstance(options.get("name"), str):
            raise PlaitError(f"A {self.kind} is given as a name or as {{'name': ..., options}}; found {spec!r}.")
        return options

    def build(self, spec: Spec, *, outside: Outside | None = None, **runtime: Any) -> Any:
        """The object of a completed spec. `runtime` arguments are passed where the constructor has them. Without `outside` it is
        of the table, and may import what the part may that it is built for: nothing where it is for none."""
        options = self._options(spec)
        name, allowed = options.pop("name"), _OUTSIDE.get() if outside is None else outside
        cls = self.load(name, outside=outside or False)
        known = _options(cls.__init__)
        for key in options:
            if key not in known:
                raise unknown(f"option of {self.kind} {name!r}:", key, known)
        try:
            with _allowing(allowed):
                return cls(**{k: v for k, v in runtime.items() if k in known}, **options)
        except PlaitError:
            raise
        except (
            TypeError,
            ValueError,
            ArithmeticError,
            AssertionError,
            RuntimeError,
        ) as error:  # what torch's layers raise on odd sizes
            raise PlaitError(f"{self.kind} {name!r} cannot be built: {error}.") from error


def _by_rows(value: Any) -> Any:
    """An array laid out row after row, as it is when it has been loaded: a product with one of columns may round otherwise."""
    import numpy as np

    return np.asarray(value, order="C") if isinstance(value, np.ndarray) else value


def _options(function: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {k: p for k, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


ARRAY = "array"  # the key of an array in JSON: {"array": [dtype, shape, base64]}


def dumps(value: Any) -> str:
    """A completed spec as JSON text, its arrays in it; equal specs give equal texts."""

    def plain(array: Any) -> dict[str, Any]:
        if type(array).__name__ != "ndarray" or array.dtype.kind not in "fiu":
            raise TypeError(f"a spec holds JSON and arrays of numbers, not {type(array).__name__}")
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        return {ARRAY: [array.dtype.newbyteorder("<").str, list(array.shape), base64.b64encode(raw).decode()]}

    return json.dumps(value, default=plain, ensure_ascii=False, sort_keys=True, allow_nan=False)


def loads(text: str) -> Any:
    """What `dumps` was given."""

    def array(found: dict[str, Any]) -> Any:
        value = found.get(ARRAY)
        if set(found) != {ARRAY} or not (isinstance(value, list) and len(value) == 3 and isinstance(value[2], str)):
            return found  # a column may be called so
        import numpy as np

        dtype, shape, raw = found[ARRAY]
        return np.frombuffer(base64.b64decode(raw), np.dtype(dtype)).reshape(shape).copy()

    return json.loads(text, object_hook=array)


def array_digest(array: np.ndarray) -> str:
    """A hash of an array's type, shape and content."""
    mark = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    mark.update(array.tobytes())
    return mark.hexdigest()


def parse(text: str) -> dict[str, Any]:
    """A spec from the command line: NAME or NAME:option=value,option=value. A value that is JSON as far as its comma is taken
    as it, so that a text with a comma stands in double quotes; any other is the text before its comma, or [a,b]."""
    name, _, rest = text.partition(":")
    spec: dict[str, Any] = {"name": name}
    while rest := rest.lstrip(","):
        key, equals, value = rest.partition("=")
        if not equals or "," in key or key.strip() in ("", "name"):
            pieces, (last, before) = rest.split(","), list(spec.items())[-1]
            piece, tail = pieces[0], ",".join(takewhile(lambda p: "=" not in p, pieces))
            own = len(spec) > 1 and isinstance(before, str)  # of the option before, whose end this may be
            way = f"{last}={json.dumps(f'{before},{tail}', ensure_ascii=False)}" if own else 'option="one, two"'
            raise PlaitError(
                f"{piece!r} in {text!r} is not option=value. Expected NAME:option=value,option=value; a value with a comma "
                f"in it stands in double quotes, as JSON: {way}."
            )
        spec[key.strip()], rest = _first(value)
    return spec


def _first(text: str) -> tuple[Any, str]:
    """The value that a text begins with, and what comes after it."""
    begin = text.lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(begin)
    except ValueError:
        value, end = {}, 0
    rest = begin[end:].lstrip()
    if value != {} and rest[:1] in ("", ","):  # {} alone says nothing: it is the place of a cell in a prompt
        return value, rest
    names = re.match(r"(\[[^][]*\])\s*(?=,|$)", begin)
    if names:
        return names[1], begin[names.end() :]
    plain, _, rest = text.partition(",")
    return plain, rest
