"""NWB in HDF5: what laboratories write, and what must not be followed."""
import os
import pathlib

import h5py
import numpy as np
from field import Expect, case

TRAINS = {3: np.array([0.1, 0.2, 0.9]), 7: np.array([0.15, 1.5])}
DATA = pathlib.Path(__file__).resolve().parents[3] / "../shared/data"
TEXT = h5py.string_dtype()


def texts(group, name, values):
    return group.create_dataset(name, data=np.array(values, dtype=object), dtype=TEXT)


def ragged(group, name, rows, dtype=np.uint32, **how):
    flat = np.concatenate([np.asarray(r) for r in rows]) if rows else np.zeros(0)
    if flat.dtype.kind in "US":
        texts(group, name, list(flat))
    else:
        group.create_dataset(name, data=flat, **how)
    group.create_dataset(name + "_index", data=np.cumsum([len(r) for r in rows]).astype(dtype))


def units_table(group, trains, columns=None, **how):
    group.attrs["neurodata_type"] = "Units"
    group.attrs.create("colnames", ["spike_times", *(columns or {})], dtype=TEXT)
    group["id"] = np.array(list(trains), dtype=np.int64)
    ragged(group, "spike_times", list(trains.values()), **how)
    for name, values in (columns or {}).items():
        if isinstance(values[0], str):
            texts(group, name, values)
        else:
            group[name] = np.asarray(values)


def intervals(group, start, stop, columns=None, kind="TimeIntervals"):
    group.attrs["neurodata_type"] = kind
    group.attrs.create("colnames", ["start_time", "stop_time", *(columns or {})], dtype=TEXT)
    group["id"] = np.arange(len(start))
    group["start_time"] = np.asarray(start, dtype=float)
    group["stop_time"] = np.asarray(stop, dtype=float)
    for name, values in (columns or {}).items():
        if isinstance(values[0], str):
            texts(group, name, values)
        else:
            group[name] = np.asarray(values)


def series(file, path, data, timestamps=None, start=None, rate=None, kind="TimeSeries", unit="a.u.",
           **attributes):
    group = file.create_group(path)
    group.attrs["neurodata_type"] = kind
    group["data"] = data
    group["data"].attrs["unit"] = unit
    for name, value in attributes.items():
        group["data"].attrs[name] = value
    if timestamps is not None:
        group["timestamps"] = np.asarray(timestamps, dtype=float)
    if start is not None:
        group["starting_time"] = float(start)
        group["starting_time"].attrs["rate"] = float(rate)
    return group


def new(path, trains=TRAINS, columns=None, **how):
    """A file with a Units table; the caller closes it."""
    file = h5py.File(path, "w")
    file.attrs["nwb_version"] = "2.6.0"
    if trains is not None:
        units_table(file.create_group("units"), trains, columns, **how)
    return file


def electrodes(file, locations, ids=None, **columns):
    group = file.create_group("general/extracellular_ephys/electrodes")
    group.attrs["neurodata_type"] = "DynamicTable"
    group.attrs.create("colnames", ["location", *columns], dtype=TEXT)
    group["id"] = np.arange(len(locations)) if ids is None else np.asarray(ids)
    texts(group, "location", locations)
    for name, values in columns.items():
        group[name] = np.asarray(values)


def refused_spikes(path, words):
    return Expect(path=path, format="nwb", refused=("units/spike_times", words))


# Nothing but the file itself.

def secret(folder):
    """Another file of the same place, of values that no import may show."""
    with h5py.File(folder / "other.h5", "w") as other:
        other["spike_times"] = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
        other.create_group("units")["id"] = np.array([1, 2])
    (folder / "raw.bin").write_bytes(np.array([0.5, 0.6, 0.7, 0.8, 0.9]).tobytes())


def without_spikes(path):
    file = new(path)
    del file["units/spike_times"]
    return file


@case
def external_link_to_the_spikes(folder):
    """An external link in place of spike_times is refused by name."""
    secret(folder)
    with without_spikes(folder / "a.nwb") as f:
        f["units/spike_times"] = h5py.ExternalLink("other.h5", "/spike_times")
    return refused_spikes(folder / "a.nwb", "copy the data into the file")


@case
def soft_link_to_an_external_link(folder):
    """A soft link that leads to an external link is refused as the external link is."""
    secret(folder)
    with without_spikes(folder / "a.nwb") as f:
        f["scratch/x"] = h5py.ExternalLink("other.h5", "/spike_times")
        f["units/spike_times"] = h5py.SoftLink("/scratch/x")
    return refused_spikes(folder / "a.nwb", "scratch/x")


@case
def external_link_on_the_way(folder):
    """A soft link whose path goes through an external link is refused."""
    secret(folder)
    with without_spikes(folder / "a.nwb") as f:
        f["scratch/root"] = h5py.ExternalLink("other.h5", "/")
        f["units/spike_times"] = h5py.SoftLink("/scratch/root/spike_times")
    return refused_spikes(folder / "a.nwb", "external link")


@case
def units_in_another_file(folder):
    """A Units group that is an external link is refused by name."""
    secret(folder)
    with new(folder / "a.nwb", None) as f:
        f["units"] = h5py.ExternalLink("other.h5", "/units")
    return Expect(path=folder / "a.nwb", format="nwb", refused=("units", "copy the data"))


