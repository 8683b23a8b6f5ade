"""How the story is told: steps, tables and checks on a terminal, and the same as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table


@dataclass(slots=True)
class Teller:
    """Tells on a console, and remembers what it told and whether every check held."""

    console: Console
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def step(self, number: int, title: str) -> None:
        """A new chapter."""
        self.lines.append(f"== {number} {title}")
        self.console.print()
        self.console.print(Rule(f"[bold]{number}  {escape(title)}", align="left", style="cyan"))

    def say(self, text: str, *, style: str = "") -> None:
        """A sentence."""
        self.lines.append(text)
        self.console.print(Padding(escape(text), (0, 0, 0, 2)), style=style, highlight=not style)

    def happened(self, line: str) -> None:
        """Something in the world, with its time; the diary has it already."""
        self.console.print(Padding(escape(line), (0, 0, 0, 2)), style="dim", highlight=False, soft_wrap=True)

    def show(self, text: str, language: str = "yaml") -> None:
        """A piece of a file."""
        self.lines.extend(text.splitlines())
        self.console.print(Padding(Syntax(text, language, theme="ansi_dark", background_color="default"), (0, 0, 0, 2)))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table."""
        table = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for row in rows:
            self.lines.append("  ".join(row))
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(Padding(table, (1, 0, 1, 2)))

    def check(self, text: str, *, holds: bool) -> None:
        """Something that must be so."""
        self.lines.append(f"{'ok' if holds else 'FAILED'}: {text}")
        if not holds:
            self.failures.append(text)
        mark = "[green]ok[/]" if holds else "[bold red]FAILED[/]"
        self.console.print(Padding(f"{mark}  {escape(text)}", (0, 0, 0, 2)), highlight=False)
