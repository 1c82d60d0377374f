"""What would be wrong in silence: never observed, two meanings, digits that are lost."""
import h5py
import numpy as np
from field import Expect, case
from field.cleaning import nwb, steady
from field.observed import observe

TEXT = h5py.string_dtype()
TIMES = np.array([0.5, 1.25, 2.0, 3.5])


def kilosort(folder, times=(15_000, 37_500, 60_000), clusters=(3, 3, 8)):
    folder.mkdir(exist_ok=True)
    np.save(folder / "spike_times.npy", np.array(times))
    np.save(folder / "spike_clusters.npy", np.array(clusters))
    (folder / "params.py").write_text("sample_rate = 30000.0\n")


def trains(rate=30_000.0):
    return {3: np.array([15_000, 37_500]) / rate, 8: np.array([60_000]) / rate}


@case
def a_unit_never_observed(folder):
    """A unit without a row in obs_intervals is said to be never observed, not all the time."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        observe(file, [[(0, 10)], []])
    return Expect(folder / "a.nwb", spikes={0: train, 1: train + 0.05},
                  warnings=["1 unit was never observed", "unit 1", "unit_ids"])


@case
def no_interval_of_any_unit(folder):
    """obs_intervals without any interval say nothing and are left out."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        observe(file, [[], []])
    return Expect(folder / "a.nwb", observed=[], warnings=["obs_intervals", "no interval of any unit"])


@case
def one_late_sample(folder):
    """One sample far too late costs only itself."""
    with nwb(folder / "a.nwb", {0: steady(0, 10)}) as file:
        series = file.create_group("acquisition/x")
        series.attrs["neurodata_type"] = "TimeSeries"
        series["timestamps"] = np.array([0, 900, 0.1, 0.2, 0.3])
        series["data"] = np.array([0.0, 9, 1, 2, 3])
    return Expect(folder / "a.nwb", series={"x": ([0, 0.1, 0.2, 0.3], [[0], [1], [2], [3]])},
                  warnings=["acquisition/x", "1 sample dropped", "sample 2 at 900 s"])


@case
def annotated_events(folder):
    """The lists of times of ndx-events' AnnotatedEventsTable are rows."""
    with nwb(folder / "a.nwb", {0: steady(0, 10)}) as file:
        table = file.create_group("processing/events/annotated")
        table.attrs["neurodata_type"] = "AnnotatedEventsTable"
        table.attrs.create("colnames", ["event_times", "label"], dtype=TEXT)
        table["id"] = np.arange(3)
        table["event_times"] = np.array([1.0, 5.0, 2.0])
        table["event_times_index"] = np.array([2, 2, 3], np.uint8)
        table.create_dataset("label", data=["reward", "airpuff", "lick"], dtype=TEXT)
    return Expect(folder / "a.nwb", tables={"annotated": {"start_time": [1, 5, 2], "stop_time": [1, 5, 2],
                                                          "label": ["reward", "reward", "lick"]}})


@case
def open_intervals(folder):
    """All intervals of an IntervalSeries that are never closed last to the end."""
    with nwb(folder / "a.nwb", {0: steady(0, 10)}) as file:
        series = file.create_group("processing/states/states")
        series.attrs["neurodata_type"] = "IntervalSeries"
        series["timestamps"] = np.array([1.0, 2.0, 3.0])
        series["data"] = np.array([1, 2, -2], np.int8)
    return Expect(folder / "a.nwb", tables={"states": {"start_time": [1, 2], "kind": [1, 2]}},
                  warnings=["states", "1 row without a stop"])


@case
def ids_beyond_a_double(folder):
    """Cluster ids that a double cannot tell apart are refused."""
    kilosort(folder, clusters=(2**53, 2**53 + 1, 8))
    return Expect(folder, refused=("spike_clusters.npy", "below 2^53"))


@case
def ids_of_text_beyond_a_double(folder):
    """Ids of a text file keep all their digits."""
    (folder / "spikes.csv").write_text("unit,time\n9007199254740993,0.5\n9007199254740992,1.25\n")
    return Expect(folder / "spikes.csv", spikes={2**53 + 1: [0.5], 2**53: [1.25]})


@case
def a_rate_in_a_docstring(folder):
    """A sample rate in a docstring is no assignment."""
    kilosort(folder)
    (folder / "params.py").write_text('sample_rate = 30000.  # Hz\n"""\nFormerly:\nsample_rate = 25000.\n"""\n')
    return Expect(folder, spikes=trains())


