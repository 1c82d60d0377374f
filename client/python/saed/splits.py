"""Which bins train and which are held out."""

from saed.v1 import types_pb2
from saed.words import value


def trials(table, filter="", held_out=None, order="interleaved", seed=0, stratify=None, fold=None,
           embargo=None, outside="trains"):
    """A split by whole rows of an interval table, for train(split=…).

    filter: which of its rows are trials (AIP-160 on its columns). held_out: the fraction that is
    held out, None for a third. order: "interleaved" (evenly spaced in time), "random" (by seed) or
    "blocks" (runs of neighbours from five stretches of the session). stratify: a column, of whose
    every value that fraction is held out. fold: (i, n) holds out fold i, from 0, of n. embargo:
    seconds beside held-out trials that train nothing, None for up to 1 s. outside: whether the time
    outside the rows "trains" or is "left_out"; it is never scored. See TrialSplit in types.proto."""
    split = types_pb2.TrialSplit(
        table=table, filter=filter, seed=seed, held_out=_fraction(held_out), stratify=stratify or "",
        order=value(types_pb2.TrialOrder, order, "order"),
        outside=value(types_pb2.Outside, outside, "outside"), embargo=embargo)
    if fold is not None:
        if not isinstance(fold, (tuple, list)) or len(fold) != 2 or fold[1] < 1:
            raise ValueError(f"fold: is {fold!r}; must be (i, n), e.g. (0, 5)")
        split.fold, split.folds = fold
    return split


def time_blocks(blocks=0, held_out=None, embargo=None):
    """A split by equal stretches of time (blocks, 0 for five), of which each holds out its end: the
    fraction held_out, None for 0.2. embargo: seconds beside it that train nothing. See TimeSplit in
    types.proto."""
    return types_pb2.TimeSplit(blocks=blocks, held_out=_fraction(held_out), embargo=embargo)


def _fraction(held_out):
    if held_out == 0:
        raise ValueError("held_out: is 0; must be above 0 and below 1, e.g. 0.2, or None")
    return held_out or 0


def set_split(out, split):
    """Puts what train() takes as split into a Split message."""
    if split is None:
        return
    if isinstance(split, types_pb2.TrialSplit):
        out.trials.CopyFrom(split)
    elif isinstance(split, types_pb2.TimeSplit):
        out.time.CopyFrom(split)
    elif isinstance(split, dict) and "trials" in split:
        split = dict(split)
        out.trials.CopyFrom(trials(split.pop("trials"), **split))
    elif isinstance(split, dict):
        out.column.CopyFrom(types_pb2.ColumnSplit(
            table=split["table"], column=split["column"], train_values=_texts(split["train"]),
            test_values=_texts(split["test"])))
    elif split == "in sample":
        out.in_sample = True
    elif isinstance(split, str):
        raise ValueError(f"split: is {split!r}; must be None, a fraction, 'in sample', "
                         "saed.trials(…), saed.time_blocks(…) or a dict")
    else:
        out.train_fraction = split


def _texts(values):
    """One text, or several; numbers as they are written."""
    if isinstance(values, (str, int, float)):
        values = [values]
    return [v if isinstance(v, str) else f"{v}" for v in values]
