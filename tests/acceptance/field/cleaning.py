"""One bad row is a warning: what is wrong is mended and said, what is unlikely is said."""
import h5py
import numpy as np
from field import Expect, case

TEXT = h5py.string_dtype()


def plain(folder, trains, order=None):
    """Arrays of spike times in seconds; the spikes of all units by time, or in the given order."""
    units = np.concatenate([np.full(len(t), unit) for unit, t in trains.items()]).astype(np.int64)
    times = np.concatenate([np.asarray(t, float) for t in trains.values()])
    if order is None:
        order = np.argsort(times, kind="stable")
    np.save(folder / "spike_times.npy", times[order])
    np.save(folder / "spike_clusters.npy", units[order])
    return folder


def as_given(folder, trains):
    return plain(folder, trains, slice(None))


def nwb(path, trains):
    """A file with a Units table; the caller closes it."""
    file = h5py.File(path, "w")
    file.attrs["nwb_version"] = "2.6.0"
    units = file.create_group("units")
    units.attrs["neurodata_type"] = "Units"
    units.attrs.create("colnames", ["spike_times"], dtype=TEXT)
    units["id"] = np.array(list(trains), dtype=np.int64)
    units["spike_times"] = np.concatenate([np.asarray(t, float) for t in trains.values()])
    units["spike_times_index"] = np.cumsum([len(t) for t in trains.values()]).astype(np.uint32)
    return file


def steady(start, stop, rate=10):
    """Spikes at `rate` Hz, exact multiples from `start` on."""
    return start + np.arange(int(round((stop - start) * rate))) / rate