@case
def external_storage_of_the_spikes(folder):
    """Raw external storage of spike_times is refused by name."""
    secret(folder)
    with without_spikes(folder / "a.nwb") as f:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(str(folder / "raw.bin").encode(), 0, 40)
        h5py.h5d.create(f["units"].id, b"spike_times", h5py.h5t.IEEE_F64LE,
                        h5py.h5s.create_simple((5,)), created)
    return refused_spikes(folder / "a.nwb", "external storage")


@case
def external_storage_in_a_pipe(folder):
    """External storage in a pipe does not hang the reader."""
    os.mkfifo(folder / "pipe")
    with without_spikes(folder / "a.nwb") as f:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(str(folder / "pipe").encode(), 0, 40)
        h5py.h5d.create(f["units"].id, b"spike_times", h5py.h5t.IEEE_F64LE,
                        h5py.h5s.create_simple((5,)), created)
    return refused_spikes(folder / "a.nwb", "external storage")


@case
def virtual_spikes(folder):
    """A virtual data set in place of spike_times is refused by name."""
    secret(folder)
    layout = h5py.VirtualLayout(shape=(5,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "spike_times", shape=(5,))
    with without_spikes(folder / "a.nwb") as f:
        f["units"].create_virtual_dataset("spike_times", layout)
    return refused_spikes(folder / "a.nwb", "virtual data set")


@case
def soft_link_to_a_virtual_data_set(folder):
    """A soft link to a virtual data set is refused as the data set is."""
    secret(folder)
    layout = h5py.VirtualLayout(shape=(5,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "spike_times", shape=(5,))
    with without_spikes(folder / "a.nwb") as f:
        f.create_group("scratch").create_virtual_dataset("v", layout)
        f["units/spike_times"] = h5py.SoftLink("/scratch/v")
    return refused_spikes(folder / "a.nwb", "virtual data set")


@case
def soft_link_to_external_storage(folder):
    """A soft link to external storage is refused as the storage is."""
    secret(folder)
    with without_spikes(folder / "a.nwb") as f:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(str(folder / "raw.bin").encode(), 0, 40)
        h5py.h5d.create(f.create_group("scratch").id, b"x", h5py.h5t.IEEE_F64LE,
                        h5py.h5s.create_simple((5,)), created)
        f["units/spike_times"] = h5py.SoftLink("/scratch/x")
    return refused_spikes(folder / "a.nwb", "external storage")


@case
def external_link_in_a_side_table(folder):
    """A table that lies in another file is left out with a note; the rest is read."""
    secret(folder)
    with new(folder / "a.nwb") as f:
        f["intervals/trials"] = h5py.ExternalLink("other.h5", "/units")
        intervals(f.create_group("intervals/epochs"), [0], [2])
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  tables={"epochs": {"start_time": [0], "stop_time": [2]}},
                  warnings=["intervals/trials", "external link", "copy the data"])


@case
def virtual_column(folder):
    """A column that is a virtual data set is left out with a note."""
    secret(folder)
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "spike_times", shape=(5,))[:2]
    with new(folder / "a.nwb", columns={"depth": [100.0, 200.0]}) as f:
        f["units"].create_virtual_dataset("snr", layout)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, depths={3: 100, 7: 200},
                  warnings=["units/snr", "virtual data set"])


@case
def links_inside_the_file(folder):
    """Soft and hard links that stay inside the file are followed."""
    with without_spikes(folder / "a.nwb") as f:
        f["scratch/times"] = np.concatenate(list(TRAINS.values()))
        f["units/spike_times"] = h5py.SoftLink("../scratch/times")
        del f["units/spike_times"]
        f["scratch/again"] = h5py.SoftLink("times")
        f["units/spike_times"] = h5py.SoftLink("/scratch/again")
        speed = series(f, "processing/behavior/speed", [1.0, 2.0], timestamps=[0, 1])
        other = f.create_group("processing/behavior/turn")
        other.attrs["neurodata_type"] = "TimeSeries"
        other["data"] = [5.0, 6.0]
        other["timestamps"] = h5py.SoftLink("/processing/behavior/speed/timestamps")
        f["processing/behavior/still"] = other
        del f["processing/behavior/still"]
        del speed
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  series={"speed": ([0, 1], [[1], [2]]), "turn": ([0, 1], [[5], [6]])})


@case
def soft_link_loop(folder):
    """Soft links in a circle are refused and do not hang."""
    with without_spikes(folder / "a.nwb") as f:
        f["scratch/a"] = h5py.SoftLink("/scratch/b")
        f["scratch/b"] = h5py.SoftLink("/scratch/a")
        f["units/spike_times"] = h5py.SoftLink("/scratch/a")
    return refused_spikes(folder / "a.nwb", "circle")


@case
def soft_link_loop_aside(folder):
    """A circle of links elsewhere is left out with a note."""
    with new(folder / "a.nwb") as f:
        f["processing/x"] = h5py.SoftLink("/processing/x")
    return Expect(path=folder / "a.nwb", spikes=TRAINS, warnings=["processing/x", "circle"])


@case
def group_in_itself(folder):
    """A group that holds itself by a hard link ends."""
    with new(folder / "a.nwb") as f:
        f.create_group("processing/m")
        f["processing/m/self"] = f["processing/m"]
        series(f, "processing/m/speed", [1.0], timestamps=[0.5])
    return Expect(path=folder / "a.nwb", spikes=TRAINS, warnings=["1 link to a group", "processing/m/self"])


# How values are stored.

