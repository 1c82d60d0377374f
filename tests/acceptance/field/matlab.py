"""MATLAB files of both kinds: version 5 by SciPy, 7.3 by h5py with MATLAB's header and attributes."""
import h5py
import numpy as np
import scipy.io
import scipy.sparse

from field import Expect, case

TRAINS = [np.array([0.5, 1.5, 2.25]), np.array([0.25]), np.array([1.0, 3.5])]
SPIKES = {i + 1: t for i, t in enumerate(TRAINS)}


def cell(items):
    out = np.empty((1, len(items)), dtype=object)
    for i, item in enumerate(items):
        out[0, i] = item
    return out


def column(values, dtype=float):
    return np.asarray(values, dtype).reshape(-1, 1)


def trains(dtype=float, scale=1):
    return cell([column(t * scale, dtype) for t in TRAINS])


CLASSES = {"f8": b"double", "f4": b"single", "i4": b"int32", "i8": b"int64", "u4": b"uint32",
           "u1": b"uint8", "u2": b"uint16", "u8": b"uint64"}


def save73(path, variables):
    """What MATLAB -v7.3 writes: transposed arrays, cells as references, strings as uint16."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def put(parent, name, value):
            if isinstance(value, dict):
                group = parent.create_group(name)
                group.attrs["MATLAB_class"] = np.bytes_("struct")
                for field, inner in value.items():
                    put(group, field, inner)
                return group
            if isinstance(value, str):
                data = parent.create_dataset(name, data=np.frombuffer(
                    value.encode("utf-16-le"), "u2").reshape(-1, 1))
                data.attrs["MATLAB_class"] = np.bytes_("char")
                data.attrs["MATLAB_int_decode"] = np.int32(2)
                return data
            if value.dtype == object:
                inner = [put(refs, f"{len(refs)}_{i}", v).ref for i, v in enumerate(value.ravel("F"))]
                data = parent.create_dataset(name, (value.shape[1], value.shape[0]), h5py.ref_dtype)
                data[...] = np.array(inner, h5py.ref_dtype).reshape(data.shape)
                data.attrs["MATLAB_class"] = np.bytes_("cell")
                return data
            if value.size == 0:
                data = parent.create_dataset(name, data=np.array(value.shape, "u8"))
                data.attrs["MATLAB_empty"] = np.uint8(1)
            else:
                data = parent.create_dataset(name, data=value.T)
            data.attrs["MATLAB_class"] = np.bytes_(CLASSES[value.dtype.str[1:]])
            return data

        for name, value in variables.items():
            put(file, name, value)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def save5(path, variables):
    scipy.io.savemat(path, variables)


def save5_compressed(path, variables):
    scipy.io.savemat(path, variables, do_compression=True)


def explorer(save, folder):
    path = folder / "rat.spikes.cellinfo.mat"
    save(path, {"spikes": {"times": trains(), "UID": np.array([[4.0, 5.0, 9.0]]),
                           "region": cell(["CA1", "CA3", "CA1"]), "shankID": np.array([[1.0, 1.0, 2.0]]),
                           "basename": "rat"}})
    return Expect(path=path, spikes=dict(zip([4, 5, 9], TRAINS)), regions={4: "CA1", 5: "CA3"},
                  columns={9: {"shankID": "2"}}, source="matlab", no_warnings=True)


@case
def cell_explorer(folder):
    """CellExplorer's spikes are known by themselves."""
    return explorer(save5, folder)


@case
def cell_explorer_compressed(folder):
    """The same, compressed."""
    return explorer(save5_compressed, folder)


@case
def cell_explorer_73(folder):
    """The same as version 7.3."""
    return explorer(save73, folder)


@case
def session_folder(folder):
    """Of a session's folder the file with the spikes is read, if it is to be one MATLAB file."""
    save5(folder / "rat.session.mat", {"session": {"name": "rat"}})
    expect = explorer(save5, folder)
    expect.path, expect.format = folder, "matlab"
    return expect


@case
def struct_array(folder):
    """An array of structs gives the field of each."""
    data = np.empty((1, 3), dtype=[("times", "O"), ("name", "O")])
    for i, t in enumerate(TRAINS):
        data[0, i] = (column(t), f"n{i}")
    save5(folder / "a.mat", {"cells": data})
    return Expect(path=folder / "a.mat", options={"spike_times": "cells.times"}, spikes=SPIKES)


@case
def only_cell_array(folder):
    """The only cell array of vectors is taken, and it is said."""
    save5(folder / "a.mat", {"st": trains(), "x": np.ones((4, 4))})
    return Expect(path=folder / "a.mat", spikes=SPIKES, warnings=["st: is the only cell array"])


@case
def only_cell_array_73(folder):
    """The same as version 7.3, with an empty unit."""
    save73(folder / "a.mat", {"st": cell([column(TRAINS[0]), np.zeros((0, 0)), column(TRAINS[2])]),
                              "x": np.ones((4, 4))})
    return Expect(path=folder / "a.mat", spikes={1: TRAINS[0], 2: np.array([]), 3: TRAINS[2]},
                  warnings=["st: is the only cell array"])


