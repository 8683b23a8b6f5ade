"""What commands that decide on manifests have in common: reading them, and saying all at once what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
import yaml
from rich.console import Console

from nodesmith.adapters.aws.shipped import shipped_types
from nodesmith.api.catalog import CatalogError, Catalogue, load_catalogue
from nodesmith.api.documents import STDIN, Document, Reading, read_documents, read_paths
from nodesmith.api.fault import Fault, errors
from nodesmith.api.manifests import Loaded, assemble, is_object
from nodesmith.api.schedulerconfig import parse_scheduler_config
from nodesmith.decide.lifecycle.buffers import virtual_pods
from nodesmith.decide.schedule.defaultspread import spread_by_default
from nodesmith.decide.schedule.overlays import Overlaid, overlaid
from nodesmith.decide.schedule.problem import Options, Problem, pods_to_place
from nodesmith.model.pod import Pod, TopologySpreadConstraint

UNPLACED: Final = 1
BAD_INPUT: Final = 2
_WIDTH_OF_A_FILE: Final = 140
_LOOKED_AT: Final = " (of a folder, files that end in .yaml, .yml, .json or .gz are read)"


class Output(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def read_problem(paths: Sequence[Path], catalog: Path | None, options: Options) -> Problem:
    """The question that manifests ask. Exits with every fault told when they cannot be understood."""
    reading = _read(paths)
    loaded = assemble(Reading(reading.documents, reading.faults))
    faults = [*reading.empty, *(str(fault) for fault in loaded.faults)]
    is_bad = bool(errors(loaded.faults)) or bool(reading.empty)
    types = Catalogue(())
    try:
        types = read_types(catalog)
    except CatalogError as error:
        faults.append(f"error: {error}")
        is_bad = True
    except OSError as error:
        faults.append(f"error: {catalog}: {error.strerror or error}")
        is_bad = True
    if is_bad:
        refuse(faults)
    for fault in faults:
        typer.echo(fault, err=True)
    snapshot = loaded.snapshot
    offered = overlaid({pool.name: types.of(pool.name) for pool in snapshot.pools}, snapshot.pools, loaded.overlays)
    for line in _overlay_lines(offered):
        typer.echo(line, err=True)
    pods = (*pods_to_place(snapshot), *_room(loaded))
    return spread_by_default(Problem(snapshot, offered.catalog, pods, options=options))


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read; `empty` are lines about paths that hold nothing."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    empty: tuple[str, ...]


def _read(paths: Sequence[Path]) -> _Read:
    """The documents of all paths, `-` being what comes by standard input."""
    documents: list[Document] = []
    faults: list[Fault] = []
    empty: list[str] = []
    for path in paths:
        reading = read_documents(sys.stdin.read(), STDIN) if str(path) == STDIN else read_paths([path])
        documents.extend(reading.documents)
        faults.extend(reading.faults)
        if not reading.faults and not any(is_object(each.data) for each in reading.documents):
            empty.append(f"error: {path}: there is no Kubernetes object in it{_LOOKED_AT if path.is_dir() else ''}")
    return _Read(tuple(documents), tuple(faults), tuple(empty))


def _overlay_lines(offered: Overlaid) -> Iterator[str]:
    """The overlays that are not in force, and why."""
    for name in sorted(offered.faulty):
        yield f"warning: NodeOverlay {name} is not applied: {offered.faulty[name]}"
    for name in sorted(offered.conflicting):
        yield f"warning: NodeOverlay {name} is not applied: conflict with another overlay"


def _room(loaded: Loaded) -> Iterator[Pod]:
    """The pods that stand for the room that CapacityBuffers keep."""
    for buffer, shape in loaded.buffers:
        if shape is None:
            typer.echo(f"warning: CapacityBuffer {buffer.key} keeps no room: what it refers to is not there", err=True)
        else:
            yield from virtual_pods(buffer, shape)


def read_types(catalog: Path | None) -> Catalogue:
    """The instance types to buy from: the file's, or without one the provider's that ship with the program.

    Raises:
        CatalogError: when the file is no catalogue.
        OSError: when it cannot be read.
    """
    return Catalogue(shipped_types()) if catalog is None else load_catalogue(catalog)


def read_default_spread(path: Path | None) -> tuple[TopologySpreadConstraint, ...]:
    """The default constraints of a file; none without one. Exits with every fault told when it is wrong."""
    if path is None:
        return ()
    try:
        return parse_scheduler_config(path.read_text(encoding="utf-8"))
    except OSError as error:
        refuse([f"error: {path}: {error.strerror or error}"])
    except ValueError as error:
        refuse([f"error: {path}: {fault}" for fault in str(error).split("; ")])


def refuse(faults: Iterable[str]) -> NoReturn:
    """Tell all faults and exit as for bad input."""
    for fault in faults:
        typer.echo(fault, err=True)
    raise typer.Exit(BAD_INPUT)


def wide_console() -> Console:
    """The terminal, or where the output goes elsewhere, as much width as a table wants."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_A_FILE)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines of text."""
    typer.echo("\n".join(lines))


def print_document(document: dict[str, Any], output: Output) -> None:
    """Print a document as JSON or YAML."""
    if output is Output.YAML:
        typer.echo(yaml.safe_dump(document, sort_keys=False, width=120), nl=False)
    else:
        typer.echo(json.dumps(document, indent=1))