@case
def compressed_with_lzf(folder):
    """lzf, which is a plug-in, is read where it is installed."""
    long = {1: np.arange(5000) * 0.01, 2: np.arange(3000) * 0.02}
    new(folder / "a.nwb", long, compression="lzf", chunks=(1000,)).close()
    return Expect(path=folder / "a.nwb", spikes=long, no_warnings=True)


@case
def compressed_with_gzip(folder):
    """gzip with shuffle and checksum, in one chunk larger than the library's cache."""
    long = {1: np.arange(400_000) * 0.004}
    new(folder / "a.nwb", long, compression="gzip", shuffle=True, fletcher32=True,
        chunks=(400_000,)).close()
    return Expect(path=folder / "a.nwb", spikes=long, no_warnings=True)


@case
def filter_that_is_not_installed(folder):
    """A filter that is missing is named with its number."""
    with without_spikes(folder / "a.nwb") as f:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((5,))
        created.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        h5py.h5d.create(f["units"].id, b"spike_times", h5py.h5t.IEEE_F64LE,
                        h5py.h5s.create_simple((5,)), created)
    return refused_spikes(folder / "a.nwb", "zstd")


@case
def filter_that_nobody_knows(folder):
    """A filter of no known number is never loaded."""
    with without_spikes(folder / "a.nwb") as f:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((5,))
        created.set_filter(400, h5py.h5z.FLAG_OPTIONAL, (3,))
        h5py.h5d.create(f["units"].id, b"spike_times", h5py.h5t.IEEE_F64LE,
                        h5py.h5s.create_simple((5,)), created)
    return refused_spikes(folder / "a.nwb", "filter 400")


@case
def wide_enumeration(folder):
    """An int32 enumeration of 200,000 rows reads as its members' names."""
    n = 200_000
    kind = h5py.enum_dtype({"left": 1, "right": 70_000}, basetype="i4")
    codes = np.where(np.arange(n) % 3 == 0, 70_000, 1).astype("i4")
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/trials"), np.arange(n) * 7e-6,
                  np.arange(n) * 7e-6 + 1e-6)
        f["intervals/trials"].create_dataset("side", data=codes, dtype=kind)
        f["intervals/trials"].attrs.create("colnames", ["start_time", "stop_time", "side"],
                                           dtype=TEXT)
    names = np.where(codes == 1, "left", "right").tolist()
    return Expect(path=folder / "a.nwb", tables={"trials": {"side": names}}, no_warnings=True)


