#!/usr/bin/python3
"""Writes the first inputs of the targets that import: the small ones of the acceptance cases of
tests/acceptance/field, as import_input.h has them, and what the reading process leaves.

    make_import_seeds.py     (needs h5py and scipy; what libFuzzer added is kept)
"""
import inspect
import pathlib
import re
import struct
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"
sys.path.insert(0, str(HERE.parent / "acceptance"))
from field import all_cases  # noqa: E402

MOST, MOST_OF_ALL = 16 << 10, 700 << 10  # bytes of an input, and of all of a format
FORMATS = re.findall(r"^  X\((\w+)\)", (
    HERE / "../../server/recordings/readers/registry.h").read_text(), re.MULTILINE)


def seed(target, name, data):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / f"seed_{name}").write_bytes(data)


def files_of(path):
    """{name: bytes}, as a client sends them; None where something is no file to take along."""
    if not path.is_dir():
        return {path.name: path.read_bytes()} if path.is_file() else None
    found = sorted(p for p in path.rglob("*") if not p.is_dir())
    if any(not p.is_file() for p in found):
        return None
    return {str(p.relative_to(path)): p.read_bytes() for p in found}


def framed(expect, files):
    options = dict(expect.options)
    for name in ("sampling_rate", "bin_width"):
        if getattr(expect, name):
            options[name] = repr(getattr(expect, name))
    if expect.strict:
        options["strict"] = 1
    files = dict(files)
    for role, tables in (("intervals", expect.intervals), ("series", expect.series_files),
                         ("units", {"units": expect.units_file} if expect.units_file else {})):
        for name, path in tables.items():
            files[f"{role}:{name}"] = pathlib.Path(path).read_bytes()
    text = b"".join(f"{k}={v}\n".encode() for k, v in options.items())
    return text + b"\n".join(f"---- {n}\n".encode() + b for n, b in files.items())


def format_of(module, expect, files):
    """Also of what is refused: by what the case says, its module or its files."""
    for word in (expect.format, expect.source, module):
        if word in FORMATS:
            return word
    names = " ".join(files)
    if ".zgroup" in names or ".zmetadata" in names:
        return "nwb_zarr"
    for ending, format_ in ((".nwb", "nwb"), (".mat", "matlab"), ("spike_times.npy", "phy"),
                            (".npz", "pynapple"), (".csv", "spikes"), (".npy", "counts")):
        if ending in names:
            return format_
    return None


def seeds_of_cases():
    made = {name: {} for name in FORMATS}
    for module, make in all_cases():
        source = inspect.getsource(make)
        if "DATA" in source or "real(" in source:  # real recordings stay where they are
            continue
        with tempfile.TemporaryDirectory() as folder:
            expect = make(pathlib.Path(folder))
            path = pathlib.Path(expect.path)
            if not path.is_relative_to(folder):
                continue
            files = files_of(path)
            format_ = format_of(module, expect, files or {})
            if not files or format_ is None or sum(map(len, files.values())) > MOST:
                continue
            data = framed(expect, files)
        if len(data) <= MOST:
            made[format_][data] = make.__name__
    made["traces"] |= made["counts"]  # the same files, otherwise understood
    return made


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def array(*values):
    return struct.pack(f"<Q{len(values)}d", len(values), *values)


def many(*items):
    return struct.pack("<Q", len(items)) + b"".join(items)


def column(name, kind, values):
    return text(name) + bytes([kind]) + values


def recording(magic="SAEDREC1", counts=b"", bins=0, bin_width=0.0, spikes=True, observed=()):
    """store_format.cc: two units, a table, a series."""
    second = magic == "SAEDREC2"
    trains = ([0.1, 0.2], [0.5]) if spikes else ([], [])
    out = text(magic) + text("nwb") + struct.pack("<dd", 30000, bins * bin_width or 0.7)
    out += many(*(struct.pack("<q", i) + text("good") + text("VISp") + struct.pack("<d", 10)
                  + (struct.pack("<Q", len(t)) if second else array(*t))
                  for i, t in enumerate(trains)))
    out += text("units") + many(column("fr", 0, array(1, 2)),
                                column("tags", 2, many(many(text("a")), many())))
    out += text("electrodes") + many(column("location", 1, many(text("VISp"))))
    out += many(text("trials") + many(column("side", 1, many(text("left")))) + array(0.1) + array(0.4))
    out += many(text("position") + text("m") + many(text("x")) + array(0.0, 0.1) + array(1, 2))
    out += struct.pack("<dBq", bin_width, 0, bins)
    if second:
        out += array(*observed) + array(0.0, 0.6) + array()
    out += struct.pack("<Q", len(counts))
    if second:
        out += bytes(-len(out) % 8)
        out += b"".join(struct.pack(f"<{len(t)}d", *t) for t in trains)
    return out + counts


if __name__ == "__main__":
    for target, inputs in seeds_of_cases().items():
        total = 0
        for data, name in sorted(inputs.items(), key=lambda i: len(i[0])):
            total += len(data)
            if total > MOST_OF_ALL:
                break
            seed(target, name, data)
        print(target, len(inputs), "inputs")
    seed("store_format", "spikes", recording())
    seed("store_format", "counts", recording(counts=bytes(range(8)), bins=4, bin_width=0.5, spikes=False))
    seed("store_format", "observed", recording("SAEDREC2", observed=(0.0, 0.3, 0.4, 0.7)))
    seed("store_format", "observed_counts", recording(
        "SAEDREC2", bytes(range(8)), 4, 0.5, False, (0.0, 1.0)))
    seed("import_wire", "fine", struct.pack("<i", 0) + text("") + text("") + many() + many(
        text("trials.csv: 2 rows dropped"), text("units: none")))
    seed("import_wire", "refused", struct.pack("<i", 3) + text("no") + text("READER_LIMIT") + many(
        text("format") + text("is 'x'; must be one of nwb")) + many(text("w")))
    seed("import_wire", "question", text("nwb") + struct.pack("<dd", 30000, 0.02) + many(
        text("units_table") + text("units")) + b"\1" + many(text("link, leads out")) + many(
        struct.pack("<i", 1) + text("trials") + text("/tmp/x") + text("/tmp")))
