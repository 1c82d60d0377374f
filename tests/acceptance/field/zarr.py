"""NWB in Zarr v2 stores, written by the layout: JSON, and chunks compressed by the system's libraries."""
import ctypes
import gzip
import json
import zlib

import numpy as np

from field import Expect, case

SPIKES = {3: np.array([0.1, 0.2, 0.9]), 7: np.array([0.15, 1.5])}


def blosc(data):
    lib = ctypes.CDLL("libblosc.so.1")
    out = ctypes.create_string_buffer(len(data) + 16)
    n = lib.blosc_compress_ctx(5, 1, ctypes.c_size_t(8), ctypes.c_size_t(len(data)), data, out,
                               ctypes.c_size_t(len(data) + 16), b"lz4", ctypes.c_size_t(0), 1)
    return out.raw[:n]


def zstd(data):
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1000)
    n = lib.ZSTD_compress(out, ctypes.c_size_t(len(data) + 1000), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:n]


PACK = {None: bytes, "blosc": blosc, "zlib": zlib.compress, "gzip": gzip.compress, "zstd": zstd}


class Store:
    """A Zarr v2 directory store."""

    def __init__(self, root, codec=None):
        self.root, self.codec = root, codec
        self.group("", nwb_version="2.6.0", namespace="core")

    def json(self, name, value):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))

    def group(self, path, **attributes):
        self.json(f"{path}/.zgroup".lstrip("/"), {"zarr_format": 2})
        if attributes:
            self.json(f"{path}/.zattrs".lstrip("/"), attributes)

    def array(self, path, values, chunks=None, order="C", separator=".", dtype=None, fill=0,
              skip=(), **attributes):
        values = np.asarray(values, dtype)
        chunks = chunks or values.shape
        self.json(f"{path}/.zarray", {
            "zarr_format": 2, "shape": list(values.shape), "chunks": list(chunks),
            "dtype": values.dtype.str, "compressor": {"id": self.codec} if self.codec else None,
            "filters": None, "fill_value": fill, "order": order, "dimension_separator": separator})
        self.json(f"{path}/.zattrs", attributes)
        for at in np.ndindex(*(-(-n // c) for n, c in zip(values.shape, chunks))):
            name = separator.join(map(str, at)) or "0"
            if name in skip:
                continue
            chunk = np.zeros(chunks, values.dtype)
            part = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunks))]
            chunk[tuple(slice(0, n) for n in part.shape)] = part
            file = self.root / path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(PACK[self.codec](chunk.tobytes(order)))

    def objects(self, path, values, how="json2", **attributes):
        n = len(values)
        self.json(f"{path}/.zarray", {
            "zarr_format": 2, "shape": [n], "chunks": [n], "dtype": "|O",
            "compressor": {"id": self.codec} if self.codec else None, "filters": [{"id": how}],
            "fill_value": "", "order": "C"})
        self.json(f"{path}/.zattrs", attributes)
        if how == "vlen-utf8":
            raw = n.to_bytes(4, "little")
            for text in values:
                raw += len(text.encode()).to_bytes(4, "little") + text.encode()
        else:
            raw = json.dumps(list(values) + ["|O", [n]]).encode()
        (self.root / path / "0").write_bytes(PACK[self.codec](raw))

    def units(self, *columns, at="units", **how):
        self.group(at, colnames=["spike_times", *columns], neurodata_type="Units")
        self.array(f"{at}/id", np.array(list(SPIKES)))
        self.array(f"{at}/spike_times", np.concatenate(list(SPIKES.values())), **how)
        self.array(f"{at}/spike_times_index", np.array([3, 5], "u1"),
                   target=REF(f"/{at}/spike_times"))
        return self

    def consolidate(self, remove):
        metadata = {}
        for file in sorted(self.root.rglob(".z*")):
            metadata[str(file.relative_to(self.root))] = json.loads(file.read_text())
            if remove and file.parent != self.root:
                file.unlink()
        self.json(".zmetadata", {"zarr_consolidated_format": 1, "metadata": metadata})


