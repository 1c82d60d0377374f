"""Plain arrays and tables of spikes and counts."""
import numpy as np

from field import Expect, case

TIMES = np.array([0.1, 0.25, 0.3, 0.5, 0.9, 1.4])
UNITS = np.array([3, 7, 3, 7, 7, 3])
SPIKES = {3: np.array([0.1, 0.3, 1.4]), 7: np.array([0.25, 0.5, 0.9])}
COUNTS = np.arange(12).reshape(4, 3)


def pair(folder, times=TIMES, units=UNITS, names=("spike_times", "spike_clusters")):
    for name, array in zip(names, (times, units)):
        np.save(folder / f"{name}.npy", array)
    return folder


@case
def seconds(folder):
    """Times of floats are seconds."""
    return Expect(path=pair(folder), spikes=SPIKES, no_warnings=True)


@case
def seconds_by_other_names(folder):
    """times.npy and units.npy are known names too."""
    return Expect(path=pair(folder, names=("times", "units")), spikes=SPIKES)


@case
def columns_of_one(folder):
    """[n, 1] arrays, as MATLAB has them."""
    return Expect(path=pair(folder, TIMES[:, None], UNITS[:, None].astype("u2")), spikes=SPIKES)


@case
def clusters_of_floats(folder):
    """Ids that are floats but whole are ids."""
    return Expect(path=pair(folder, TIMES, UNITS.astype(float)), spikes=SPIKES)


@case
def clusters_that_are_not_whole(folder):
    """Ids that are not whole are refused with the first one."""
    return Expect(path=pair(folder, TIMES, UNITS + 0.5),
                  refused=("spike_clusters.npy", "must be whole numbers"))


@case
def samples(folder):
    """Times of integers are samples at the rate that is given."""
    return Expect(path=pair(folder, (TIMES * 1000).round().astype("i8")), sampling_rate=1000,
                  spikes={k: (v * 1000).round() / 1000 for k, v in SPIKES.items()})


@case
def samples_without_a_rate(folder):
    """Integers without a rate are refused with the choices."""
    return Expect(path=pair(folder, (TIMES * 1000).round().astype("i8")),
                  refused=("sampling_rate", "time_unit"))


@case
def samples_of_floats(folder):
    """Floats can be said to be samples."""
    return Expect(path=pair(folder, (TIMES * 1000).round()), sampling_rate=1000, format="spikes",
                  options={"time_unit": "samples"},
                  spikes={k: (v * 1000).round() / 1000 for k, v in SPIKES.items()})


@case
def milliseconds(folder):
    """Times can be said to be milliseconds."""
    return Expect(path=pair(folder, (TIMES * 1000).round().astype("i8")), format="spikes",
                  options={"time_unit": "ms"},
                  spikes={k: (v * 1000).round() / 1000 for k, v in SPIKES.items()})


@case
def unknown_time_unit(folder):
    """An unknown unit of time is refused with those there are."""
    return Expect(path=pair(folder), format="spikes", options={"time_unit": "us"},
                  refused=("options.time_unit", "s, ms or samples"))


@case
def impossible_rate(folder):
    """A negative sampling rate is refused with the range."""
    return Expect(path=pair(folder, (TIMES * 1000).round().astype("i8")), sampling_rate=-30000,
                  refused=("sampling_rate", "from 1 to 10000000 Hz"))


@case
def lengths_that_differ(folder):
    """Arrays of two lengths are refused with both."""
    return Expect(path=pair(folder, TIMES, UNITS[:-1]),
                  refused=("spike_clusters.npy", "must be as many"))


@case
def times_of_two_dimensions(folder):
    """A matrix of times is refused with its shape."""
    return Expect(path=pair(folder, TIMES.reshape(2, 3)),
                  refused=("spike_times.npy", "[2, 3]"))


@case
def named_files(folder):
    """Arrays with names of their own are named by options."""
    return Expect(path=pair(folder, names=("when", "who")), format="spikes", spikes=SPIKES,
                  options={"times": "when.npy", "clusters": "who.npy"})


@case
def npz_of_spikes(folder):
    """Spikes in one .npz."""
    np.savez(folder / "spikes.npz", spike_times=TIMES, spike_clusters=UNITS)
    return Expect(path=folder / "spikes.npz", spikes=SPIKES)