@case
def booleans_of_h5py(folder):
    """h5py's booleans read as 0 and 1."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/trials"), [0, 1], [1, 2],
                  {"correct": np.array([True, False])})
    return Expect(path=folder / "a.nwb", tables={"trials": {"correct": [1, 0]}}, no_warnings=True)


@case
def huge_claim(folder):
    """A data set that claims a billion values it does not hold is refused before memory is taken."""
    with without_spikes(folder / "a.nwb") as f:
        f["units"].create_dataset("spike_times", shape=(10**9,), dtype="f8", chunks=(10**6,),
                                  compression="gzip")
    return refused_spikes(folder / "a.nwb", "claims")


@case
def huge_chunk(folder):
    """A chunk of nearly 4 GB is refused before it is unpacked."""
    with without_spikes(folder / "a.nwb") as f:
        f["units"].create_dataset("spike_times", shape=(5,), maxshape=(None,), dtype="f8",
                                  chunks=(500_000_000,), compression="gzip")
    return refused_spikes(folder / "a.nwb", "chunks")


@case
def exotic_columns(folder):
    """Compound, opaque and array columns are left out, fixed texts are read."""
    with new(folder / "a.nwb") as f:
        u = f["units"]
        u["pair"] = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
        u["blob"] = np.array([b"ab", b"cd"], dtype="V2")
        u.create_dataset("lists", (2,), dtype=h5py.vlen_dtype("i4"))
        u["fixed"] = np.array([b"one", b"three"], dtype="S8")
        u.attrs.create("colnames", ["spike_times", "pair", "blob", "lists", "fixed"], dtype=TEXT)
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  columns={3: {"fixed": "one"}, 7: {"fixed": "three"}},
                  warnings=["units/pair", "compound", "units/blob", "opaque", "units/lists"])


@case
def matlab_called_nwb(folder):
    """A MATLAB file of version 5 is called what it is."""
    (folder / "a.nwb").write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(256, b" "))
    return Expect(path=folder / "a.nwb", format="nwb", refused=("a.nwb", "MATLAB"))


@case
def zip_called_nwb(folder):
    """An .npz under the name of an NWB file is called a zip archive."""
    with open(folder / "a.nwb", "wb") as out:
        np.savez(out, x=np.arange(3))
    return Expect(path=folder / "a.nwb", format="nwb", refused=("a.nwb", "zip archive"))


@case
def text_called_nwb(folder):
    """A text file is called a text file."""
    (folder / "a.nwb").write_text("unit,time\n1,0.5\n")
    return Expect(path=folder / "a.nwb", format="nwb", refused=("a.nwb", "text file"))


@case
def truncated_file(folder):
    """A truncated HDF5 file is called truncated."""
    new(folder / "whole", {1: np.arange(10_000) * 0.01}).close()
    bytes_ = (folder / "whole").read_bytes()
    (folder / "whole").unlink()
    (folder / "a.nwb").write_bytes(bytes_[:len(bytes_) // 2])
    return Expect(path=folder / "a.nwb", format="nwb", refused=("a.nwb", "truncated"))


@case
def version_1(folder):
    """Another version of NWB is refused with the one that is read."""
    with new(folder / "a.nwb") as f:
        f.attrs["nwb_version"] = "NWB-1.0.6"
    return Expect(path=folder / "a.nwb", format="nwb", refused=("nwb_version", "2.x"))


# Units.

@case
def units_in_processing(folder):
    """One Units table is taken wherever it lies."""
    with new(folder / "a.nwb", None) as f:
        units_table(f.create_group("processing/ecephys/units"), TRAINS, {"quality": ["good", "mua"]})
    return Expect(path=folder / "a.nwb", spikes=TRAINS, labels={3: "good", 7: "mua"}, source="nwb")


def two_tables(path):
    with new(path, columns={"quality": ["good", "mua"]}) as f:
        units_table(f.create_group("processing/ecephys/probeB"), {3: np.array([0.4]),
                                                                 9: np.array([0.5, 0.6])},
                    {"snr": [2.5, 3.5]})


@case
def several_units_tables(folder):
    """Several Units tables are refused with the choices."""
    two_tables(folder / "a.nwb")
    return Expect(path=folder / "a.nwb", refused=("units_table", "processing/ecephys/probeB"))


@case
def one_of_several_units_tables(folder):
    """The option units_table says which."""
    two_tables(folder / "a.nwb")
    return Expect(path=folder / "a.nwb", options={"units_table": "processing/ecephys/probeB"},
                  spikes={3: np.array([0.4]), 9: np.array([0.5, 0.6])},
                  columns={3: {"snr": "2.5"}})


@case
def all_units_tables(folder):
    """All tables: two probes with the same ids are numbered anew."""
    two_tables(folder / "a.nwb")
    return Expect(path=folder / "a.nwb", options={"units_table": "all"},
                  spikes={0: TRAINS[3], 1: TRAINS[7], 2: np.array([0.4]), 3: np.array([0.5, 0.6])},
                  labels={0: "good", 1: "mua", 2: ""},
                  columns={0: {"original_id": "3", "probe": "units"},
                           2: {"original_id": "3", "probe": "processing/ecephys/probeB",
                               "snr": "2.5"}},
                  warnings=["numbered from 0", "original_id"])


@case
def wrong_units_table(folder):
    """A table that is not there is refused with those that are."""
    two_tables(folder / "a.nwb")
    return Expect(path=folder / "a.nwb", options={"units_table": "processing/units"},
                  refused=("units_table", "must be one of units (2 units)"))


@case
def no_units(folder):
    """A file without units says what must be there."""
    with new(folder / "a.nwb", None) as f:
        series(f, "processing/behavior/speed", [1.0, 2.0], timestamps=[0, 1])
    return Expect(path=folder / "a.nwb", refused=("units", "must be sorted units"))


@case
def ids_that_come_twice(folder):
    """Two probes in one table with the same ids are numbered anew."""
    with new(folder / "a.nwb") as f:
        f["units/id"][:] = [5, 5]
    return Expect(path=folder / "a.nwb", spikes={0: TRAINS[3], 1: TRAINS[7]},
                  columns={0: {"original_id": "5"}, 1: {"original_id": "5"}},
                  warnings=["units/id", "more than once"])


@case
def ids_that_are_texts(folder):
    """Ids that are texts are numbered anew."""
    with new(folder / "a.nwb") as f:
        del f["units/id"]
        texts(f["units"], "id", ["a1", "b2"])
    return Expect(path=folder / "a.nwb", spikes={0: TRAINS[3], 1: TRAINS[7]},
                  columns={0: {"original_id": "a1"}, 1: {"original_id": "b2"}},
                  warnings=["units/id", "original_id"])


@case
def nan_padding(folder):
    """NaN padding of spike times is dropped and counted."""
    nan = np.nan
    new(folder / "a.nwb", {1: np.array([0.1, 0.2, nan]), 2: np.array([0.3, nan, nan])}).close()
    return Expect(path=folder / "a.nwb", spikes={1: np.array([0.1, 0.2]), 2: np.array([0.3])},
                  warnings=["units/spike_times", "3 NaN values dropped", "[2]"])


@case
def one_unit_without_index(folder):
    """Spikes without an index belong to the only unit."""
    with new(folder / "a.nwb", {4: np.array([0.1, 0.2])}) as f:
        del f["units/spike_times_index"]
    return Expect(path=folder / "a.nwb", spikes={4: np.array([0.1, 0.2])})


@case
def two_units_without_index(folder):
    """Spikes of two units without an index would be a guess."""
    with new(folder / "a.nwb") as f:
        del f["units/spike_times_index"]
    return Expect(path=folder / "a.nwb", refused=("units/spike_times_index", "is missing"))


@case
def spike_index_past_the_spikes(folder):
    """An index past the spikes is refused."""
    with new(folder / "a.nwb") as f:
        f["units/spike_times_index"][:] = [3, 9]
    return Expect(path=folder / "a.nwb", refused=("units/spike_times_index", "number of values (5)"))


@case
def spike_times_in_samples(folder):
    """Integers are not seconds: refused, with the choice."""
    with new(folder / "a.nwb") as f:
        del f["units/spike_times"]
        f["units/spike_times"] = np.array([3000, 6000, 9000, 4500, 45_000])
    return Expect(path=folder / "a.nwb", refused=("units/spike_times", "sampling rate"))


@case
def spike_times_in_samples_with_rate(folder):
    """Integers with a sampling rate are samples."""
    with new(folder / "a.nwb") as f:
        del f["units/spike_times"]
        f["units/spike_times"] = np.array([3000, 6000, 9000, 4500, 45_000])
    return Expect(path=folder / "a.nwb", sampling_rate=30_000,
                  spikes={3: np.array([0.1, 0.2, 0.3]), 7: np.array([0.15, 1.5])})


@case
def empty_units(folder):
    """Units without a spike stay units."""
    new(folder / "a.nwb", {1: np.array([]), 2: np.array([0.5]), 3: np.array([])}).close()
    return Expect(path=folder / "a.nwb",
                  spikes={1: np.array([]), 2: np.array([0.5]), 3: np.array([])})


@case
def value_per_spike(folder):
    """Columns with a value per spike are not read, and one line says so."""
    with new(folder / "a.nwb", columns={"depth": [1.0, 2.0]}) as f:
        for name in ("spike_amplitudes", "spike_depths"):
            ragged(f["units"], name, list(TRAINS.values()))
        ragged(f["units"], "tags", [["a", "b"], ["c"]])
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  warnings=["spike_amplitudes, spike_depths: a value per spike"])


@case
def doubly_ragged_column(folder):
    """A custom doubly ragged column is left out with a note."""
    with new(folder / "a.nwb") as f:
        u = f["units"]
        u["bursts"] = np.arange(6.0)
        u["bursts_index"] = np.array([2, 3, 6])
        u["bursts_index_index"] = np.array([1, 3])
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  warnings=["units/bursts", "list of lists"])


@case
def columns_that_make_no_sense(folder):
    """A column of another length, one of two dimensions, an index past its data: left out."""
    with new(folder / "a.nwb", columns={"snr": [1.5, 2.5]}) as f:
        u = f["units"]
        u["short"] = [1.0]
        u["square"] = np.zeros((2, 3))
        u["tags"] = np.arange(3.0)
        u["tags_index"] = np.array([2, 9])
        u.attrs.create("colnames", ["spike_times", "snr", "short", "square", "tags", "gone"],
                       dtype=TEXT)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, columns={3: {"snr": "1.5"}},
                  warnings=["units/short", "has 1 rows", "units/square", "2 dimensions",
                            "units/tags", "number of values (3)", "units/gone", "missing"])


@case
def strict_refuses(folder):
    """What would be left out refuses a strict import."""
    with new(folder / "a.nwb") as f:
        f["units/short"] = [1.0]
    return Expect(path=folder / "a.nwb", strict=True, refused=("units/short", "has 1 rows"))


@case
def waveforms(folder):
    """Waveforms are not read, and one line says so."""
    with new(folder / "a.nwb") as f:
        f["units/waveform_mean"] = np.zeros((2, 40, 4))
        f["units/waveform_sd"] = np.zeros((2, 40, 4))
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  warnings=["waveform_mean, waveform_sd: waveforms"])


@case
def regions_by_electrodes(folder):
    """Region and depth through electrodes with an index."""
    with new(folder / "a.nwb") as f:
        electrodes(f, ["CA1", "CA3", "DG"], rel_y=[10.0, 20.0, 30.0])
        ragged(f["units"], "electrodes", [[2, 0], [1]], dtype=np.uint8)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, regions={3: "DG", 7: "CA3"},
                  depths={3: 30, 7: 20}, no_warnings=True)


@case
def regions_by_one_electrode(folder):
    """Region through electrodes without an index."""
    with new(folder / "a.nwb") as f:
        electrodes(f, ["CA1", "CA3", "DG"])
        f["units/electrodes"] = np.array([1, 0])
    return Expect(path=folder / "a.nwb", spikes=TRAINS, regions={3: "CA3", 7: "CA1"})


@case
def electrode_beyond_the_table(folder):
    """An electrode that is not there gives no region, and is noted."""
    with new(folder / "a.nwb") as f:
        electrodes(f, ["CA1", "CA3"])
        f["units/electrodes"] = np.array([1, 77])
    return Expect(path=folder / "a.nwb", spikes=TRAINS, regions={3: "CA3", 7: ""},
                  warnings=["units/electrodes", "77"])


@case
def regions_by_group(folder):
    """Region through the electrode group that the unit refers to."""
    with new(folder / "a.nwb") as f:
        for name, place in (("g0", "V1"), ("g1", "LGN")):
            f.create_group("general/extracellular_ephys/" + name).attrs["location"] = place
        groups = [f["general/extracellular_ephys/" + n].ref for n in ("g1", "g0")]
        f["units"].create_dataset("electrode_group", data=groups, dtype=h5py.ref_dtype)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, regions={3: "LGN", 7: "V1"})


@case
def allen_style(folder):
    """Allen's units: quality, peak_channel_id into electrodes by id, invalid_times with tags."""
    with new(folder / "a.nwb", columns={"quality": ["good", "noise"], "snr": [2.0, 1.0],
                                        "peak_channel_id": np.array([850_000_002, 850_000_001])}) as f:
        electrodes(f, ["VISp", "LP"], ids=[850_000_001, 850_000_002],
                   probe_vertical_position=[40.0, 80.0])
        intervals(f.create_group("intervals/invalid_times"), [0.5], [0.8])
        ragged(f["intervals/invalid_times"], "tags", [["EcephysProbe", "probeA"]])
        intervals(f.create_group("intervals/flashes_presentations"), [0, 1], [0.25, 1.25],
                  {"color": ["-1.0", "1.0"]})
        ragged(f["intervals/flashes_presentations"], "timeseries", [[0.0], [1.0]])
    end = np.nextafter(1.5, np.inf)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, labels={3: "good", 7: "noise"},
                  regions={3: "LP", 7: "VISp"}, depths={3: 80, 7: 40},
                  tables={"flashes_presentations": {"color": ["-1.0", "1.0"]},
                          "invalid_times": {"start_time": [0.5], "stop_time": [0.8]}},
                  observed=[(0, 0.5), (0.8, end)])