@case
def two_cell_arrays_are_listed(folder):
    """Where two could be meant, the variables are listed."""
    save5(folder / "a.mat", {"a": trains(), "b": trains(), "m": np.ones((2, 5))})
    return Expect(path=folder / "a.mat", refused=("options.spike_times", "m (double 2x5)"))


@case
def nothing_fits_73(folder):
    """Where nothing fits, the variables of a 7.3 file are listed as MATLAB shows them."""
    save73(folder / "a.mat", {"m": np.ones((2, 5)), "s": {"inner": np.ones((3, 1), "i4")}})
    return Expect(path=folder / "a.mat", refused=("options.spike_times", "s.inner (int32 3x1)"))


@case
def missing_variable(folder):
    """A variable that is not there is named."""
    save5(folder / "a.mat", {"a": trains()})
    return Expect(path=folder / "a.mat", options={"spike_times": "spikes.times"},
                  refused=("options.spike_times", "spikes.times is missing"))


@case
def vector_with_clusters(folder):
    """One vector of times and one of clusters."""
    save5(folder / "a.mat", {"t": column([0.1, 0.2, 0.35, 0.4]), "c": column([7, 2, 2, 7], "i4")})
    return Expect(path=folder / "a.mat", options={"spike_times": "t", "spike_clusters": "c"},
                  spikes={2: np.array([0.2, 0.35]), 7: np.array([0.1, 0.4])}, no_warnings=True)


@case
def cluster_nan_is_dropped(folder):
    """A spike without a cluster is dropped, and it is said."""
    save73(folder / "a.mat", {"t": column([0.1, 0.2, 0.35]), "c": column([7, np.nan, 2])})
    return Expect(path=folder / "a.mat", options={"spike_times": "t", "spike_clusters": "c"},
                  spikes={2: np.array([0.35]), 7: np.array([0.1])},
                  warnings=["1 spike dropped, the first is spike 2"])


@case
def clusters_of_another_length(folder):
    """Times and clusters must be as many."""
    save5(folder / "a.mat", {"t": column([0.1, 0.2]), "c": column([7, 2, 2])})
    return Expect(path=folder / "a.mat", options={"spike_times": "t", "spike_clusters": "c"},
                  refused=("options.spike_clusters", "each of the 2 times"))


@case
def one_vector_is_one_unit(folder):
    """A vector alone is one unit, and it is said."""
    save5(folder / "a.mat", {"t": column([0.1, 0.2, 0.35])})
    return Expect(path=folder / "a.mat", options={"spike_times": "t"},
                  spikes={1: np.array([0.1, 0.2, 0.35])}, warnings=["read as one unit"])


PADDED = np.array([[0.1, 0.2, 0.3], [0.05, np.nan, np.nan]])
UNPADDED = {1: np.array([0.1, 0.2, 0.3]), 2: np.array([0.05])}


@case
def matrix_units_in_rows(folder):
    """A matrix padded with NaN: order and NaN tell that units are rows."""
    save5(folder / "a.mat", {"m": PADDED})
    return Expect(path=folder / "a.mat", options={"spike_times": "m"}, spikes=UNPADDED,
                  warnings=["unit in each row; 2 NaN"])


@case
def matrix_units_in_columns_73(folder):
    """The same with units in columns, version 7.3."""
    save73(folder / "a.mat", {"m": PADDED.T.copy()})
    return Expect(path=folder / "a.mat", options={"spike_times": "m"}, spikes=UNPADDED,
                  warnings=["unit in each column"])


@case
def matrix_that_could_be_either(folder):
    """Where rows and columns are both possible, it is asked."""
    save5(folder / "a.mat", {"m": np.array([[0.1, 0.2], [0.3, 0.4]])})
    return Expect(path=folder / "a.mat", options={"spike_times": "m"},
                  refused=("options.units_in", "must be rows or columns"))


@case
def matrix_by_option(folder):
    """The option units_in decides."""
    save5(folder / "a.mat", {"m": np.array([[0.1, 0.2], [0.3, 0.4]])})
    return Expect(path=folder / "a.mat", options={"spike_times": "m", "units_in": "columns"},
                  spikes={1: np.array([0.1, 0.3]), 2: np.array([0.2, 0.4])})


@case
def milliseconds(folder):
    """time_unit=ms."""
    save5(folder / "a.mat", {"st": cell([column([1.5, 20.25])])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "time_unit": "ms"},
                  spikes={1: np.array([1.5, 20.25]) / 1000})


