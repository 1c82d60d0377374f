"""CellExplorer and buzcode sessions: MATLAB files of both kinds that share a base name."""
import numpy as np
import scipy.io

from field import Expect, case
from field.matlab import cell, column, save73

TRAINS = [np.array([0.5, 1.5, 2.25]), np.array([0.25]), np.array([1.0, 3.5])]


def spikes(**fields):
    return {"times": cell([column(t) for t in TRAINS]), "UID": np.array([[1.0, 2.0, 3.0]]),
            "shankID": np.array([[1.0, 1.0, 2.0]]), "cluID": np.array([[12.0, 17.0, 4.0]]), **fields}


def struct(entries):
    """An array of structs."""
    out = np.empty((1, len(entries)), dtype=[(k, object) for k in entries[0]])
    for i, entry in enumerate(entries):
        out[0, i] = tuple(entry.values())
    return out


def save(folder, kind, variable, value, base="rat01"):
    scipy.io.savemat(folder / f"{base}.{kind}.mat", {variable: value})
    return folder


def session(folder, **fields):
    return save(folder, "spikes.cellinfo", "spikes", spikes(**fields))


SPIKES = {i + 1: t for i, t in enumerate(TRAINS)}
EPOCHS = [{"name": "pre", "startTime": 0.0, "stopTime": 1.0},
          {"name": "maze", "startTime": 1.0, "stopTime": 3.0}]


@case
def spikes_alone(folder):
    """spikes.cellinfo.mat alone: trains, UID, and what it says of the units."""
    regions = cell(["CA1", "CA1", "CA3"])
    return Expect(format="cellexplorer", path=session(folder, region=regions), spikes=SPIKES, source="cellexplorer",
                  regions={1: "CA1", 3: "CA3"}, columns={3: {"shankID": "2", "cluID": "4"}})


@case
def spikes_of_version_7_3(folder):
    """The same in HDF5."""
    save73(folder / "rat01.spikes.cellinfo.mat", {"spikes": spikes(region=cell(["a", "b", "c"]))})
    return Expect(format="cellexplorer", path=folder, spikes=SPIKES, regions={2: "b"}, source="cellexplorer",
                  columns={2: {"cluID": "17"}})


@case
def uids_of_their_own(folder):
    """UIDs need not count from 1."""
    return Expect(format="cellexplorer", path=session(folder, UID=np.array([[40.0, 2.0, 31.0]])),
                  spikes={40: TRAINS[0], 2: TRAINS[1], 31: TRAINS[2]})


@case
def uids_that_come_twice(folder):
    """The units are numbered, the UIDs kept."""
    return Expect(format="cellexplorer", path=session(folder, UID=np.array([[1.0, 1.0, 2.0]])),
                  spikes={0: TRAINS[0], 1: TRAINS[1], 2: TRAINS[2]},
                  columns={1: {"original_id": "1"}}, warnings=["original_id"])


@case
def cell_metrics(folder):
    """Types, regions and labels of the cell metrics."""
    save(session(folder), "cell_metrics.cellinfo", "cell_metrics",
         {"UID": np.array([[1.0, 2.0, 3.0]]), "brainRegion": cell(["CA1", "CA2", "CA3"]),
          "putativeCellType": cell(["Pyramidal Cell", "Narrow Interneuron", "Pyramidal Cell"]),
          "labels": cell(["good", "good", "bad"]), "firingRate": np.array([[1.5, 2.5, 3.5]])})
    return Expect(path=folder, spikes=SPIKES, regions={1: "CA1", 2: "CA2"},
                  labels={2: "good", 3: "bad"},
                  columns={2: {"putativeCellType": "Narrow Interneuron", "firingRate": "2.5"}})


@case
def cell_metrics_of_other_units(folder):
    """Metrics whose UIDs are others are left out."""
    save(session(folder), "cell_metrics.cellinfo", "cell_metrics",
         {"UID": np.array([[1.0, 2.0]]), "brainRegion": cell(["CA1", "CA2"])})
    return Expect(path=folder, spikes=SPIKES, regions={1: ""},
                  warnings=["cell_metrics.cellinfo.mat"])


@case
def epochs_as_cells(folder):
    """session.epochs as CellExplorer has it, a cell of structs."""
    save(session(folder), "session", "session",
         {"general": {"duration": 4.0}, "epochs": cell(EPOCHS)})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"epochs": {"start_time": [0, 1], "stop_time": [1, 3],
                                     "name": ["pre", "maze"]}})


@case
def epochs_as_cells_of_version_7_3(folder):
    """The same in HDF5, beside spikes of version 5."""
    save73(session(folder) / "rat01.session.mat",
           {"session": {"epochs": cell([{k: v if isinstance(v, str) else np.array([[v]])
                                         for k, v in e.items()} for e in EPOCHS])}})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"epochs": {"start_time": [0, 1], "stop_time": [1, 3],
                                     "name": ["pre", "maze"]}})


