"""Checks settings against the signature of what they are for. The signature is the only place where a setting is written down."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import reprlib
import types
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from unveil import encoders, kinds, methods, tasks
from unveil.contracts import Range
from unveil.errors import Unusable, nearest

TABLES = {"kind": kinds.TABLE, "encoder": encoders.TABLE, "method": methods.TABLE, "task": tasks.TABLE}


def names(section: str) -> list[str]:
    """Names of all kinds, encoders, methods or tasks, those of installed packages included."""
    return [*TABLES[section], *(point.name for point in entry_points(group=f"unveil.{section}s"))]


def find(section: str, name: str) -> type:
    """The class of that name.

    Raises:
        Unusable: with the nearest name, where there is none.
    """
    if name in TABLES[section]:
        module, attribute = TABLES[section][name].split(":")
        return getattr(importlib.import_module(module), attribute)
    for point in entry_points(group=f"unveil.{section}s", name=name):
        return point.load()
    raise Unusable(f"there is no {section} {name!r}{nearest(name, names(section))}")


def settings_of(target: Callable) -> dict[str, tuple[Any, Any]]:
    """Keyword-only settings of a class: name -> (type, default). What a class takes as ``**settings`` are those of the class it is made
    from."""
    function = target.__init__ if inspect.isclass(target) else target
    hints, parameters = get_type_hints(function, include_extras=True), inspect.signature(target).parameters
    passed_on = inspect.isclass(target) and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return (settings_of(target.__mro__[1]) if passed_on else {}) | {
        name: (hints.get(name, Any), p.default) for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def checked(target: Callable, given: Mapping[str, Any], section: str) -> dict[str, Any]:
    """All settings of ``target``: its defaults, changed by ``given``.

    Raises:
        Unusable: for an unknown key, a wrong type or a value out of range, with what is right.
    """
    known = settings_of(target)
    for name in given:
        if name not in known:
            raise Unusable(f"{section}.{name} is no setting of {target.__name__}{nearest(name, list(known))}")
    result = {}
    for name, (hint, default) in known.items():
        if name in given:
            result[name] = _conform(given[name], hint, f"{section}.{name}")
        elif default is inspect.Parameter.empty:
            raise Unusable(f"{section}.{name} must be given: {target.__name__} has no default for it")
        else:
            result[name] = default
    return result


def _conform(value: Any, hint: Any, path: str) -> Any:
    """``value`` as ``hint`` wants it; integers serve as floats, lists as tuples, nothing else is bent."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        base, *limits = get_args(hint)
        value = _conform(value, base, path)
        for limit in limits:
            if isinstance(limit, Range):
                _within(value, limit, path)
        return value
    if origin is Literal:
        # YAML reads yes as true and 32 as a number; the texts that are meant are these.
        said = ("no", "yes")[value] if isinstance(value, bool) else value if isinstance(value, str) else brief(value)
        if said not in get_args(hint):
            raise Unusable(f"{path} is {brief(value)}; it can be {' or '.join(map(repr, get_args(hint)))}")
        return said
    if origin in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        return _conform(value, next(option for option in options if option is not type(None)), path)
    if origin is tuple:
        parts = get_args(hint)
        if parts[-1] is Ellipsis and isinstance(value, (list, tuple)):
            parts = parts[:1] * len(value)
        if not isinstance(value, (list, tuple)) or len(value) != len(parts):
            raise Unusable(f"{path} is {brief(value)}; it must be a list of {len(parts)}, such as [0.3, 1.0]")
        return tuple(_conform(x, part, f"{path}[{i}]") for i, (x, part) in enumerate(zip(value, parts, strict=True)))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if hint is float and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise Unusable(f"{path} is {brief(value)}, {_article(type(value))}; it must be {_article(hint)}")
    if hint is float and not math.isfinite(value):
        raise Unusable(f"{path} is {value!r}; it must be a finite number")
    return value


class _Brief(reprlib.Repr):
    """Aliases of YAML can make a short file a value without end, and Python does not write a number of thousands of digits."""

    def repr_int(self, value: int, level: int) -> str:
        return super().repr_int(value, level) if abs(value) < 10**300 else "a number of hundreds of digits"


BRIEF = _Brief()
BRIEF.maxlevel = 2


def brief(value: Any) -> str:
    """A value as it is written, where that takes some dozen characters; else its beginning."""
    return BRIEF.repr(value)


def _article(hint: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text", list: "a list", dict: "a table",
            type(None): "nothing"}.get(hint, hint.__name__)


def _within(value: Any, limit: Range, path: str) -> None:
    if (limit.low is not None and value < limit.low) or (limit.high is not None and value > limit.high):
        low = f"at least {limit.low:g}" if limit.low is not None else ""
        high = f"at most {limit.high:g}" if limit.high is not None else ""
        said = brief(value) if isinstance(value, int) else f"{value:g}"
        raise Unusable(f"{path} is {said}; it must be {' and '.join(filter(None, [low, high]))}")