@case
def samples_with_a_rate(folder):
    """Whole numbers with a sampling rate are samples."""
    save73(folder / "a.mat", {"st": cell([column([300, 301, 9000], "i8")])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st"}, sampling_rate=30000,
                  spikes={1: np.array([300, 301, 9000]) / 30000})


@case
def integers_without_a_unit(folder):
    """Integers without a unit of time are refused with the choices."""
    save5(folder / "a.mat", {"st": cell([column([300, 301, 9000], "i8")])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st"},
                  refused=("options.time_unit", "must be s, ms, or samples"))


@case
def whole_doubles_without_a_unit(folder):
    """So are many doubles that are all whole."""
    save5(folder / "a.mat", {"st": cell([column(np.arange(50) * 300)])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st"},
                  refused=("options.time_unit", "must be s, ms, or samples"))


@case
def samples_without_a_rate(folder):
    """Samples need a rate."""
    save5(folder / "a.mat", {"st": trains()})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "time_unit": "samples"},
                  refused=("sampling_rate", "sample numbers"))


@case
def whole_seconds_by_option(folder):
    """time_unit=s takes whole numbers as seconds."""
    save5(folder / "a.mat", {"st": cell([column([1, 2, 3], "i4")])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "time_unit": "s"},
                  spikes={1: np.array([1.0, 2, 3])})


COUNTS = np.array([[0, 1], [2, 0], [300, 4]], float)


@case
def counts(folder):
    """A matrix of counts [bins, units]."""
    save5(folder / "a.mat", {"n": COUNTS})
    return Expect(path=folder / "a.mat", options={"counts": "n"}, bin_width=0.02, counts=COUNTS)


@case
def counts_transposed_73(folder):
    """The same as [units, bins], version 7.3, of small integers."""
    save73(folder / "a.mat", {"n": COUNTS.T.astype("u2").copy()})
    return Expect(path=folder / "a.mat", options={"counts": "n", "transpose": "1"}, bin_width=0.02,
                  counts=COUNTS)


@case
def counts_without_a_width(folder):
    """Counts need the width of their bins."""
    save5(folder / "a.mat", {"n": COUNTS})
    return Expect(path=folder / "a.mat", options={"counts": "n"}, refused=("bin_width", "e.g. 0.02"))


@case
def sparse_counts_are_named(folder):
    """A sparse matrix is refused by what it is."""
    save5(folder / "a.mat", {"n": scipy.sparse.csc_matrix(COUNTS)})
    return Expect(path=folder / "a.mat", options={"counts": "n"}, bin_width=0.02,
                  refused=("options.counts", "sparse"))


@case
def nan_in_counts(folder):
    """A count that is NaN is refused with its place."""
    bad = COUNTS.copy()
    bad[1, 1] = np.nan
    save5(folder / "a.mat", {"n": bad})
    return Expect(path=folder / "a.mat", options={"counts": "n"}, bin_width=0.02,
                  refused=("n", "bin 2, unit 2"))


@case
def labels_regions_and_ids(folder):
    """Ids, labels and regions by name: cells of texts, rows of a char matrix."""
    save5(folder / "a.mat", {"st": trains(), "id": column([11, 12, 13], "u2"),
                             "q": cell(["good", "mua", "good"]), "r": np.array(["CA1", "VISp", "DG"])})
    return Expect(path=folder / "a.mat",
                  options={"spike_times": "st", "unit_ids": "id", "labels": "q", "regions": "r"},
                  spikes=dict(zip([11, 12, 13], TRAINS)), labels={12: "mua"},
                  regions={11: "CA1", 12: "VISp", 13: "DG"}, no_warnings=True)


@case
def ids_that_are_texts_73(folder):
    """Ids that are texts become a column."""
    save73(folder / "a.mat", {"st": trains(), "id": cell(["a1", "b1", "ü2"])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "unit_ids": "id"},
                  spikes={i: t for i, t in enumerate(TRAINS)}, columns={2: {"original_id": "ü2"}},
                  warnings=["original_id"])


@case
def ids_that_come_twice(folder):
    """Ids that come twice become a column too."""
    save5(folder / "a.mat", {"st": trains(), "id": column([1, 2, 1])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "unit_ids": "id"},
                  spikes={i: t for i, t in enumerate(TRAINS)}, warnings=["original_id"])


@case
def labels_of_another_length(folder):
    """Labels that do not fit are left out, and it is said."""
    save5(folder / "a.mat", {"st": trains(), "q": cell(["good", "mua"])})
    return Expect(path=folder / "a.mat", options={"spike_times": "st", "labels": "q"}, spikes=SPIKES,
                  warnings=["q: left out: has 2 values for 3 units"])


@case
def truncated_file(folder):
    """A file that is cut is refused by name."""
    save5(folder / "a.mat", {"st": trains()})
    bytes_ = (folder / "a.mat").read_bytes()
    (folder / "a.mat").write_bytes(bytes_[:90])
    return Expect(path=folder / "a.mat", refused=("a.mat", "truncated"))


@case
def text_called_mat(folder):
    """A text file called .mat is refused with what is read."""
    (folder / "a.mat").write_text("1 2 3\n4 5 6\n")
    return Expect(path=folder / "a.mat", refused=("a.mat", "is not a MATLAB file of version 5 to 7.3"))


@case
def several_files(folder):
    """Several files: the choices are told."""
    save5(folder / "a.mat", {"st": trains()})
    save5(folder / "b.mat", {"st": trains()})
    return Expect(path=folder, format="matlab", refused=("files", "a.mat, b.mat"))
