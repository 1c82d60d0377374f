"""Recordings: import, look, rename, download."""

import hashlib
import json
import os
import pathlib
import re
import warnings

import numpy as np

from saed.calls import unhurried
from saed.choose import choose_files, warn_of_unread
from saed.frames import frame
from saed.v1 import jobs_pb2, models_pb2, recordings_pb2
from saed.values import Series

_CHUNK = 256 << 10  # bytes; stays in the cache at both ends


def _name_of(path):
    """What a downloaded recording was called; else the file's or folder's name, unless it looks
    like an id, which is no name."""
    whole = path.resolve()
    try:
        name = json.loads((whole / "recording.json").read_text())["name"]
        if isinstance(name, str):
            return name
    except (OSError, ValueError, LookupError, TypeError):
        pass  # no downloaded recording
    name = whole.name if path.is_dir() else whole.stem
    return "" if re.fullmatch("[0-9a-f]{16}", name) else name


def _warn_of_ignored(recording, name, private):
    if name and name != recording.display_name:
        warnings.warn(f"{recording.name} was there already and keeps its name, "
                      f"{recording.display_name}; rename() gives it another", stacklevel=3)
    if private and not recording.private:
        warnings.warn(f"{recording.name} was there already and stays shared; private is for "
                      "recordings that are new", stacklevel=3)