def REF(path, source="."):
    return {"zarr_dtype": "object", "value": {"path": path, "source": source}}


def read(path, **more):
    return Expect(path=path, spikes=more.pop("spikes", SPIKES), source="nwb_zarr", **more)


@case
def plain_store(folder):
    """A store without compression is recognised by itself."""
    Store(folder / "a.nwb.zarr").units()
    return read(folder / "a.nwb.zarr", no_warnings=True)


@case
def folder_with_a_store(folder):
    """A folder that holds one store is that recording."""
    Store(folder / "a.nwb.zarr").units()
    return read(folder, no_warnings=True)


@case
def blosc_chunks(folder):
    """Chunks of blosc (lz4 with shuffling)."""
    Store(folder / "a.zarr", "blosc").units(chunks=(2,))
    return read(folder / "a.zarr", no_warnings=True)


@case
def gzip_chunks(folder):
    """Chunks of gzip."""
    Store(folder / "a.zarr", "gzip").units(chunks=(2,))
    return read(folder / "a.zarr", no_warnings=True)


@case
def zlib_chunks(folder):
    """Chunks of zlib."""
    Store(folder / "a.zarr", "zlib").units(chunks=(3,))
    return read(folder / "a.zarr", no_warnings=True)


@case
def zstd_chunks(folder):
    """Chunks of zstd."""
    Store(folder / "a.zarr", "zstd").units(chunks=(4,))
    return read(folder / "a.zarr", no_warnings=True)


@case
def consolidated_and_files(folder):
    """Consolidated metadata beside the files."""
    Store(folder / "a.zarr").units().consolidate(remove=False)
    return read(folder / "a.zarr", no_warnings=True)


@case
def consolidated_only(folder):
    """Consolidated metadata alone."""
    store = Store(folder / "a.zarr").units()
    store.consolidate(remove=True)
    return read(folder / "a.zarr", no_warnings=True)


@case
def big_endian_times(folder):
    """Times and ids with the high byte first."""
    Store(folder / "a.zarr").units(dtype=">f8")
    return read(folder / "a.zarr", no_warnings=True)


@case
def single_precision_times(folder):
    """Times of 4 bytes are widened exactly."""
    Store(folder / "a.zarr").units(dtype="<f4")
    return read(folder / "a.zarr",
                spikes={k: v.astype("f4").astype(float) for k, v in SPIKES.items()})


@case
def json_texts(folder):
    """Texts as json2 become labels."""
    store = Store(folder / "a.zarr", "blosc").units("quality")
    store.objects("units/quality", ["good", "mua"])
    return read(folder / "a.zarr", labels={3: "good", 7: "mua"}, no_warnings=True)


@case
def vlen_texts(folder):
    """Texts as vlen-utf8, with letters beyond ASCII."""
    store = Store(folder / "a.zarr", "zstd").units("location")
    store.objects("units/location", ["CA1", "Mésencéphale"], "vlen-utf8")
    return read(folder / "a.zarr", regions={3: "CA1", 7: "Mésencéphale"}, no_warnings=True)


@case
def fixed_texts(folder):
    """Texts of fixed width, in bytes and in UCS-4."""
    store = Store(folder / "a.zarr").units("quality", "location")
    store.array("units/quality", np.array([b"good", b"mua"]), fill="")
    store.array("units/location", np.array(["CA1", "é"]), fill="")
    return read(folder / "a.zarr", labels={3: "good", 7: "mua"}, regions={3: "CA1", 7: "é"})


@case
def pickled_texts_are_left_out(folder):
    """Pickles are never read: the column is named and left out."""
    store = Store(folder / "a.zarr").units("quality")
    store.objects("units/quality", ["good", "mua"], "pickle")
    return read(folder / "a.zarr", labels={3: "", 7: ""}, warnings=["quality", "pickle"])


@case
def pickled_texts_refused_when_strict(folder):
    """With --strict the pickled column refuses."""
    store = Store(folder / "a.zarr").units("quality")
    store.objects("units/quality", ["good", "mua"], "pickle")
    return Expect(path=folder / "a.zarr", strict=True, refused=("quality", "pickle"))