@case
def compressed_npz_of_spikes(folder):
    """np.savez_compressed; the names of the arrays by options."""
    np.savez_compressed(folder / "spikes.npz", when=TIMES, who=UNITS.astype("u1"))
    return Expect(path=folder / "spikes.npz", format="spikes", spikes=SPIKES,
                  options={"times": "when", "clusters": "who"})


@case
def npz_with_unit_names(folder):
    """Ids that are words are numbered, and kept."""
    names = np.array(["c", "a", "c", "a", "a", "c"])
    np.savez(folder / "spikes.npz", times=TIMES, units=names)
    return Expect(path=folder / "spikes.npz", spikes={0: SPIKES[3], 1: SPIKES[7]},
                  columns={0: {"original_id": "c"}, 1: {"original_id": "a"}},
                  warnings=["original_id", "numbered from 0"])


@case
def npz_without_such_arrays(folder):
    """An .npz of other names is refused with what it has."""
    np.savez(folder / "spikes.npz", foo=TIMES, bar=UNITS)
    return Expect(path=folder / "spikes.npz", format="spikes",
                  refused=("options.times", "foo, bar"))


@case
def no_zip(folder):
    """What is called .npz and is none is refused in words."""
    (folder / "spikes.npz").write_bytes(b"spikes")
    return Expect(path=folder / "spikes.npz", format="spikes",
                  refused=("spikes.npz", "np.savez"))


@case
def truncated_npz(folder):
    """An .npz that was cut is refused."""
    np.savez(folder / "a.npz", spike_times=TIMES, spike_clusters=UNITS)
    (folder / "spikes.npz").write_bytes((folder / "a.npz").read_bytes()[:-40])
    return Expect(path=folder / "spikes.npz", format="spikes", refused=("spikes.npz", "np.savez"))


@case
def csv_of_spikes(folder):
    """A table with a column of units and one of times."""
    rows = "".join(f"{u},{t}\n" for u, t in zip(UNITS, TIMES))
    (folder / "spikes.csv").write_text("unit,time\n" + rows)
    return Expect(path=folder / "spikes.csv", spikes=SPIKES)


@case
def tsv_of_named_neurons(folder):
    """Tabs, other names, units that are words."""
    rows = "".join(f"{t}\tn{u}\t1\n" for u, t in zip(UNITS, TIMES))
    (folder / "session.tsv").write_text("timestamp\tneuron\tx\n" + rows)
    return Expect(path=folder / "session.tsv", spikes={0: SPIKES[3], 1: SPIKES[7]},
                  columns={0: {"original_id": "n3"}, 1: {"original_id": "n7"}})


@case
def csv_with_columns_named(folder):
    """Columns of other names are named by options."""
    rows = "".join(f"{u},{t}\n" for u, t in zip(UNITS, TIMES))
    (folder / "spikes.csv").write_text("who,when\n" + rows)
    return Expect(path=folder / "spikes.csv", format="spikes", spikes=SPIKES,
                  options={"units_column": "who", "times_column": "when"})


@case
def csv_with_an_empty_cell(folder):
    """A row without a time is dropped, and it is said."""
    rows = "".join(f"{u},{t}\n" for u, t in zip(UNITS, TIMES))
    (folder / "spikes.csv").write_text("unit,time\n" + rows + "3,\n")
    return Expect(path=folder / "spikes.csv", spikes=SPIKES, warnings=["spikes.csv", "1 row", "dropped"])


@case
def csv_with_a_word_for_a_time(folder):
    """A word in the column of times is refused with its line."""
    (folder / "spikes.csv").write_text("unit,time\n1,0.5\n1,soon\n")
    return Expect(path=folder / "spikes.csv", refused=("spikes.csv", "'soon' in line 3"))


@case
def csv_of_whole_times(folder):
    """Whole numbers without a rate are refused with the choices."""
    (folder / "spikes.csv").write_text("unit,time\n1,500\n1,900\n")
    return Expect(path=folder / "spikes.csv", refused=("sampling_rate", "time_unit"))