@case
def cluster_quality(folder):
    """Labels in cluster_quality."""
    new(folder / "a.nwb", columns={"cluster_quality": ["good", "mua"]}).close()
    return Expect(path=folder / "a.nwb", labels={3: "good", 7: "mua"})


@case
def observed_alike(folder):
    """obs_intervals that are the same for all units say when the recording observed."""
    with new(folder / "a.nwb") as f:
        f["units/obs_intervals"] = np.array([[0, 1], [1.2, 1.6], [0, 1], [1.2, 1.6]])
        f["units/obs_intervals_index"] = np.array([2, 4])
    return Expect(path=folder / "a.nwb", spikes=TRAINS, observed=[(0, 1), (1.2, 1.6)])


@case
def observed_by_unit(folder):
    """obs_intervals that differ stay with their units, and a broken row is dropped."""
    with new(folder / "a.nwb") as f:
        f["units/obs_intervals"] = np.array([[0, 1], [0.5, 1.6], [2.0, np.nan]])
        f["units/obs_intervals_index"] = np.array([1, 3])
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  warnings=["units/obs_intervals", "1 interval dropped"])


@case
def broken_obs_intervals(folder):
    """obs_intervals of another shape are left out with a note."""
    with new(folder / "a.nwb") as f:
        f["units/obs_intervals"] = np.array([0.0, 1.0])
    return Expect(path=folder / "a.nwb", spikes=TRAINS,
                  warnings=["units/obs_intervals", "[intervals, 2]"])