@case
def other_compressor_is_named(folder):
    """A compressor that is not read is named."""
    store = Store(folder / "a.zarr").units()
    path = folder / "a.zarr/units/spike_times/.zarray"
    zarray = json.loads(path.read_text())
    zarray["compressor"] = {"id": "lzma"}
    path.write_text(json.dumps(zarray))
    return Expect(path=folder / "a.zarr", refused=("units/spike_times", "lzma"))


@case
def filters_of_numbers_are_named(folder):
    """A filter of numbers is named."""
    Store(folder / "a.zarr").units()
    path = folder / "a.zarr/units/spike_times/.zarray"
    zarray = json.loads(path.read_text())
    zarray["filters"] = [{"id": "delta", "dtype": "<f8"}]
    path.write_text(json.dumps(zarray))
    return Expect(path=folder / "a.zarr", refused=("units/spike_times", "delta"))


@case
def missing_chunk_is_fill_and_said(folder):
    """A chunk that is not there has the fill value, and it is said."""
    store = Store(folder / "a.zarr").units("depth")
    store.array("units/depth", np.array([100.0, 250.0]), chunks=(1,), fill=-7.0, skip=("1",))
    return read(folder / "a.zarr", depths={3: 100.0, 7: -7.0},
                warnings=["1 of its 2 chunks are not there"])


@case
def damaged_chunk_is_refused(folder):
    """A chunk of spike times that is cut is named."""
    Store(folder / "a.zarr", "zlib").units()
    path = folder / "a.zarr/units/spike_times/0"
    path.write_bytes(path.read_bytes()[:-6])
    return Expect(path=folder / "a.zarr", refused=("units/spike_times/0", "damaged or cut"))


@case
def chunk_larger_than_said(folder):
    """A chunk that decompresses to more than it may hold is refused."""
    Store(folder / "a.zarr", "zstd").units()
    (folder / "a.zarr/units/spike_times/0").write_bytes(zstd(bytes(1_000_000)))
    return Expect(path=folder / "a.zarr", refused=("units/spike_times/0", "more than 40 bytes"))


@case
def intervals_and_series(folder):
    """Trials and a running speed in several chunks of two dimensions."""
    store = Store(folder / "a.zarr", "blosc").units()
    store.group("intervals")
    store.group("intervals/trials", colnames=["start_time", "stop_time", "side"],
                neurodata_type="TimeIntervals")
    store.array("intervals/trials/id", np.array([0, 1]))
    store.array("intervals/trials/start_time", np.array([0.0, 1.0]))
    store.array("intervals/trials/stop_time", np.array([1.0, 2.0]))
    store.objects("intervals/trials/side", ["left", "right"])
    store.group("processing")
    store.group("processing/behavior", neurodata_type="ProcessingModule")
    store.group("processing/behavior/position", neurodata_type="SpatialSeries")
    values = np.arange(10.0).reshape(5, 2)
    store.array("processing/behavior/position/data", values, chunks=(2, 1), unit="m",
                conversion=0.5, offset=0.0)
    store.array("processing/behavior/position/timestamps", np.arange(5) / 4, chunks=(2,))
    return read(folder / "a.zarr", tables={"trials": {"start_time": [0, 1], "side": ["left", "right"]}},
                series={"position": (np.arange(5) / 4, values / 2)}, units_of_series={"position": "m"})


@case
def fortran_order_and_slashes(folder):
    """Chunks in Fortran order whose names have slashes."""
    store = Store(folder / "a.zarr", "gzip").units()
    store.group("processing")
    store.group("processing/behavior", neurodata_type="ProcessingModule")
    store.group("processing/behavior/eye", neurodata_type="TimeSeries")
    values = np.arange(21.0).reshape(7, 3)
    store.array("processing/behavior/eye/data", values, chunks=(3, 2), order="F", separator="/",
                unit="deg", conversion=1.0)
    store.array("processing/behavior/eye/starting_time", np.array([0.5]), rate=10.0, unit="s",
                zarr_dtype="scalar")
    return read(folder / "a.zarr", series={"eye": (0.5 + np.arange(7) / 10, values)})


