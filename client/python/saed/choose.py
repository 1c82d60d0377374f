"""Which files of a folder an import needs, told by the server."""

import os
import re
import warnings

from saed.v1 import recordings_pb2

_MOST_FILES, _MOST_NAMES = 100_000, 32 << 20  # of a folder; bytes of all names
_MOST_SENT, _SHOWN = 20_000, 20  # files of one recording; names of files that no format reads
_LONGEST_NAME, _LONGEST_PART = 1000, 200  # bytes, of what the server takes
_SKETCH, _SKETCHED = 4096, 8 << 20  # bytes at either end of a file; of all files together

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _pattern(text):
    """A pattern of ListFormats: '*' is any run of characters but '/', '**' any run at all."""
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile("".join({"**": "(?s:.*)", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts))


def _hidden(name):
    return name.startswith(".") and not name.startswith(".z")


class _LeftOut:
    """What is left out, counted by its kind."""

    def __init__(self):
        self._kinds = {}

    def add(self, kind, name):
        first = self._kinds.setdefault(kind, [0, name])
        first[0] += 1

    def lines(self):
        return [f"{count} {kind.replace('s ', ' ', 1) if count == 1 else kind} left out, the "
                f"first is {_shown(first)}" for kind, (count, first) in sorted(self._kinds.items())]


def _shown(name):
    text = _CONTROL.sub("?", os.fsencode(name).decode("utf-8", "replace"))
    return text.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")


def _wrong_name(name):
    """Why a file cannot be sent under this name; None where it can."""
    try:
        parts = name.encode("utf-8").split(b"/")
    except UnicodeEncodeError:
        return "files with a name that is not UTF-8"
    if _CONTROL.search(name):
        return "files with control characters in the name"
    longest, size = max(map(len, parts)), sum(map(len, parts)) + len(parts) - 1
    if longest > _LONGEST_PART or size > _LONGEST_NAME:
        return "files with a name that is too long"
    return None


def _why_not(path, root):
    """Why an entry that is no folder to walk into is no file to send; None where it is one."""
    if os.path.islink(path):
        if not os.path.exists(path):
            return "links to nowhere"
        if not os.path.realpath(path).startswith(os.path.join(root, "")):
            return "links out of the folder"
        if os.path.isdir(path):
            return "links to folders"
    return None if os.path.isfile(path) else "files without content (FIFO, socket, device)"


def _walk(folder, left_out):
    """Names and paths of the files in a folder, those that lie higher first. Links lead to files
    inside the folder only."""
    def fail(error):
        raise error

    root, out, names = os.path.realpath(folder), [], 0
    for at, folders, files in os.walk(folder, onerror=fail):
        links = [f for f in folders if os.path.islink(os.path.join(at, f))]
        folders[:] = [f for f in folders if not _hidden(f)]
        for base in sorted(files + links):
            path = os.path.join(at, base)
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            if _hidden(base):
                continue
            why = _why_not(path, root) or _wrong_name(name)
            if why:
                left_out.add(why, name)
                continue
            out.append((name, path))
            names += len(name.encode())
            if len(out) > _MOST_FILES or names > _MOST_NAMES:
                raise ValueError(f"{folder} holds more than {_MOST_FILES} files, or more than "
                                 f"{_MOST_NAMES >> 20} MB of names; name the folder of one "
                                 "recording")
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


def _tables(files, taken):
    """Paths of tables right in the folder that are not taken."""
    return [f for name, f in files if taken and (name, f) not in taken
            and name.endswith((".csv", ".tsv")) and "/" not in name]


def warn_of_unread(tables, given, recording):
    """Warns of tables that were neither given by themselves nor are in the recording under their
    name."""
    given = {os.path.realpath(f) for f in given}
    known = {*recording.interval_tables, *(s.name for s in recording.series)}
    names = [os.path.basename(f) for f in tables if os.path.realpath(f) not in given
             and os.path.splitext(os.path.basename(f))[0] not in known]
    if not names:
        return
    others = len(names) - 1
    which = (f"{names[0]} and {others} other table{'s' * (others > 1)} lie" if others
             else f"{names[0]} lies")
    warnings.warn(f"{which} beside the data and {'are' if others else 'is'} not read; tables are "
                  "found as units.csv, trials.csv, intervals/NAME.csv and series/NAME.csv, or "
                  "given as units, intervals and series", stacklevel=3)


def choose_files(client, path, format):
    """The format of the file or folder at path, the names and paths of the files it reads, what of
    the folder is left out though it may be the user's, in lines, and paths of tables right in the
    folder that are not among the files."""
    if not path.exists():
        raise FileNotFoundError(f"cannot read {path}: it is no file or folder")
    folder = path.is_dir()
    left_out = _LeftOut()
    files = _walk(path, left_out) if folder else [(path.name, str(path))]
    patterns = {f.name: [_pattern(p) for p in f.files] for f in client.formats()}

    def reads(name, formats):
        return any(p.fullmatch(name) for f in formats for p in patterns[f])

    nwb = [name for name, _ in files if name.endswith(".nwb")]
    if len(nwb) > 1 and format in (None, "nwb"):
        raise ValueError(f"{path} holds {len(nwb)} recordings, each an NWB file of its own; name "
                         f"one: {', '.join(nwb[:10])}")

    def chosen(name, wanted):
        if len(wanted) > _MOST_SENT:
            raise ValueError(f"{path} holds {len(wanted)} files of the format {name}, of which at "
                             f"most {_MOST_SENT} are sent; name the folder of one recording")
        return name, wanted, left_out.lines(), _tables(files, set(wanted))

    if format is not None:  # one that the server does not know is refused by it
        taken = [f for f in files
                 if format in patterns and (not folder or reads(f[0], [format]))]
        return chosen(format, taken)
    request, room, others = recordings_pb2.DetectFormatRequest(), _SKETCHED, 0
    for name, file in files:
        wanted = reads(name, patterns) or len(files) == 1
        others += not wanted
        if wanted or others <= _SHOWN:
            request.files.append(_sketch(name, file, room if wanted else 0))
            room -= len(request.files[-1].head) + len(request.files[-1].tail)
    answer = client._call(client.recordings.DetectFormat, request)
    wanted = set(answer.files)
    taken = [f for f in files if f[0] in wanted or not folder]
    return chosen(answer.format.name, taken)
