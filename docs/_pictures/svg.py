"""A few shapes as SVG, in colours that follow the theme of the page and have a fallback elsewhere."""

from html import escape
from pathlib import Path

TEXT = "var(--color-foreground-primary, #777)"
FAINT = "var(--color-foreground-border, #999)"
BLUE, ORANGE, GREEN, PURPLE, GREY = "#3b82c4", "#e08a1e", "#3c9d5d", "#9a6bc9", "#8a8f98"
"""Mid-tones, which can be told apart on white and on black; white text on them is readable."""


class Picture:
    """A picture of some width and height, to which shapes are added.

    Args:
        width: Width in pixels at full size.
        height: Height in pixels at full size.
        title: What the picture shows, for readers who do not see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width = width
        self.height = height
        self.title = title
        self.parts: list[str] = []

    def box(
        self, x: float, y: float, w: float, h: float, fill: str = "none", opacity: float = 1, stroke: str = FAINT
    ) -> None:
        """Add a rectangle."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="3" style="fill:{fill};stroke:{stroke}" '
            f'fill-opacity="{opacity:g}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 14,
        anchor: str = "middle",
        fill: str = TEXT,
        bold: bool = False,
    ) -> None:
        """Add a line of text whose baseline is at y."""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{weight} '
            f'style="fill:{fill}">{escape(words)}</text>'
        )

    def line(self, x: float, y: float, to_x: float, to_y: float, stroke: str = FAINT, dashed: bool = False) -> None:
        """Add a line."""
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self.parts.append(
            f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke-width="1.6"{dash} '
            f'style="stroke:{stroke}"/>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float, stroke: str = TEXT) -> None:
        """Add a horizontal or vertical line with a head at its end."""
        self.line(x, y, to_x, to_y, stroke)
        if y == to_y:
            back = -7 if to_x > x else 7
            corners = f"{to_x:g},{to_y:g} {to_x + back:g},{to_y - 4:g} {to_x + back:g},{to_y + 4:g}"
        else:
            back = -7 if to_y > y else 7
            corners = f"{to_x:g},{to_y:g} {to_x - 4:g},{to_y + back:g} {to_x + 4:g},{to_y + back:g}"
        self.parts.append(f'<polygon points="{corners}" style="fill:{stroke}"/>')

    def svg(self) -> str:
        """The file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'role="img" font-family="sans-serif">\n<title>{escape(self.title)}</title>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text(self.svg(), "utf-8")
