"""JSON and YAML as text: nesting without an end is a mistake in the file, as any other, and no RecursionError."""

import json
from typing import Any

import yaml

DEEP = "it is nested too deeply"


def parse_json(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(DEEP) from None


def parse_yaml(text: str) -> Any:
    """Parse YAML.

    Raises:
        yaml.YAMLError: The text is not YAML, or nested too deeply.
    """
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise yaml.YAMLError(DEEP) from None