@case
def tables_that_contradict(folder):
    """Two tables of clusters that differ about a column: the first counts, and it is said."""
    kilosort(folder)
    (folder / "cluster_a.tsv").write_text("cluster_id\tamp\n3\t1.5\n8\t2\n")
    (folder / "cluster_b.tsv").write_text("cluster_id\tamp\n3\t1.5\n8\t9\n")
    return Expect(folder, columns={3: {"amp": "1.5"}, 8: {"amp": "2"}},
                  warnings=["cluster_b.tsv", "'amp'", "'9' of unit 8"])


@case
def a_second_sorting(folder):
    """A sorting below the one that is read is said."""
    kilosort(folder)
    kilosort(folder / "kilosort2", clusters=(1, 1, 1))
    return Expect(folder, spikes=trains(), warnings=["kilosort2/", "left out", "the option folder"])


@case
def counts_beyond_a_float(folder):
    """Counts that a float rounds are said."""
    np.save(folder / "counts.npy", np.array([[2**24 + 1, 1], [2, 3]]))
    return Expect(folder / "counts.npy", bin_width=0.1, counts=np.array([[2**24, 1], [2, 3]]),
                  warnings=["counts.npy", "1 count above 2^24 rounded", "16777217"])


@case
def counts_beyond_a_float_strict(folder):
    """With strict they are refused."""
    np.save(folder / "counts.npy", np.array([[2**24 + 1, 1], [2, 3]]))
    return Expect(folder / "counts.npy", bin_width=0.1, strict=True,
                  refused=("counts.npy", "rounded"))


@case
def numbers_beyond_a_double(folder):
    """Whole numbers of a table that a double rounds are said, and 1e400 is missing."""
    kilosort(folder)
    (folder / "trials.csv").write_text(
        "start_time,stop_time,serial,rt\n0,1,9007199254740993,0.5\n1,2,7,1e400\n2,3,8,0.25\n")
    return Expect(folder, spikes=trains(), intervals={"trials": folder / "trials.csv"},
                  warnings=["trials", "1 whole number above 2^53 rounded", "1 number too large",
                            "'1e400'"],
                  tables={"trials": {"start_time": [0, 1, 2], "stop_time": [1, 2, 3],
                                     "serial": [9007199254740992, 7, 8],
                                     "rt": [0.5, None, 0.25]}})


@case
def middles_of_bins(folder):
    """Times half a bin off are the bins' middles, as pynapple's count() gives them."""
    rows = "".join(f"{0.05 + 0.1 * i:.2f},{i},{i + 1}\n" for i in range(5))
    (folder / "counts.csv").write_text("time,u1,u2\n" + rows)
    return Expect(folder / "counts.csv", counts=np.column_stack([np.arange(5), np.arange(1, 6)]),
                  warnings=["counts.csv", "middles", "bin_times"])


@case
def middles_that_are_starts(folder):
    """The option bin_times says that times are starts."""
    (folder / "counts.csv").write_text("time,u1,u2\n0.1,1,2\n0.2,3,4\n")
    return Expect(folder / "counts.csv", options={"bin_times": "starts"},
                  counts=np.array([[0, 0], [1, 2], [3, 4]]), observed=[(0.1, 0.30000000000000004)])


@case
def a_series_alone(folder):
    """A table of positions is neither spikes nor counts: what was seen and what is needed is said."""
    (folder / "position.csv").write_text("time,x,y\n0,0.5,1\n0.1,0.25,1\n")
    return Expect(folder / "position.csv", refused=("format", "with the columns time, x, y"))


@case
def one_column_of_spikes(folder):
    """One column that is called after spikes is the train of one unit."""
    (folder / "session.csv").write_text("spike_times\n" + "".join(f"{t}\n" for t in TIMES))
    return Expect(folder / "session.csv", spikes={0: TIMES}, warnings=["times of one unit"])


@case
def spikes_of_a_spreadsheet(folder):
    """Semicolons, decimal commas, quotes, comments and CR-only lines, as in all tables."""
    rows = "".join(f'"7";{str(t).replace(".", ",")}\r' for t in TIMES)
    (folder / "spikes.csv").write_bytes(("# lab\runit;time\r" + rows).encode())
    return Expect(folder / "spikes.csv", spikes={7: TIMES})


@case
def spikes_in_utf16(folder):
    """A file in UTF-16, as spreadsheets save one."""
    (folder / "spikes.csv").write_text("unit\ttime\n" + "".join(f"7\t{t}\n" for t in TIMES),
                                       encoding="utf-16")
    return Expect(folder / "spikes.csv", spikes={7: TIMES})


@case
def a_row_of_counts_too_short(folder):
    """A row of counts with a cell too few is refused, as all behind it would move."""
    (folder / "counts.csv").write_text("u1,u2\n1,2\n3\n4,5\n")
    return Expect(folder / "counts.csv", bin_width=0.1, refused=("counts.csv", "line 3"))
