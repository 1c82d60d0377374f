"""Tables that lie beside the data, units without spikes, and folders that are no single recording."""

import numpy as np

from . import Expect, case


def spikes(folder):
    folder.mkdir(exist_ok=True)
    np.save(folder / "spike_times.npy", np.array([0.5, 1.25, 9.5]))
    np.save(folder / "spike_clusters.npy", np.array([3, 5, 3]))
    return folder


TIMES = {3: np.array([0.5, 9.5]), 5: np.array([1.25])}


@case
def tables_in_the_folder(folder):
    """units.csv, trials.csv, intervals/ and series/ are taken by their names."""
    spikes(folder)
    (folder / "units.csv").write_text("id,region,snr\n5,V1,2.5\n3,CA1,1\n")
    (folder / "trials.csv").write_text("start_time,stop_time\n0,4\n4,9\n")
    (folder / "intervals").mkdir()
    (folder / "intervals" / "laps.tsv").write_text("start_time\tstop_time\n1\t2\n")
    (folder / "series").mkdir()
    (folder / "series" / "speed.csv").write_text("time,v\n0,1\n1,2.5\n")
    return Expect(path=folder, spikes=TIMES, regions={3: "CA1", 5: "V1"},
                  columns={5: {"snr": "2.5"}}, source="spikes",
                  tables={"trials": {"stop_time": [4, 9]}, "laps": {"start_time": [1]}},
                  series={"speed": ([0, 1], [[1], [2.5]])}, no_warnings=True)


@case
def what_is_given_counts(folder):
    """A table that was given is taken instead of the one that lies there, which is said."""
    spikes(folder / "data")
    (folder / "data" / "trials.csv").write_text("start_time,stop_time\n0,4\n4,9\n")
    (folder / "other.csv").write_text("start_time,stop_time\n1,2\n")
    return Expect(path=folder / "data", intervals={"trials": folder / "other.csv"},
                  tables={"trials": {"stop_time": [2]}}, warnings=["another was given instead"])


@case
def a_table_that_makes_no_sense(folder):
    """One beside the data that is no table is left out with its reason."""
    spikes(folder)
    (folder / "trials.csv").write_text("a,b\n1,2\n")
    return Expect(path=folder, spikes=TIMES, tables={}, warnings=["trials.csv: left out"])


@case
def another_table_is_named(folder):
    """One of another name is named, and how it would be taken."""
    spikes(folder)
    (folder / "events.csv").write_text("start_time,stop_time\n1,2\n")
    return Expect(path=folder, spikes=TIMES, warnings=["events.csv: lies beside the data"])


@case
def silent_units(folder):
    """Ids of the table that have no spikes are silent units, also when strict."""
    spikes(folder / "data")
    (folder / "units.csv").write_text("unit_id,region\n3,CA1\n4,CA3\n5,V1\n")
    return Expect(path=folder / "data", units_file=folder / "units.csv", strict=True,
                  spikes={**TIMES, 4: np.array([])}, regions={4: "CA3"},
                  warnings=["1 of its units have no spikes and are taken as silent"])


@case
def units_of_another_recording(folder):
    """A table that names none of the units is refused."""
    spikes(folder / "data")
    (folder / "units.csv").write_text("unit_id,region\n901,CA1\n902,CA3\n")
    return Expect(path=folder / "data", units_file=folder / "units.csv",
                  refused=("units.csv", "Is it another recording's?"))


@case
def two_sessions(folder):
    """A folder of two recordings says which."""
    for name in ("monday", "tuesday"):
        spikes(folder / name)
        (folder / name / "trials.csv").write_text("start_time,stop_time\n0,4\n4,9\n")
    return Expect(path=folder, refused=("", "monday (spikes), tuesday (spikes); name one"))


@case
def a_folder_too_high(folder):
    """A folder whose only folder is the recording says so."""
    spikes(folder / "session")
    (folder / "README.md").write_text("see session/")
    return Expect(path=folder, refused=("", "session (spikes); name it"))


@case
def half_a_pair(folder):
    """spike_times.npy alone says what is missing."""
    np.save(folder / "spike_times.npy", np.array([0.5, 1.25]))
    return Expect(path=folder / "spike_times.npy", refused=("", "holds no spike_clusters.npy"))


@case
def no_bin_width(folder):
    """Counts without the width of their bins: it is needed, and why."""
    np.save(folder / "counts.npy", np.ones((10, 3), np.uint8))
    return Expect(path=folder, refused=("bin_width", "is not given"))
