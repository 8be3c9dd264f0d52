"""YAML as plain values."""

from __future__ import annotations

from typing import Any

import yaml


def load(text: str) -> Any:
    """Tables, lists, texts, numbers; no tag makes an object.

    Raises:
        ValueError: in one line, where it is no YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as why:
        at = f"line {why.problem_mark.line + 1}: " if why.problem_mark else ""
        raise ValueError(f"{at}{why.problem}") from why
    except RecursionError as why:
        raise ValueError("it nests too deeply") from why
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as why:  # a date of month 13
        raise ValueError("a value in it cannot be read") from why