@case
def invalid_times(folder):
    """invalid_times, in any order and overlapping, are taken out of the observed time."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/invalid_times"), [1.0, 0.3, 0.4], [1.2, 0.5, 0.6])
        f["units/obs_intervals"] = np.array([[0.1, 2.0], [0.1, 2.0]])
        f["units/obs_intervals_index"] = np.array([1, 2])
    return Expect(path=folder / "a.nwb", spikes=TRAINS)


# Tables in time.

@case
def intervals_everywhere(folder):
    """TimeIntervals outside /intervals are read, and a name that comes twice is a path."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/trials"), [0], [1])
        intervals(f.create_group("processing/behavior/trials"), [1], [1.4])
        intervals(f.create_group("stimulus/presentation/gratings"), [0.5], [0.7],
                  {"angle": [45.0]})
        intervals(f.create_group("analysis/ripples"), [0.2], [0.3])
        intervals(f.create_group("scratch/licks"), [0.1], [0.2], kind="LickTable")
    return Expect(path=folder / "a.nwb",
                  tables={"trials": {"start_time": [0]},
                          "processing/behavior/trials": {"start_time": [1], "stop_time": [1.4]},
                          "gratings": {"angle": [45]}, "ripples": {"stop_time": [0.3]},
                          "licks": {"stop_time": [0.2]}}, no_warnings=True)


@case
def unlisted_column(folder):
    """A data set that colnames lacks is read where its length fits, else left out."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/trials"), [0, 1], [1, 2])
        f["intervals/trials/response_time"] = [0.4, 1.3]
        f["intervals/trials/notes_of_day"] = [1.0, 2.0, 3.0]
    return Expect(path=folder / "a.nwb",
                  tables={"trials": {"response_time": [0.4, 1.3]}},
                  warnings=["response_time", "colnames", "notes_of_day", "has 3 rows"])


@case
def ragged_tags(folder):
    """Ragged texts are lists."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/epochs"), [0, 1], [1, 2])
        ragged(f["intervals/epochs"], "tags", [["a", "b"], ["c"]], dtype=np.uint8)
        f["intervals/epochs"].attrs.create("colnames", ["start_time", "stop_time", "tags"],
                                           dtype=TEXT)
    return Expect(path=folder / "a.nwb", tables={"epochs": {"tags": [["a", "b"], ["c"]]}},
                  no_warnings=True)


@case
def table_without_stops(folder):
    """A TimeIntervals table without stop times is left out, the rest is read."""
    with new(folder / "a.nwb") as f:
        intervals(f.create_group("intervals/trials"), [0, 1], [1, 2])
        del f["intervals/trials/stop_time"]
    return Expect(path=folder / "a.nwb", spikes=TRAINS, warnings=["intervals/trials", "left out"])