def trials(folder, rows, name="trials"):
    path = folder / f"{name}.csv"
    path.write_text("start_time,stop_time\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


# Spikes


@case
def two_swapped_spikes(folder):
    """Two swapped spikes are sorted, and it is said which."""
    as_given(folder, {3: [0.1, 0.3, 0.2, 0.4], 7: [0.15, 0.25]})
    return Expect(folder, format="spikes", spikes={3: [0.1, 0.2, 0.3, 0.4], 7: [0.15, 0.25]},
                  warnings=["spike_times: 1 spike in 1 unit out of order and sorted",
                            "spike 3 of unit 3 at 0.2 s"])


@case
def spikes_grouped_by_unit(folder):
    """Spikes unit after unit are no fault: each train ascends."""
    as_given(folder, {3: [0.1, 0.4], 7: [0.05, 0.25]})
    return Expect(folder, format="spikes", spikes={3: [0.1, 0.4], 7: [0.05, 0.25]},
                  no_warnings=True)


@case
def backward_train(folder):
    """A train that descends is sorted; all but its first spike are out of order."""
    as_given(folder, {1: [5, 4, 3, 2, 1], 2: [1, 2, 3, 4, 5]})
    return Expect(folder, format="spikes", spikes={1: [1, 2, 3, 4, 5], 2: [1, 2, 3, 4, 5]},
                  warnings=["4 spikes in 1 unit out of order"])


@case
def strict_unsorted(folder):
    """With --strict the same is refused, naming the same."""
    as_given(folder, {3: [0.1, 0.3, 0.2, 0.4]})
    return Expect(folder, format="spikes", strict=True,
                  refused=("spike_times", "spike 3 of unit 3 at 0.2 s"))


@case
def negative_seconds(folder):
    """Spikes before 0 are dropped and counted."""
    as_given(folder, {3: [-0.2, -0.1, 0.0, 0.5], 4: [-1.0, 0.7]})
    return Expect(folder, format="spikes", spikes={3: [0.0, 0.5], 4: [0.7]},
                  warnings=["spike_times: 3 spikes in 2 units dropped",
                            "spike 1 of unit 3 at -0.2 s, before the recording's start"])


@case
def nan_padding(folder):
    """NaN at the end of a train is padding."""
    as_given(folder, {3: [0.1, 0.2, np.nan, np.nan], 4: [0.3, 0.4]})
    return Expect(folder, format="spikes", spikes={3: [0.1, 0.2], 4: [0.3, 0.4]},
                  warnings=["2 spikes in 1 unit dropped", "spike 3 of unit 3 at nan"])


@case
def infinite_spikes(folder):
    """Infinite times are dropped and do not lengthen the recording."""
    as_given(folder, {3: [0.1, np.inf, 0.2], 4: [-np.inf, 0.4]})
    return Expect(folder, format="spikes", spikes={3: [0.1, 0.2], 4: [0.4]},
                  warnings=["2 spikes in 2 units dropped, the first is spike 2 of unit 3 at inf"])


@case
def nan_in_nwb(folder):
    """NaN-padded, unsorted spikes of an NWB file."""
    nwb(folder / "a.nwb", {0: [0.5, 0.25, np.nan], 1: [0.1, 0.2, 0.3]}).close()
    return Expect(folder / "a.nwb", spikes={0: [0.25, 0.5], 1: [0.1, 0.2, 0.3]},
                  warnings=["spike_times", "out of order", "NaN"])


@case
def negative_and_unsorted(folder):
    """Two faults in one train are two lines."""
    as_given(folder, {9: [0.4, 0.2, -1, 0.3]})
    return Expect(folder, format="spikes", spikes={9: [0.2, 0.3, 0.4]},
                  warnings=["1 spike in 1 unit dropped", "2 spikes in 1 unit out of order"])


@case
def few_duplicates(folder):
    """The same time twice in a train stays; one in a hundred is not worth a word."""
    train = np.concatenate([steady(0, 20), [19.9]])
    plain(folder, {1: train})
    return Expect(folder, format="spikes", spikes={1: np.sort(train)}, no_warnings=True)


@case
def many_duplicates(folder):
    """More than 1 % of such spikes are said, and kept."""
    train = np.repeat(steady(0, 10), 2)
    plain(folder, {1: train})
    return Expect(folder, format="spikes", spikes={1: train},
                  warnings=["100 spikes in 1 unit at the time of another of the same unit, 50.0 %"])


@case
def all_spikes_of_a_unit_dropped(folder):
    """A unit of which nothing is left stays, without spikes."""
    as_given(folder, {1: [-3, np.nan], 2: [0.5, 0.75]})
    return Expect(folder, format="spikes", spikes={1: [], 2: [0.5, 0.75]},
                  warnings=["2 spikes in 1 unit dropped", "1 of 2 fire less than once in 1000 s"])


# Tables and series


@case
def two_tables_of_one_name(folder):
    """The table of a file and one given with it have one name: both are there."""
    file = nwb(folder / "a.nwb", {0: [0.5, 0.75, 2.5], 1: [0.25, 2.75]})
    group = file.create_group("intervals/trials")
    group.attrs["neurodata_type"] = "TimeIntervals"
    group.attrs.create("colnames", ["start_time", "stop_time"], dtype=TEXT)
    group["id"] = np.arange(2)
    group["start_time"], group["stop_time"] = np.array([0.0, 1.0]), np.array([1.0, 2.5])
    file.close()
    return Expect(folder / "a.nwb", intervals={"trials": trials(folder, [(0, 3)])},
                  tables={"trials": {"stop_time": [1.0, 2.5]}, "trials_2": {"stop_time": [3.0]}},
                  warnings=["is the name of two tables; the later one is called trials_2"])


@case
def series_with_a_backward_time(folder):
    """One sample whose time goes back is dropped."""
    plain(folder, {1: steady(0, 3)})
    path = folder / "x.csv"
    path.write_text("timestamps,x\n0,1\n1,2\n0.5,3\n2,4\n3,5\n")
    return Expect(folder, format="spikes", series_files={"x": path},
                  series={"x": ([0, 1, 2, 3], [1, 2, 4, 5])}, warnings=["x"])


@case
def table_long_after_the_spikes(folder):
    """A table in milliseconds neither lengthens the recording nor is changed."""
    plain(folder, {1: steady(0, 20)})
    path = trials(folder, [(0, 900), (1000, 1900), (18000, 19900)])
    return Expect(folder, format="spikes", intervals={"trials": path},
                  tables={"trials": {"stop_time": [900, 1900, 19900]}},
                  warnings=["trials: ends at 19900 s, long after the spikes, which end at 19.9 s"])


@case
def table_a_little_after_the_spikes(folder):
    """A last trial that ends after the last spike is nothing to say."""
    plain(folder, {1: steady(0, 20)})
    return Expect(folder, format="spikes", intervals={"trials": trials(folder, [(0, 10), (10, 21)])},
                  no_warnings=True)


@case
def table_long_before_the_spikes(folder):
    """Spikes in milliseconds beside trials in seconds: both ends are named."""
    plain(folder, {1: steady(0, 20) * 1000})
    return Expect(folder, format="spikes", intervals={"trials": trials(folder, [(0, 10), (10, 20)])},
                  warnings=["trials: ends at 20 s", "the spikes, which end at 19900 s"])


@case
def rows_all_outside(folder):
    """A table whose rows all lie outside the recording is said."""
    plain(folder, {1: steady(0, 20)})
    return Expect(folder, format="spikes",
                  intervals={"trials": trials(folder, [(25, 26), (27, 28)]),
                             "blocks": trials(folder, [(0, 20)], "blocks"),
                             "before": trials(folder, [(-5, -4), (-2, -1)], "before")},
                  warnings=["before: has 2 rows, and all lie outside the recording"])


@case
def strict_takes_what_is_only_unlikely(folder):
    """--strict refuses what had to be mended, not what is only unlikely."""
    plain(folder, {1: steady(0, 20)})
    return Expect(folder, format="spikes", strict=True,
                  intervals={"trials": trials(folder, [(0, 900), (1000, 19900)])},
                  warnings=["long after the spikes"])


# Plausibility


@case
def more_than_a_week(folder):
    """A recording of ten days is taken, and said."""
    plain(folder, {1: np.arange(8640) * 100.0})
    return Expect(folder, format="spikes", spikes={1: np.arange(8640) * 100.0},
                  warnings=["recording: lasts 863900 s, which is 10.0 days"])


@case
def very_fast_unit(folder):
    """A unit at 2 kHz is said with its rate."""
    plain(folder, {4: steady(0, 1, 2000), 5: steady(0, 1)})
    return Expect(folder, format="spikes",
                  warnings=["1 of 2 fire more than 1000 times a second", "unit 4 with 2e+03 Hz"])


@case
def very_slow_unit(folder):
    """A unit with one spike in 3000 s is said with its rate."""
    plain(folder, {4: steady(0, 3000), 5: [1500.0]})
    return Expect(folder, format="spikes",
                  warnings=["1 of 2 fire less than once in 1000 s", "unit 5 with 0.000333 Hz"])


@case
def counts_in_wide_bins(folder):
    """Bins of 20 s are taken, and said."""
    counts = np.ones((50, 3), np.uint8)
    np.save(folder / "counts.npy", counts)
    return Expect(folder / "counts.npy", format="counts", bin_width=20, counts=counts,
                  warnings=["bin_width: is 20 s; are they milliseconds"])


@case
def long_common_silence(folder):
    """All units are silent for 300 s in the middle."""
    plain(folder, {1: np.concatenate([steady(0, 100), steady(400, 500)]),
                   2: np.concatenate([steady(0, 50), steady(420, 500)])})
    return Expect(folder, format="spikes",
                  warnings=["units: all are silent from 99.9 to 400 s", "would leave it out"])


@case
def silence_that_a_table_leaves_out(folder):
    """The mask that would leave the silence out is named."""
    plain(folder, {1: np.concatenate([steady(0, 100), steady(400, 500)])})
    return Expect(folder, format="spikes",
                  intervals={"epochs": trials(folder, [(0, 100), (400, 500)], "epochs"),
                             "all": trials(folder, [(0, 500)], "all")},
                  warnings=["all are silent from 99.9 to 400 s",
                            "saectl train --mask 'epochs' would leave it out"])


@case
def silence_at_the_start(folder):
    """Spikes of a clock that began long before."""
    plain(folder, {1: steady(5000, 5100)})
    return Expect(folder, format="spikes",
                  warnings=["all are silent from 0 to 5000 s",
                            "saectl train --start 5000 would leave it out"])


@case
def several_silences(folder):
    """Of several silences the number, the longest and all together are said."""
    plain(folder, {1: np.concatenate([steady(0, 100), steady(300, 400), steady(900, 1000)])})
    return Expect(folder, format="spikes",
                  warnings=["all are silent 2 times, 700.2 s in all, the longest from 399.9 to 900"])


@case
def silence_of_counts(folder):
    """Bins without a count for long are a silence, too."""
    counts = np.ones((1000, 2), np.uint8)
    counts[300:700] = 0
    np.save(folder / "counts.npy", counts)
    return Expect(folder / "counts.npy", format="counts", bin_width=0.1, counts=counts,
                  warnings=["all are silent from 30 to 70 s"])


@case
def nothing_unusual(folder):
    """A recording with nothing wrong and nothing unlikely has no warning."""
    rng = np.random.default_rng(1)
    trains = {n: np.sort(rng.uniform(0, 100, 300)) for n in range(4)}
    plain(folder, trains)
    return Expect(folder, format="spikes", spikes=trains,
                  intervals={"trials": trials(folder, [(i, i + 0.5) for i in range(100)])},
                  no_warnings=True)
