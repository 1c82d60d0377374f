"""Cases of files as the field writes them: what each must be read as. One module for each format.

A case makes files in an empty folder and returns what must come of importing them.
"""

import dataclasses
import importlib
import pathlib
import pkgutil

CASES = []


@dataclasses.dataclass
class Expect:
    """What to import, and what must come of it; what is None is not compared."""

    path: pathlib.Path
    format: str = None
    options: dict = dataclasses.field(default_factory=dict)
    sampling_rate: float = 0
    bin_width: float = 0
    strict: bool = False
    intervals: dict = dataclasses.field(default_factory=dict)  # name -> file, as --intervals
    series_files: dict = dataclasses.field(default_factory=dict)  # name -> file, as --series
    units_file: pathlib.Path = None  # as --units
    spikes: dict = None  # unit id -> seconds, of all units
    counts: object = None  # [bins, units]
    labels: dict = None  # unit id -> label
    regions: dict = None
    depths: dict = None  # unit id -> µm
    columns: dict = None  # unit id -> {column: text}
    tables: dict = None  # table -> {column: values}; missing numbers are None
    series: dict = None  # series -> (timestamps, values [samples, channels])
    units_of_series: dict = None  # series -> unit of measurement
    observed: list = None  # [(start, stop)], s
    source: str = None
    warnings: list = dataclasses.field(default_factory=list)  # each is part of some warning
    no_warnings: bool = False
    refused: tuple = None  # (part of the field, part of the words)


def case(make):
    CASES.append(make)
    return make


def all_cases():
    """(module, function) of every case, modules in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [(make.__module__.rsplit(".", 1)[-1], make) for make in CASES]