@case
def labeled_events(folder):
    """ndx-events: labels by their codes, start = stop."""
    with new(folder / "a.nwb") as f:
        g = series(f, "acquisition/pokes", np.array([0, 1, 0], dtype="u1"),
                   timestamps=[0.1, 0.2, 0.4], kind="LabeledEvents")
        g["data"].attrs.create("labels", ["left", "right"], dtype=TEXT)
        t = series(f, "acquisition/ttl", np.array([1, 2], dtype="u1"), timestamps=[0.5, 0.6],
                   kind="TTLs")
        t["data"].attrs.create("labels", ["none", "sync", "camera"], dtype=TEXT)
        e = f.create_group("acquisition/licks")
        e.attrs["neurodata_type"] = "Events"
        e["timestamps"] = [0.3, 0.7]
    return Expect(path=folder / "a.nwb",
                  tables={"pokes": {"start_time": [0.1, 0.2, 0.4], "stop_time": [0.1, 0.2, 0.4],
                                    "label": ["left", "right", "left"], "data": [0, 1, 0]},
                          "ttl": {"label": ["sync", "camera"]},
                          "licks": {"start_time": [0.3, 0.7], "stop_time": [0.3, 0.7]}})


@case
def events_table(folder):
    """Core 2.10: an EventsTable with durations, one of them missing."""
    with new(folder / "a.nwb") as f:
        g = f.create_group("events/rewards")
        g.attrs["neurodata_type"] = "EventsTable"
        g.attrs.create("colnames", ["timestamp", "duration", "kind"], dtype=TEXT)
        g["id"] = [0, 1]
        g["timestamp"] = [0.5, 1.0]
        g["duration"] = [0.25, np.nan]
        texts(g, "kind", ["water", "air"])
    return Expect(path=folder / "a.nwb",
                  tables={"rewards": {"start_time": [0.5, 1.0], "stop_time": [0.75, 1.0],
                                      "kind": ["water", "air"]}})


@case
def annotations(folder):
    """AnnotationSeries are events with their texts."""
    with new(folder / "a.nwb") as f:
        g = f.create_group("acquisition/notes")
        g.attrs["neurodata_type"] = "AnnotationSeries"
        texts(g, "data", ["light on", "light off"])
        g["timestamps"] = [0.5, 1.25]
    return Expect(path=folder / "a.nwb",
                  tables={"notes": {"start_time": [0.5, 1.25], "stop_time": [0.5, 1.25],
                                    "annotation": ["light on", "light off"]}})


@case
def interval_series(folder):
    """IntervalSeries: positive starts, negative stops, by kind; what has no partner is noted."""
    with new(folder / "a.nwb") as f:
        series(f, "processing/behavior/BehavioralEpochs/moves",
               np.array([1, 2, -1, -2, -1], dtype="i1"), timestamps=[0.1, 0.2, 0.3, 0.5, 0.6],
               kind="IntervalSeries")
    return Expect(path=folder / "a.nwb",
                  tables={"moves": {"start_time": [0.1, 0.2], "stop_time": [0.3, 0.5],
                                    "kind": [1, 2]}},
                  warnings=["moves", "1 value that neither start nor stop"])


# Series.

@case
def series_of_one_to_three_dimensions(folder):
    """Series of one, two and three dimensions, by rate and by timestamps, in their unit."""
    with new(folder / "a.nwb") as f:
        series(f, "processing/behavior/speed", np.array([1, 2, 3], dtype="i2"), start=0.25, rate=2,
               unit="m/s", conversion=0.5, offset=10.0)
        series(f, "processing/behavior/Position/head", np.arange(6.0).reshape(3, 2),
               timestamps=[0, 0.5, 1], kind="SpatialSeries", unit="cm")
        series(f, "acquisition/paws", np.arange(12.0).reshape(3, 2, 2), timestamps=[0, 0.5, 1])
    return Expect(path=folder / "a.nwb",
                  series={"speed": ([0.25, 0.75, 1.25], [[10.5], [11], [11.5]]),
                          "head": ([0, 0.5, 1], [[0, 1], [2, 3], [4, 5]]),
                          "paws": ([0, 0.5, 1], np.arange(12.0).reshape(3, 4))},
                  units_of_series={"speed": "m/s", "head": "cm"}, no_warnings=True)


@case
def ttl_codes_remain_a_series(folder):
    """A TimeSeries of codes stays a series."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/events", np.array([1, 2, 11], dtype="i1"), timestamps=[0, 0.5, 1])
    return Expect(path=folder / "a.nwb", series={"events": ([0, 0.5, 1], [[1], [2], [11]])})


@case
def bad_sample_times(folder):
    """Samples whose times are NaN, go back or lie before 0 are dropped and counted."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/x", np.arange(8.0),
               timestamps=[-1.5e9, 0, 1, 0.5, np.nan, 1.2, 1.3, 1.4])
    return Expect(path=folder / "a.nwb", series={"x": ([0, 1, 1.2, 1.3, 1.4],
                                                       [[1], [2], [5], [6], [7]])},
                  warnings=["acquisition/x", "2 samples dropped, as their times are no numbers or out of order",
                            "1 sample before the recording"])


@case
def series_mostly_broken(folder):
    """A series most of whose times go back is left out."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/x", np.arange(4.0), timestamps=[3, 2, 1, 0])
    return Expect(path=folder / "a.nwb", spikes=TRAINS, series={},
                  warnings=["acquisition/x", "left out", "3 of 4 times"])


@case
def series_of_other_lengths(folder):
    """Timestamps of another length, a rate of 0, a NaN start: left out with what was wrong."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/short", np.arange(4.0), timestamps=[0, 1])
        series(f, "acquisition/still", np.arange(4.0), start=0, rate=0)
        series(f, "acquisition/never", np.arange(4.0), start=np.nan, rate=10)
    return Expect(path=folder / "a.nwb", spikes=TRAINS, series={},
                  warnings=["acquisition/short", "has 2 values", "acquisition/still", "above 0",
                            "acquisition/never"])


