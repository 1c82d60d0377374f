"""Which files of a folder an import needs, told by the server."""

import os
import re
import warnings

from saed.v1 import recordings_pb2

_MOST_FILES, _MOST_SENT, _SHOWN = 100_000, 20_000, 20
_SKETCH, _SKETCHED = 4096, 8 << 20  # bytes at either end of a file; of all files together


def _pattern(text):
    """A pattern of ListFormats: '*' is any run of characters but '/', '**' any run at all."""
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile("".join({"**": "(?s:.*)", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts))


def _hidden(name):
    return name.startswith(".") and not name.startswith(".z")


def _walk(folder):
    """Names and paths of the files in a folder, those that lie higher first. Links lead to files
    inside the folder only."""
    root, out = os.path.realpath(folder), []
    for at, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not _hidden(f)]
        for base in files:
            path = os.path.join(at, base)
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            if _hidden(base) or not os.path.isfile(path):
                continue
            if os.path.islink(path) and not os.path.realpath(path).startswith(root + os.sep):
                warnings.warn(f"{name} is a link out of the folder and is left out")
                continue
            out.append((name, path))
            if len(out) > _MOST_FILES:
                raise ValueError(f"{folder} holds more than {_MOST_FILES} files; name the folder "
                                 "of one recording")
    return sorted(out, key=lambda f: (f[0].count("/"), f[0]))


def _sketch(name, path, room):
    size = os.path.getsize(path)
    part = min(_SKETCH, size)
    sketch = recordings_pb2.FileSketch(name=name, size=size)
    if 2 * part <= room:
        with open(path, "rb") as data:
            sketch.head = data.read(part)
            data.seek(size - part)
            sketch.tail = data.read(part)
    return sketch


def _warn_of_unsent(files, taken):
    for name, _ in set(files) - set(taken) if taken else ():
        if name.endswith((".csv", ".tsv")) and "/" not in name:
            warnings.warn(f"{name} lies beside the data and is not read; tables are found as "
                          "units.csv, trials.csv, intervals/NAME.csv and series/NAME.csv, or given "
                          "as units, intervals and series", stacklevel=4)


def choose_files(client, path, format):
    """The format of the file or folder at path, and the names and paths of the files it reads."""
    if not path.exists():
        raise FileNotFoundError(f"cannot read {path}: it is no file or folder")
    folder = path.is_dir()
    files = _walk(path) if folder else [(path.name, str(path))]
    patterns = {f.name: [_pattern(p) for p in f.files] for f in client.formats()}

    def reads(name, formats):
        return any(p.fullmatch(name) for f in formats for p in patterns[f])

    nwb = [name for name, _ in files if name.endswith(".nwb")]
    if len(nwb) > 1 and format in (None, "nwb"):
        raise ValueError(f"{path} holds {len(nwb)} recordings, each an NWB file of its own; name "
                         f"one: {', '.join(nwb[:10])}")
    if format is not None:  # one that the server does not know is refused by it
        taken = [f for f in files
                 if format in patterns and (not folder or reads(f[0], [format]))]
        _warn_of_unsent(files, taken)
        return format, taken
    request, room, others = recordings_pb2.DetectFormatRequest(), _SKETCHED, 0
    for name, file in files[:_MOST_SENT]:
        wanted = reads(name, patterns) or len(files) == 1
        others += not wanted
        if wanted or others <= _SHOWN:
            request.files.append(_sketch(name, file, room if wanted else 0))
            room -= len(request.files[-1].head) + len(request.files[-1].tail)
    answer = client._call(client.recordings.DetectFormat, request)
    wanted = set(answer.files)
    taken = [f for f in files if f[0] in wanted or not folder]
    _warn_of_unsent(files, taken)
    return answer.format.name, taken