@case
def epochs_as_an_array_of_structs(folder):
    """session.epochs as an array of structs."""
    save(session(folder), "session", "session", {"epochs": struct(EPOCHS)})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"epochs": {"start_time": [0, 1], "stop_time": [1, 3]}})


@case
def duration_before_the_last_spike(folder):
    """A duration that cannot be is left out; no spike is lost."""
    save(session(folder), "session", "session", {"general": {"duration": 2.0}})
    return Expect(path=folder, spikes=SPIKES, warnings=["session.general.duration", "3.5 s"])


@case
def events_and_manipulations(folder):
    """A table for each file of events, with what has a value for each of them."""
    save(session(folder), "ripples.events", "ripples",
         {"timestamps": np.array([[0.5, 0.6], [1.5, 1.7]]), "peaks": np.array([[0.55], [1.6]]),
          "amplitude": np.array([[3.0], [4.0]])})
    save(folder, "opto.manipulation", "opto", {"timestamps": np.array([[2.0, 2.5]])})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"ripples": {"start_time": [0.5, 1.5], "stop_time": [0.6, 1.7],
                                      "peaks": [0.55, 1.6], "amplitude": [3, 4]},
                          "opto": {"start_time": [2], "stop_time": [2.5]}})


@case
def events_that_are_points(folder):
    """Timestamps without stops."""
    save(session(folder), "pulses.events", "pulses", {"timestamps": column([0.5, 1.5, 2.5])})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"pulses": {"start_time": [0.5, 1.5, 2.5], "stop_time": [0.5, 1.5, 2.5]}})


@case
def damaged_rows_of_events(folder):
    """A row with NaN and one that stops before it starts are dropped, a column of another length."""
    save(session(folder), "ripples.events", "ripples",
         {"timestamps": np.array([[0.5, 0.6], [np.nan, 1.7], [2.0, 1.9], [2.5, 2.6]]),
          "peaks": column([0.55, 1.6])})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"ripples": {"start_time": [0.5, 2.5], "stop_time": [0.6, 2.6]}},
                  warnings=["ripples: 2 rows dropped", "ripples.peaks left out"])


@case
def damaged_events_file(folder):
    """A file that cannot be read is left out; the rest is read."""
    session(folder)
    (folder / "rat01.ripples.events.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(40))
    return Expect(path=folder, spikes=SPIKES, warnings=["rat01.ripples.events.mat"])


@case
def sleep_states(folder):
    """Intervals of each state as rows of one table, by their start."""
    save(session(folder), "SleepState.states", "SleepState",
         {"ints": {"WAKEstate": np.array([[0.0, 1.0], [2.0, 3.0]]),
                   "NREMstate": np.array([[1.0, 2.0]])}})
    return Expect(path=folder, spikes=SPIKES,
                  tables={"SleepState": {"start_time": [0, 1, 2], "stop_time": [1, 2, 3],
                                         "state": ["WAKEstate", "NREMstate", "WAKEstate"]}})


@case
def unit_without_spikes(folder):
    """An empty cell is a unit without spikes."""
    times = cell([column(TRAINS[0]), np.zeros((0, 0)), column(TRAINS[2])])
    return Expect(format="cellexplorer", path=session(folder, times=times),
                  spikes={1: TRAINS[0], 2: np.array([]), 3: TRAINS[2]})


@case
def damaged_spikes(folder):
    """NaN and negative times are dropped, unsorted ones sorted."""
    times = cell([column([2.0, 1.0]), column([np.nan, 0.5]), column([-1.0, 3.5])])
    return Expect(format="cellexplorer", path=session(folder, times=times), spikes={1: [1, 2], 2: [0.5], 3: [3.5]},
                  warnings=["sorted", "dropped"])


@case
def two_sessions(folder):
    """Two base names are refused with both."""
    save(session(folder), "spikes.cellinfo", "spikes", spikes(), base="rat02")
    return Expect(path=folder, refused=("options.session", "'rat01', 'rat02'"))


@case
def one_of_two_sessions(folder):
    """The one that is named, with its own events."""
    save(session(folder), "spikes.cellinfo", "spikes",
         spikes(UID=np.array([[7.0, 8.0, 9.0]])), base="rat02")
    save(folder, "ripples.events", "ripples", {"timestamps": np.array([[0.5, 0.6]])})
    save(folder, "ripples.events", "ripples", {"timestamps": np.array([[2.5, 2.6]])}, base="rat02")
    return Expect(path=folder, format="cellexplorer", options={"session": "rat02"},
                  spikes={7: TRAINS[0], 8: TRAINS[1], 9: TRAINS[2]},
                  tables={"ripples": {"start_time": [2.5], "stop_time": [2.6]}})


@case
def times_in_no_cell(folder):
    """spikes.times that are one matrix are refused with what would be right."""
    return Expect(format="cellexplorer", path=session(folder, times=np.ones((3, 4))),
                  refused=("spikes.cellinfo.mat", "a vector of seconds for each unit"))