def _file_messages(role, name, path):
    """Header, chunks and digest of a file, which is read once."""
    digest = hashlib.sha256()
    with open(path, "rb") as data:
        before = os.fstat(data.fileno())
        yield recordings_pb2.ImportRecordingRequest(file=recordings_pb2.FileHeader(
            role=role, name=name, size=before.st_size))
        while chunk := data.read(_CHUNK):
            digest.update(chunk)
            yield recordings_pb2.ImportRecordingRequest(chunk=chunk)
        after = os.fstat(data.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise IOError(f"{path} changed while it was sent; import it when it is finished")
    yield recordings_pb2.ImportRecordingRequest(sha256=digest.hexdigest())


class RecordingCalls:
    """Of a Client."""

    @unhurried
    def import_recording(self, path, format=None, name="", sampling_rate=0.0, bin_width=0.0,
                         intervals=None, series=None, units=None, options=None, strict=False,
                         private=False):
        """Uploads the file or folder of a recording, with tables of intervals and series as
        {name: path} and one of columns by unit id (units). format: a name of formats(), default
        what the files are; options: those of the format. units.csv, trials.csv, intervals/*.csv and
        series/*.csv in a folder are taken as tables by themselves. strict: refuse instead of leaving
        out or mending anything. Returns the recording, whose warnings say what was left out or
        mended; the same content again returns the same one."""
        path = pathlib.Path(path)
        format, main, left_out, tables = choose_files(self, path, format)
        header = recordings_pb2.ImportHeader(
            format_name=format, display_name=name or _name_of(path), sampling_rate=sampling_rate,
            bin_width=bin_width, options=options or {}, strict=strict, private=private,
            left_out=left_out)
        roles = recordings_pb2.FileHeader
        files = [(roles.ROLE_MAIN, n, f) for n, f in main]
        files += [(roles.ROLE_INTERVALS, n, f) for n, f in (intervals or {}).items()]
        files += [(roles.ROLE_SERIES, n, f) for n, f in (series or {}).items()]
        if units is not None:
            files.append((roles.ROLE_UNITS, pathlib.Path(units).name, units))

        def messages():
            yield recordings_pb2.ImportRecordingRequest(header=header)
            for role, file_name, file in files:
                yield from _file_messages(role, file_name, file)

        answer = self._call(self.recordings.ImportRecording, messages())
        warn_of_unread(tables, [f for role, _, f in files if role != roles.ROLE_MAIN],
                       answer.recording)
        if not answer.created:
            _warn_of_ignored(answer.recording, name, private)
        return answer.recording

    def formats(self):
        """What can be imported: name, title, what each needs, its options."""
        return list(self._call(self.recordings.ListFormats,
                               recordings_pb2.ListFormatsRequest()).formats)

    def rename(self, thing, name):
        """Gives a recording, a job ("jobs/…") or a model ("models/…") another name for people, and
        returns it. A recording's name serves wherever its id does."""
        kind = thing.partition("/")[0]
        if kind == "jobs":
            call, answer = self.jobs.UpdateJob, "job"
            request = jobs_pb2.UpdateJobRequest(name=thing, display_name=name)
        elif kind == "models":
            call, answer = self.models.UpdateModel, "model"
            request = models_pb2.UpdateModelRequest(name=thing, display_name=name)
        else:
            call, answer = self.recordings.UpdateRecording, "recording"
            request = recordings_pb2.UpdateRecordingRequest(name=thing, display_name=name)
        request.update_mask.paths.append("display_name")
        return getattr(self._call(call, request), answer)

    def share(self, recording):
        """Lets everyone on the server see a recording and what is made from it; returns it."""
        return self._set_private(recording, False)

    def hide(self, recording):
        """Lets only its owner see a recording and what is made from it; returns it."""
        return self._set_private(recording, True)

    def _set_private(self, recording, private):
        request = recordings_pb2.UpdateRecordingRequest(name=recording, private=private)
        request.update_mask.paths.append("private")
        return self._call(self.recordings.UpdateRecording, request).recording

    def delete_recording(self, recording):
        """Deletes a recording that nothing uses."""
        self._call(self.recordings.DeleteRecording,
                   recordings_pb2.DeleteRecordingRequest(name=recording))

    def get_recording(self, recording):
        return self._call(self.recordings.GetRecording,
                          recordings_pb2.GetRecordingRequest(name=recording)).recording

    def simulate(self, kind="planted", level="easy", seed=0, name="", **sizes):
        """Makes a recording with known structure: kind "rat" or "planted"."""
        request = recordings_pb2.SimulateRecordingRequest(display_name=name)
        if kind == "rat":
            request.rat.SetInParent()
        else:
            request.planted.CopyFrom(
                recordings_pb2.PlantedSimulation(level=level, seed=seed, **sizes))
        return self._call(self.recordings.SimulateRecording, request).recording

    def list_recordings(self, limit=None):
        return list(self._pages(self.recordings.ListRecordings,
                                recordings_pb2.ListRecordingsRequest(), "recordings", limit))

    def list_units(self, recording, limit=None, as_frame=False):
        """Its units; as_frame: as a pandas.DataFrame, with their further columns."""
        units = list(self._pages(self.recordings.ListUnits,
                                 recordings_pb2.ListUnitsRequest(parent=recording), "units", limit))
        return frame(units) if as_frame else units

    def list_interval_tables(self, recording):
        return list(self._pages(self.recordings.ListIntervalTables,
                                recordings_pb2.ListIntervalTablesRequest(parent=recording),
                                "interval_tables", None))

    @unhurried
    def spikes(self, recording):
        """The spike times of every unit, as a dict of unit ids and float64 arrays, s."""
        header, data = self._download(recording)
        if header.counts_dtype:
            raise ValueError(f"{recording} came as a count matrix and has no spike times; "
                             "use counts()")
        stops = np.cumsum(header.spike_counts)
        trains = np.split(np.frombuffer(data, "<f8"), stops[:-1]) if len(stops) else []
        return dict(zip(header.unit_ids, trains))

    @unhurried
    def counts(self, recording):
        """The counts [bins, units] of a recording that came as a count matrix; bin_width and units
        are in the recording and list_units()."""
        header, data = self._download(recording)
        if not header.counts_dtype:
            raise ValueError(f"{recording} has spike times and no count matrix; use spikes()")
        dtype = {"u8": "u1", "u16": "<u2", "f32": "<f4"}[header.counts_dtype]
        return np.frombuffer(data, dtype).reshape(header.bins, len(header.unit_ids))

    @unhurried
    def interval_table(self, recording, name, as_frame=False):
        """An interval table as a dict of columns: float64 arrays of numbers (NaN where missing),
        lists of texts, or lists of lists; as_frame: as a pandas.DataFrame."""
        _, data = self._download(recording, interval_table=name)

        def column(values):
            number = {"Infinity": np.inf, "-Infinity": -np.inf, None: np.nan}
            if any(isinstance(v, (str, list)) and (isinstance(v, list) or v not in number)
                   for v in values):
                return values
            return np.array([number[v] if v is None or isinstance(v, str) else v for v in values],
                            np.float64)

        table = {k: column(v) for k, v in json.loads(bytes(data).decode()).items()}
        return frame(table) if as_frame else table

    @unhurried
    def series(self, recording, name):
        """A behavioural series (Series); saed.frame() makes a table of it."""
        header, data = self._download(recording, series=name)
        summary = header.series
        numbers = np.frombuffer(data, "<f8")
        return Series(summary.name, summary.unit, list(summary.channels),
                      numbers[:summary.samples],
                      numbers[summary.samples:].reshape(summary.samples, len(summary.channels)))

    def _download(self, recording, **part):
        """Header and bytes of a download, whose digest is checked."""
        request = recordings_pb2.DownloadRecordingRequest(name=recording, **part)
        header, data, digest, told = None, bytearray(), hashlib.sha256(), ""
        for message in self._stream(self.recordings.DownloadRecording, request):
            kind = message.WhichOneof("part")
            if kind == "header":
                header = message.header
            elif kind == "chunk":
                data += message.chunk
                digest.update(message.chunk)
            else:
                told = message.sha256
        if told != digest.hexdigest():
            raise IOError(f"what came of {recording} is damaged; download it again")
        return header, data