@case
def raw_signals(folder):
    """Voltages and images are left out, one line each."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/lfp", np.zeros((100, 8), dtype="i2"), start=0, rate=100,
               kind="ElectricalSeries")
        series(f, "acquisition/camera", np.zeros((5, 4, 4), dtype="u1"), start=0, rate=5,
               kind="ImageSeries")
    return Expect(path=folder / "a.nwb", spikes=TRAINS, series={},
                  warnings=["acquisition/lfp", "ElectricalSeries", "acquisition/camera",
                            "ImageSeries"])


@case
def series_of_one_name(folder):
    """Two series of one name are told apart by path, a linked one is read once."""
    with new(folder / "a.nwb") as f:
        series(f, "acquisition/x", [1.0, 2.0], timestamps=[0, 1])
        series(f, "processing/behavior/x", [3.0, 4.0], timestamps=[0, 1])
        f["processing/behavior/y"] = h5py.SoftLink("/acquisition/x")
    return Expect(path=folder / "a.nwb",
                  series={"x": ([0, 1], [[1], [2]]),
                          "processing/behavior/x": ([0, 1], [[3], [4]])},
                  warnings=["1 link to a group", "processing/behavior/y"])


@case
def two_references_of_time(folder):
    """Another reference time than the session's start is said."""
    with new(folder / "a.nwb") as f:
        f["session_start_time"] = "2024-01-01T10:00:00+00:00"
        f["timestamps_reference_time"] = "2024-01-01T09:00:00+00:00"
    return Expect(path=folder / "a.nwb", spikes=TRAINS, warnings=["timestamps_reference_time"])


@case
def folder_with_one_nwb(folder):
    """A folder that holds one .nwb file is that recording."""
    new(folder / "session+1.nwb").close()
    (folder / "readme.txt").write_text("notes")
    return Expect(path=folder, spikes=TRAINS, source="nwb")


# Real recordings; they are skipped where the data are not there.

def trains_of(path):
    with h5py.File(path) as f:
        ends = f["units/spike_times_index"][:].astype(int)
        return dict(zip(f["units/id"][:].tolist(), np.split(f["units/spike_times"][:], ends[:-1])))


def real(name):
    path = DATA / name
    return path if path.exists() else None


HUMAN = "human_boundary_nwb/sub-4_ses-4_ecephys+image.nwb"

if real(HUMAN):
    @case
    def human_boundary(folder):
        """A person watching films (MatNWB): 35 units, three tables, bad event times."""
        with h5py.File(real(HUMAN)) as f:
            response = f["intervals/recognition_table/response_time"][:].tolist()
            clips = f["intervals/encoding_table/Clip_name"].asstr()[:].tolist()
            places = f["general/extracellular_ephys/electrodes/location"].asstr()[:]
            regions = {i: places[e] for i, e in enumerate(f["units/electrodes"][:])}
        return Expect(path=real(HUMAN), spikes=trains_of(real(HUMAN)), regions=regions,
                      tables={"recognition_table": {"response_time": response},
                              "encoding_table": {"Clip_name": clips}},
                      warnings=["acquisition/events", "13 samples", "-1542900540",
                                "OpticalSeries"])


MOUSE = "mouse_retina_flash/mouse_retina_flash.nwb"

if real(MOUSE):
    @case
    def mouse_retina_flash(folder):
        """A retina under flashes: gzip, and the time between the movies is not observed."""
        with h5py.File(real(MOUSE)) as f:
            g = f["intervals/stimulus_presentations"]
            table = {"condition": g["condition"].asstr()[:].tolist(),
                     "start_time": g["start_time"][:].tolist()}
        return Expect(path=real(MOUSE), spikes=trains_of(real(MOUSE)),
                      tables={"stimulus_presentations": table})


MACAQUE = "macaque_m1_reach/macaque_m1_reach.nwb"

if real(MACAQUE):
    @case
    def macaque_m1_reach(folder):
        """A reaching monkey: 174 units, position by rate, velocity and force by timestamps."""
        with h5py.File(real(MACAQUE)) as f:
            b = f["processing/behavior"]
            force = b["BehavioralTimeSeries/force"]
            hand = b["Position/hand/data"][:]
            return Expect(path=real(MACAQUE), spikes=trains_of(real(MACAQUE)),
                          series={"force": (force["timestamps"][:], force["data"][:]),
                                  "hand": (np.arange(len(hand)) / 10, hand)},
                          units_of_series={"hand": "cm", "hand_velocity": "cm/s"})


MARMOSET = "marmoset_rgc_gratings/marmoset_rgc_gratings.nwb"

if real(MARMOSET):
    @case
    def marmoset(folder):
        """Marmoset ganglion cells under gratings: 49 units, 1196 presentations."""
        with h5py.File(real(MARMOSET)) as f:
            polarity = f["intervals/stimulus_presentations/polarity"].asstr()[:].tolist()
        return Expect(path=real(MARMOSET), spikes=trains_of(real(MARMOSET)),
                      tables={"stimulus_presentations": {"polarity": polarity}})


PYNAPPLE = "pynapple_phy_nwb/A8604-211122.nwb"

if real(PYNAPPLE):
    @case
    def pynapple(folder):
        """A file of PyNWB: 3 units, ragged tags."""
        return Expect(path=real(PYNAPPLE), spikes=trains_of(real(PYNAPPLE)),
                      tables={"epochs": {"tags": [["wake"]]}}, no_warnings=True)
