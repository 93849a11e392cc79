"""Models of an ensemble, named by one text."""

import os


def members(text: str) -> list[str]:
    """Paths of models from a text with commas between them; a comma within an existing path is part of it."""
    parts, found = text.split(","), list[str]()
    while parts:
        longest = [count for count in range(1, len(parts) + 1) if os.path.exists(",".join(parts[:count]))]
        count = longest[-1] if longest else 1
        found.append(",".join(parts[:count]))
        del parts[:count]
    return [path for path in found if path]