@case
def regions_through_electrode_groups(folder):
    """References in a column lead to the groups whose location is the region."""
    store = Store(folder / "a.zarr").units("electrode_group")
    store.objects("units/electrode_group",
                  [{"path": "/general/extracellular_ephys/shank0", "source": "."},
                   {"path": "/general/extracellular_ephys/shank1", "source": "."}],
                  zarr_dtype="object")
    store.group("general")
    store.group("general/extracellular_ephys")
    store.group("general/extracellular_ephys/shank0", location="VISp")
    store.group("general/extracellular_ephys/shank1", location="LGd")
    return read(folder / "a.zarr", regions={3: "VISp", 7: "LGd"})


@case
def link_inside_the_store(folder):
    """A link within the store leads to what it names."""
    store = Store(folder / "a.zarr").units()
    store.group("scratch")
    (folder / "a.zarr/units/spike_times").rename(folder / "a.zarr/scratch/times")
    store.json("units/.zattrs", {
        "colnames": ["spike_times"], "neurodata_type": "Units",
        "zarr_link": [{"name": "spike_times", "path": "/scratch/times", "source": "."}]})
    return read(folder / "a.zarr")


@case
def link_to_another_store(folder):
    """A link out of the store is named and never followed."""
    Store(folder / "b.zarr").units()
    store = Store(folder / "a.zarr").units()
    for file in (folder / "a.zarr/units/spike_times").iterdir():
        file.unlink()
    (folder / "a.zarr/units/spike_times").rmdir()
    store.json("units/.zattrs", {
        "colnames": ["spike_times"], "neurodata_type": "Units",
        "zarr_link": [{"name": "spike_times", "path": "/units/spike_times", "source": "../b.zarr"}]})
    return Expect(path=folder / "a.zarr", refused=("units/spike_times", "../b.zarr"))


@case
def several_stores_are_named(folder):
    """Two stores in a folder: the choices are told."""
    Store(folder / "a.zarr").units()
    Store(folder / "b.zarr").units()
    return Expect(path=folder, refused=("options.store", "a.zarr, b.zarr"))


@case
def one_of_several_stores(folder):
    """The option store says which."""
    Store(folder / "a.zarr")
    Store(folder / "b.zarr").units()
    return read(folder, options={"store": "b.zarr"})


@case
def zarr_of_version_3(folder):
    """Zarr v3 is refused by name."""
    (folder / "a.zarr").mkdir()
    (folder / "a.zarr/zarr.json").write_text(json.dumps(
        {"zarr_format": 3, "node_type": "group", "attributes": {"nwb_version": "2.8.0"}}))
    return Expect(path=folder / "a.zarr", refused=("files", "Zarr v3; v2 is read"))


@case
def raw_data_are_not_sent(folder):
    """A raw signal in many chunks stays where it is; the rest is read."""
    store = Store(folder / "a.zarr").units()
    store.group("acquisition")
    store.group("acquisition/raw", neurodata_type="ElectricalSeries")
    store.array("acquisition/raw/data", np.ones((40, 4), "i2"), chunks=(8, 4), unit="V", conversion=1.0)
    store.array("acquisition/raw/starting_time", np.array([0.0]), rate=10.0, unit="s")
    return read(folder / "a.zarr", warnings=["raw"])


@case
def small_behaviour_in_acquisition(folder):
    """A series of one chunk in acquisition is read."""
    store = Store(folder / "a.zarr").units()
    store.group("acquisition")
    store.group("acquisition/wheel", neurodata_type="TimeSeries")
    store.array("acquisition/wheel/data", np.array([1.0, 2.0, 4.0]), unit="cm", conversion=1.0)
    store.array("acquisition/wheel/timestamps", np.array([0.0, 0.5, 1.0]))
    return read(folder / "a.zarr", series={"wheel": ([0, 0.5, 1], [1, 2, 4])})