@case
def counts_npy(folder):
    """A matrix [bins, units]."""
    np.save(folder / "counts.npy", COUNTS)
    return Expect(path=folder / "counts.npy", bin_width=0.02, counts=COUNTS, no_warnings=True)


@case
def counts_fortran(folder):
    """A matrix in Fortran order, big-endian."""
    np.save(folder / "x.npy", np.asfortranarray(COUNTS.astype(">i4")))
    return Expect(path=folder / "x.npy", bin_width=0.02, counts=COUNTS)


@case
def counts_turned(folder):
    """A matrix [units, bins]."""
    np.save(folder / "counts.npy", COUNTS.T)
    return Expect(path=folder / "counts.npy", format="counts", bin_width=0.02, counts=COUNTS,
                  options={"transpose": "1"})


@case
def counts_real(folder):
    """Counts that are not whole."""
    np.save(folder / "counts.npy", COUNTS + 0.25)
    return Expect(path=folder / "counts.npy", bin_width=0.02, counts=COUNTS + 0.25)


@case
def counts_of_no_dimension(folder):
    """A single number is refused with its shape."""
    np.save(folder / "counts.npy", np.array(5))
    return Expect(path=folder / "counts.npy", bin_width=0.02,
                  refused=("counts.npy", "shape [], 0 dimensions; must be 2: [bins, units]"))


@case
def counts_of_one_dimension(folder):
    """A vector is refused with its shape."""
    np.save(folder / "counts.npy", np.arange(5))
    return Expect(path=folder / "counts.npy", bin_width=0.02,
                  refused=("counts.npy", "shape [5], 1 dimension; must be 2: [bins, units]"))


@case
def counts_of_three_dimensions(folder):
    """Trials are refused with their shape."""
    np.save(folder / "counts.npy", np.zeros((2, 3, 4)))
    return Expect(path=folder / "counts.npy", bin_width=0.02,
                  refused=("counts.npy", "shape [2, 3, 4], 3 dimensions; must be 2"))


@case
def counts_without_bins(folder):
    """A matrix without rows is refused with its shape."""
    np.save(folder / "counts.npy", np.zeros((0, 3)))
    return Expect(path=folder / "counts.npy", bin_width=0.02, refused=("counts.npy", "[0, 3]"))


@case
def counts_below_zero(folder):
    """A negative count is refused with its place."""
    counts = COUNTS.copy()
    counts[2, 1] = -1
    np.save(folder / "counts.npy", counts)
    return Expect(path=folder / "counts.npy", bin_width=0.02,
                  refused=("counts.npy", "-1 in bin 2, unit 1"))


@case
def counts_nan(folder):
    """A NaN is refused with its place."""
    counts = COUNTS.astype(float)
    counts[3, 0] = np.nan
    np.save(folder / "counts.npy", counts)
    return Expect(path=folder / "counts.npy", bin_width=0.02,
                  refused=("counts.npy", "nan in bin 3, unit 0"))


@case
def counts_of_objects(folder):
    """An array of objects is never unpickled."""
    np.save(folder / "counts.npy", np.array([[1, None]], object), allow_pickle=True)
    return Expect(path=folder / "counts.npy", bin_width=0.02, refused=("counts.npy", "pickle"))


@case
def counts_without_a_width(folder):
    """A matrix alone does not say how long its bins are."""
    np.save(folder / "counts.npy", COUNTS)
    return Expect(path=folder / "counts.npy", refused=("bin_width", "e.g. 0.02"))


@case
def counts_npz(folder):
    """The only matrix of an .npz, with the units' ids beside it."""
    np.savez(folder / "session.npz", data=COUNTS, unit_ids=np.array([4, 9, 2]), fs=np.array(50.0))
    return Expect(path=folder / "session.npz", format="counts", bin_width=0.02, counts=COUNTS,
                  labels={4: "", 9: "", 2: ""})


@case
def counts_npz_named(folder):
    """One of two matrices of an .npz, by name."""
    np.savez_compressed(folder / "session.npz", a=COUNTS * 0, b=COUNTS)
    return Expect(path=folder / "session.npz", format="counts", bin_width=0.02, counts=COUNTS,
                  options={"array": "b"})


