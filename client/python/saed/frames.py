"""Answers as pandas tables, where pandas is installed."""

import dataclasses

from saed.words import to_dict


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError("a DataFrame needs pandas, which is not installed; pip install pandas, or "
                          "apt install python3-pandas") from None
    return pandas


def _flat(row, out=None, before=""):
    """Columns of a row: parts of parts are joined by "_", what may be absent is None."""
    out = {} if out is None else out
    for name, content in row.items():
        if isinstance(content, dict):
            _flat(content, out, f"{before}{name}_")
        else:
            out[before + name] = content
    return out


def _unit(message):
    row = to_dict(message)
    row["depth"] = float("nan") if row["depth"] is None else row["depth"]
    return {**{k: v for k, v in row.items() if k != "columns"}, **row["columns"]}


def _row(thing):
    if isinstance(thing, dict):
        return thing
    if not hasattr(thing, "DESCRIPTOR"):
        raise TypeError(f"frame: holds a {type(thing).__name__}; must hold what calls return")
    return _unit(thing) if thing.DESCRIPTOR.name == "Unit" else _flat(to_dict(thing))


def frame(things):
    """A pandas.DataFrame of what a call returned: a list of messages (units, features, jobs,
    associations, …) with a row for each, a list of dicts, a dict of columns, or a Series, whose
    index is time in s. Enums are words, times have their zone."""
    pandas = _pandas()
    if dataclasses.is_dataclass(things) and hasattr(things, "timestamps"):
        return pandas.DataFrame(things.values, columns=things.channels,
                                index=pandas.Index(things.timestamps, name="time"))
    if isinstance(things, dict):
        return pandas.DataFrame({k: list(v) if isinstance(v, (list, tuple)) else v
                                 for k, v in things.items()})
    return pandas.DataFrame([_row(t) for t in things])