@case
def counts_npz_with_two(folder):
    """Two matrices of an .npz are refused with the choices."""
    np.savez(folder / "session.npz", a=COUNTS, b=COUNTS)
    return Expect(path=folder / "session.npz", format="counts", bin_width=0.02,
                  refused=("options.array", "a [4, 3], b [4, 3]"))


@case
def counts_csv(folder):
    """A table with the units' names."""
    np.savetxt(folder / "counts.csv", COUNTS, "%d", ",", header="u1,u2,u3", comments="")
    return Expect(path=folder / "counts.csv", bin_width=0.02, counts=COUNTS,
                  columns={0: {"original_id": "u1"}, 2: {"original_id": "u3"}})


@case
def counts_csv_without_a_header(folder):
    """A table of numbers alone."""
    np.savetxt(folder / "counts.csv", COUNTS + 1, "%d", ",")
    return Expect(path=folder / "counts.csv", bin_width=0.02, counts=COUNTS + 1)


@case
def counts_of_pandas(folder):
    """df.to_csv() with its index."""
    rows = "".join(f"{i},{','.join(map(str, r))}\n" for i, r in enumerate(COUNTS))
    (folder / "counts.csv").write_text(",11,12,13\n" + rows)
    return Expect(path=folder / "counts.csv", bin_width=0.02, counts=COUNTS,
                  labels={11: "", 12: "", 13: ""})


@case
def counts_with_times(folder):
    """A column of times gives the width of the bins."""
    rows = "".join(f"{i / 50}\t{chr(9).join(map(str, r))}\n" for i, r in enumerate(COUNTS))
    (folder / "counts.tsv").write_text("time\t11\t12\t13\n" + rows)
    return Expect(path=folder / "counts.tsv", counts=COUNTS)


@case
def counts_with_times_and_another_width(folder):
    """A width that the times contradict is refused with theirs."""
    rows = "".join(f"{i / 50},{','.join(map(str, r))}\n" for i, r in enumerate(COUNTS))
    (folder / "counts.csv").write_text("time,11,12,13\n" + rows)
    return Expect(path=folder / "counts.csv", bin_width=0.05, refused=("bin_width", "0.02"))


@case
def counts_with_gaps(folder):
    """Bins that are not there are time that was not observed."""
    np.save(folder / "counts.npy", COUNTS)
    np.save(folder / "starts.npy", np.array([0, 0.5, 1.5, 2.0]))
    spread = np.zeros((5, 3))
    spread[[0, 1, 3, 4]] = COUNTS
    return Expect(path=folder, format="counts", options={"bin_starts": "starts.npy"},
                  counts=spread, observed=[(0, 1), (1.5, 2.5)], warnings=["1 bins", "unobserved"])


@case
def counts_that_start_late(folder):
    """Time before the first bin was not observed."""
    np.savez(folder / "counts.npz", counts=COUNTS, edges=1 + np.arange(5) / 4)
    return Expect(path=folder / "counts.npz", format="counts", options={"bin_starts": "edges"},
                  counts=np.vstack([np.zeros((4, 3)), COUNTS]), observed=[(1, 2)])


@case
def counts_that_jitter(folder):
    """Bins off the grid by more than a tenth are refused with the first."""
    np.save(folder / "counts.npy", COUNTS)
    np.save(folder / "starts.npy", np.array([0, 0.1, 0.23, 0.3]))
    return Expect(path=folder, format="counts", options={"bin_starts": "starts.npy"},
                  bin_width=0.1, refused=("counts.npy", "bin 2 starts at 0.23 s"))


@case
def unit_ids_beside_counts(folder):
    """unit_ids.npy, of words."""
    np.save(folder / "counts.npy", COUNTS)
    np.save(folder / "unit_ids.npy", np.array(["a", "ß", "c"]))
    return Expect(path=folder, format="counts", bin_width=0.02, counts=COUNTS,
                  columns={1: {"original_id": "ß"}})


@case
def ids_of_another_number(folder):
    """Ids that are not as many as the units are refused."""
    np.save(folder / "counts.npy", COUNTS)
    np.save(folder / "unit_ids.npy", np.array([1, 2]))
    return Expect(path=folder, format="counts", bin_width=0.02, refused=("unit_ids", "3 units"))
