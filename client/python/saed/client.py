"""The client: one method per thing a person does, protocol messages as answers."""

import dataclasses
import getpass
import hashlib
import json
import os
import pathlib
import uuid

import grpc
import numpy as np
from google.rpc import error_details_pb2, status_pb2

from saed.v1 import (admin_pb2_grpc, features_pb2, features_pb2_grpc, inference_pb2, inference_pb2_grpc, jobs_pb2,
                     jobs_pb2_grpc, models_pb2, models_pb2_grpc, recordings_pb2,
                     recordings_pb2_grpc, server_pb2, server_pb2_grpc, sweeps_pb2, sweeps_pb2_grpc,
                     types_pb2)
from saed.choose import choose_files

_CHUNK = 1 << 20
_DTYPES = {np.dtype("u1"): types_pb2.DATA_TYPE_U8, np.dtype("<u2"): types_pb2.DATA_TYPE_U16,
           np.dtype("<f4"): types_pb2.DATA_TYPE_F32}


class Error(Exception):
    """What the server refused, and why. `code` is a grpc.StatusCode, `fields` maps each wrong
    field to what is wrong with it, `reason` is stable and machine-readable, `request_id` is what
    the server's log calls the request."""

    def __init__(self, rpc_error):
        self.code = rpc_error.code()
        self.fields, self.reason, self.request_id = {}, "", ""
        for key, value in rpc_error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
                request = error_details_pb2.RequestInfo()
                if detail.Unpack(bad):
                    self.fields = {v.field: v.description for v in bad.field_violations}
                elif detail.Unpack(info):
                    self.reason = info.reason
                elif detail.Unpack(request):
                    self.request_id = request.request_id
        super().__init__(f"{self.code.name}: {rpc_error.details()}")


@dataclasses.dataclass
class Codes:
    """Sparse codes of a batch, as in SciPy's CSR: entries of window i are
    row_offsets[i]:row_offsets[i+1] of indices (latents) and values (activations)."""
    row_offsets: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    features: int
    reconstruction: np.ndarray | None = None

    def dense(self):
        """Activations [windows, features]."""
        rows = np.repeat(np.arange(len(self.row_offsets) - 1), np.diff(self.row_offsets))
        out = np.zeros((len(self.row_offsets) - 1, self.features), np.float32)
        out[rows, self.indices] = self.values
        return out


@dataclasses.dataclass
class Series:
    """A behavioural series: timestamps [samples] in s, values [samples, channels] in `unit`."""
    name: str
    unit: str
    channels: list
    timestamps: np.ndarray
    values: np.ndarray


def connect(address="127.0.0.1:7070", token=None, ca=None, certificate=None, key=None):
    """A client of the server at host:port (or unix:path). token: default the environment's
    SAED_TOKEN. ca, certificate, key: PEM files; with ca (default SAED_TLS_CA) TLS is used."""
    options = [("grpc.max_receive_message_length", -1)]
    ca = ca or os.environ.get("SAED_TLS_CA")
    if ca:
        texts = [pathlib.Path(f).read_bytes() if f else None for f in (ca, key, certificate)]
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*texts), options)
    else:
        channel = grpc.insecure_channel(address, options=options)
    return Client(channel, token or os.environ.get("SAED_TOKEN"))


def _add_values(out, values):
    for value in values:
        if isinstance(value, bool):
            out.add(bool_value=value)
        elif isinstance(value, str):
            out.add(string_value=value)
        else:
            out.add(number_value=float(value))


def _priority(name):
    return jobs_pb2.JobPriority.Value("JOB_PRIORITY_" + name.upper())


def _tensor_to_array(tensor):
    dtype = {v: k for k, v in _DTYPES.items()}[tensor.dtype]
    return np.frombuffer(tensor.data, dtype).reshape(tuple(tensor.shape))


def _name_of(path):
    whole = path.resolve()
    return whole.name if path.is_dir() else whole.stem


class Client:
    """Thread-safe, as gRPC channels are."""

    def __init__(self, channel, token=None):
        self._metadata = [("authorization", f"Bearer {token}")] if token else None
        self.recordings = recordings_pb2_grpc.RecordingServiceStub(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)
        self.models = models_pb2_grpc.ModelServiceStub(channel)
        self.inference = inference_pb2_grpc.InferenceServiceStub(channel)
        self.features = features_pb2_grpc.FeatureServiceStub(channel)
        self.server = server_pb2_grpc.ServerServiceStub(channel)
        self.sweeps = sweeps_pb2_grpc.SweepServiceStub(channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)

    def _call(self, method, request):
        try:
            return method(request, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from None

    def _stream(self, method, request):
        try:
            yield from method(request, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from None

    def _pages(self, method, request, field, limit):
        while True:
            request.page_size = 1000 if limit is None else min(1000, limit)
            answer = self._call(method, request)
            rows = getattr(answer, field)
            yield from rows
            if limit is not None:
                limit -= len(rows)
            if not answer.next_page_token or limit == 0:
                return
            request.page_token = answer.next_page_token

    # Recordings.

    def import_recording(self, path, format=None, name="", sampling_rate=0.0, bin_width=0.0,
                         intervals=None, series=None, units=None, options=None, strict=False,
                         private=False):
        """Uploads the file or folder of a recording, with tables of intervals and series as
        {name: path} and one of columns by unit id (units). format: a name of formats(), default
        what the files are; options: those of the format. strict: refuse instead of leaving out or
        mending anything. Returns the recording, whose warnings say what was left out or mended; the
        same content again returns the same one."""
        path = pathlib.Path(path)
        format, main, left_out = choose_files(self, path, format)
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
                digest = hashlib.sha256()
                with open(file, "rb") as data:
                    while chunk := data.read(_CHUNK):
                        digest.update(chunk)
                    yield recordings_pb2.ImportRecordingRequest(file=roles(
                        role=role, name=file_name, size=os.path.getsize(file),
                        sha256=digest.hexdigest()))
                    data.seek(0)
                    while chunk := data.read(_CHUNK):
                        yield recordings_pb2.ImportRecordingRequest(chunk=chunk)

        return self._call(self.recordings.ImportRecording, messages()).recording

    def formats(self):
        """What can be imported: name, title, what each needs, its options."""
        return list(self._call(self.recordings.ListFormats,
                               recordings_pb2.ListFormatsRequest()).formats)

    def rename(self, recording, name):
        """Gives a recording another name for people, which serves wherever its id does."""
        request = recordings_pb2.UpdateRecordingRequest(name=recording, display_name=name)
        request.update_mask.paths.append("display_name")
        return self._call(self.recordings.UpdateRecording, request).recording

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

    def list_units(self, recording, limit=None):
        return list(self._pages(self.recordings.ListUnits,
                                recordings_pb2.ListUnitsRequest(parent=recording), "units", limit))

    def list_interval_tables(self, recording):
        request = recordings_pb2.ListIntervalTablesRequest(parent=recording)
        return list(self._call(self.recordings.ListIntervalTables, request).interval_tables)

    def spikes(self, recording):
        """The spike times of every unit, as a dict of unit ids and float64 arrays, s."""
        header, data = self._download(recording)
        if header.counts_dtype:
            raise ValueError(f"{recording} came as a count matrix and has no spike times; "
                             "use counts()")
        stops = np.cumsum(header.spike_counts)
        trains = np.split(np.frombuffer(data, "<f8"), stops[:-1]) if len(stops) else []
        return dict(zip(header.unit_ids, trains))

    def counts(self, recording):
        """The counts [bins, units] of a recording that came as a count matrix; bin_width and units
        are in the recording and list_units()."""
        header, data = self._download(recording)
        if not header.counts_dtype:
            raise ValueError(f"{recording} has spike times and no count matrix; use spikes()")
        dtype = {"u8": "u1", "u16": "<u2", "f32": "<f4"}[header.counts_dtype]
        return np.frombuffer(data, dtype).reshape(header.bins, len(header.unit_ids))

    def interval_table(self, recording, name):
        """An interval table as a dict of columns: float64 arrays of numbers (NaN where missing),
        lists of texts, or lists of lists."""
        _, data = self._download(recording, interval_table=name)

        def column(values):
            number = {"Infinity": np.inf, "-Infinity": -np.inf, None: np.nan}
            if any(isinstance(v, (str, list)) and (isinstance(v, list) or v not in number)
                   for v in values):
                return values
            return np.array([number[v] if v is None or isinstance(v, str) else v for v in values],
                            np.float64)

        return {k: column(v) for k, v in json.loads(bytes(data).decode()).items()}

    def series(self, recording, name):
        """A behavioural series (Series)."""
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

    def status(self):
        """The server's version, queue and kernels."""
        return self._call(self.server.GetServerStatus, server_pb2.GetServerStatusRequest())

    # Jobs.

    def train(self, recording, bin_width, *, name="", request_id=None, priority="normal", after=(),
              time_limit=0.0, **settings):
        """Queues a training job and returns it. settings: those of train_spec. priority: "low",
        "normal", "high" or "urgent"; after: jobs that must succeed before; time_limit: s of running
        after which it fails, 0 for none."""
        spec = self.train_spec(recording, bin_width, **settings)
        request = jobs_pb2.CreateJobRequest(request_id=request_id or str(uuid.uuid4()),
                                            display_name=name, train=spec, dependencies=after,
                                            priority=_priority(priority),
                                            time_limit_seconds=time_limit)
        return self._call(self.jobs.CreateJob, request).job

    @classmethod
    def train_spec(cls, recording, bin_width, features=None, k=None, levels=None, window=1, stride=1,
                   selection=None, loss=None, output=None, normaliser="none", labels=(), regions=(),
                   unit_ids=(), target=None, minimum_rate=0.0, mask=None, split=0.8,
                   learning_rate=4e-3, batch_size=1024, epochs=20, max_steps=0, seed=0,
                   conditions=None, aux=None, decoder_start=None, bias_start=None, revival=None,
                   resampling=None, penalty=None, subtract_bias=False, k_anneal=0.0, optimiser=None,
                   threads=0):
        """What train() trains and a sweep varies, as a message.

        levels: [(features, k), …] for Matryoshka, instead of features and k. split: a fraction, "in
        sample", or {"table", "column", "train", "test"}. conditions: a dict of names and
        expressions (see Condition in types.proto), such as {"hits": "around_start(trials, outcome =
        hit, 0, 0.5)", "fast": "speed > 20"}. aux, resampling, penalty, optimiser: None or dicts with
        the fields of AuxK, Resampling, Penalty and Optimiser. k_anneal: the part of training over
        which the k of TopK and BatchTopK falls to its value. selection: "relu", "top_k",
        "batch_top_k", "jump_relu" or "gated". target: None or a dict with recording, unit_labels,
        unit_ids, unit_regions and normaliser of a paired population."""
        spec = jobs_pb2.TrainSpec(recording=recording, batch_size=batch_size, epochs=epochs,
                                  max_steps=max_steps, seed=seed, threads=threads)
        view = spec.view
        view.bin_width, view.window, view.stride = bin_width, window, stride
        view.unit_labels.extend(labels)
        view.unit_regions.extend(regions)
        view.unit_ids.extend(unit_ids)
        if target is not None:
            target = dict(target)
            kind = target.pop("normaliser", "none")
            spec.target.CopyFrom(types_pb2.Target(
                normaliser=types_pb2.Normaliser.Value("NORMALISER_" + kind.upper()), **target))
        view.minimum_rate = minimum_rate
        view.normaliser = types_pb2.Normaliser.Value("NORMALISER_" + normaliser.upper())
        if mask is not None:
            view.mask.table, view.mask.filter = mask
        if isinstance(split, dict):
            view.split.column.CopyFrom(types_pb2.ColumnSplit(
                table=split["table"], column=split["column"], train_values=split["train"],
                test_values=split["test"]))
        elif split == "in sample":
            view.split.in_sample = True
        else:
            view.split.train_fraction = split
        for f, level_k in levels or [(features, k)]:
            spec.model.levels.add(features=f, k=level_k)
        if selection is not None:
            spec.model.selection = types_pb2.Selection.Value("SELECTION_" + selection.upper())
        if loss is not None:
            spec.model.loss = types_pb2.Loss.Value("LOSS_" + loss.upper())
        if revival is not None:
            spec.model.revival = types_pb2.Revival.Value("REVIVAL_" + revival.upper())
        if resampling is not None:
            spec.model.resampling.CopyFrom(types_pb2.Resampling(**resampling))
        if penalty is not None:
            spec.model.penalty.CopyFrom(types_pb2.Penalty(**penalty))
        spec.model.subtract_bias = subtract_bias
        spec.model.k_anneal_fraction = k_anneal
        if optimiser is not None:
            optimiser = dict(optimiser)
            kind = optimiser.pop("kind", "adam")
            spec.optimiser.CopyFrom(types_pb2.Optimiser(
                kind=types_pb2.OptimiserKind.Value("OPTIMISER_KIND_" + kind.upper()),
                **optimiser))
        if output is not None:
            spec.model.output = types_pb2.Output.Value("OUTPUT_" + output.upper())
        if decoder_start is not None:
            spec.model.decoder_start = types_pb2.DecoderStart.Value(
                "DECODER_START_" + decoder_start.upper())
        if bias_start is not None:
            spec.model.bias_start = types_pb2.BiasStart.Value("BIAS_START_" + bias_start.upper())
        if aux is not None:
            spec.model.aux.CopyFrom(types_pb2.AuxK(**aux))
        spec.optimiser.learning_rate = learning_rate
        cls._add_conditions(spec, conditions)
        return spec

    def analyse(self, model, recording, conditions=None, threads=0, name="", request_id=None,
                priority="normal", after=()):
        """Queues the building of another dictionary of a stored model, on the recording it was
        trained on or on another with its units, and returns the job. conditions: as of train."""
        spec = jobs_pb2.AnalyseSpec(model=model, recording=recording, threads=threads)
        self._add_conditions(spec, conditions)
        request = jobs_pb2.CreateJobRequest(request_id=request_id or str(uuid.uuid4()),
                                            display_name=name, analyse=spec, dependencies=after,
                                            priority=_priority(priority))
        return self._call(self.jobs.CreateJob, request).job

    @staticmethod
    def _add_conditions(spec, conditions):
        if not isinstance(conditions or {}, dict):
            raise TypeError(f"conditions: is a {type(conditions).__name__}; must be a dict of names "
                            "and expressions, such as {'fast': 'speed > 20'}")
        for label, expression in (conditions or {}).items():
            spec.conditions.add(name=label, expression=expression)

    def job(self, name):
        return self._call(self.jobs.GetJob, jobs_pb2.GetJobRequest(name=name)).job

    def cancel(self, name):
        return self._call(self.jobs.CancelJob, jobs_pb2.CancelJobRequest(name=name)).job

    def pause(self, name):
        """Lets a job wait, with all it has done, until it is resumed."""
        return self._call(self.jobs.PauseJob, jobs_pb2.PauseJobRequest(name=name)).job

    def resume(self, name):
        return self._call(self.jobs.ResumeJob, jobs_pb2.ResumeJobRequest(name=name)).job

    def watch(self, name, after=0):
        """Yields the job's progress from its beginning until it ends. after: the sequence of the last
        record that is known; -1: begin with the latest."""
        request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
        for event in self._stream(self.jobs.WatchJob, request):
            if event.HasField("progress"):
                yield event.progress

    def wait(self, name):
        """The job once it ended; raises RuntimeError where it failed or was cancelled."""
        for _ in self.watch(name, after=-1):
            pass
        job = self.job(name)
        if job.state != jobs_pb2.Job.STATE_SUCCEEDED:
            state = jobs_pb2.Job.State.Name(job.state)[6:]
            raise RuntimeError(f"{name} {state}: {job.error.message}")
        return job

    # Sweeps.

    def sweep(self, base, parameters, method="tpe", trials=40, seeds=1, rungs=1, reduction=3.0,
              objective="explained_variance", l0_target=0.0, condition=None, parallel=0,
              validation=0.2, core_seconds=0.0, seed=0, train_best=True, name="", request_id=None):
        """Begins a search for good settings and returns the sweep.

        base: a train_spec. parameters: a dict of fields and domains: a list of values, or a dict
        with low, high and perhaps logarithmic, integer and points; a dict may have values instead,
        and when=(field, [values]). Fields are short (lr, k, features, lambda, selection, loss,
        window) or paths such as "model.levels[0].k". method: "tpe", "random" or "grid". rungs:
        early stopping by successive halving; 1 for none. objective: "error", "explained_variance",
        "bits_per_spike" or "auroc" with condition=(name, expression)."""
        spec = sweeps_pb2.SweepSpec(
            base=base, trials=trials, seeds=seeds, parallel=parallel,
            validation_fraction=validation, core_seconds=core_seconds, seed=seed,
            skip_best=not train_best,
            method=sweeps_pb2.SweepMethod.Value("SWEEP_METHOD_" + method.upper()),
            early_stopping=sweeps_pb2.EarlyStopping(rungs=rungs, reduction=reduction),
            objective=sweeps_pb2.SweepObjective(
                kind=sweeps_pb2.SweepObjective.Kind.Value("KIND_" + objective.upper()),
                l0_target=l0_target))
        if condition is not None:
            spec.objective.condition.name, spec.objective.condition.expression = condition
        for field, domain in parameters.items():
            domain = dict(domain) if isinstance(domain, dict) else {"values": domain}
            when = domain.pop("when", None)
            parameter = spec.parameters.add(field=field)
            _add_values(parameter.values, domain.pop("values", ()))
            if domain:
                parameter.range.CopyFrom(sweeps_pb2.SweepRange(**domain))
            if when is not None:
                parameter.when_field = when[0]
                _add_values(parameter.when_values, when[1])
        request = sweeps_pb2.CreateSweepRequest(request_id=request_id or str(uuid.uuid4()),
                                                display_name=name, spec=spec)
        return self._call(self.sweeps.CreateSweep, request).sweep

    def get_sweep(self, name):
        return self._call(self.sweeps.GetSweep, sweeps_pb2.GetSweepRequest(name=name)).sweep

    def watch_sweep(self, name):
        """Yields the sweep whenever something changed, until it ends."""
        for event in self._stream(self.sweeps.WatchSweep, sweeps_pb2.WatchSweepRequest(name=name)):
            yield event.sweep

    def wait_sweep(self, name):
        """The sweep once it ended; raises RuntimeError where it failed or was cancelled."""
        sweep = None
        for sweep in self.watch_sweep(name):
            pass
        if sweep.state != sweeps_pb2.Sweep.STATE_SUCCEEDED:
            state = sweeps_pb2.Sweep.State.Name(sweep.state)[6:]
            raise RuntimeError(f"{name} {state}: {sweep.error}")
        return sweep

    def cancel_sweep(self, name):
        return self._call(self.sweeps.CancelSweep, sweeps_pb2.CancelSweepRequest(name=name)).sweep

    # Models and features.

    def model(self, name):
        return self._call(self.models.GetModel, models_pb2.GetModelRequest(name=name)).model

    def encode(self, model, counts, rule=None, reconstruct=False):
        """Sparse codes of counts [windows, S, units] (or [windows, units] where S = 1): uint8 and
        uint16 as they are, other types as float32. rule: None (the model's own), "threshold" or
        "top_k"."""
        counts = np.ascontiguousarray(counts)
        if counts.dtype not in _DTYPES:
            small = (np.issubdtype(counts.dtype, np.integer) and counts.size
                     and counts.min() >= 0 and counts.max() < 65536)
            counts = counts.astype("<u2" if small else "<f4")
        request = inference_pb2.EncodeRequest(
            model=model, reconstruct=reconstruct,
            counts=types_pb2.Tensor(dtype=_DTYPES[counts.dtype], shape=counts.shape,
                                    data=counts.tobytes()))
        if rule is not None:
            request.rule = inference_pb2.CodeRule.Value("CODE_RULE_" + rule.upper())
        answer = self._call(self.inference.Encode, request)
        codes = answer.codes
        return Codes(np.array(codes.row_offsets, np.int64), np.array(codes.indices, np.int32),
                     np.array(codes.values, np.float32), self._features(model),
                     _tensor_to_array(answer.reconstruction) if reconstruct else None)

    def _features(self, model):
        cache = self.__dict__.setdefault("_feature_counts", {})
        if model not in cache:
            cache[model] = self.model(model).features
        return cache[model]

    def dictionary(self, name):
        return self._call(self.features.GetDictionary,
                          features_pb2.GetDictionaryRequest(name=name)).dictionary

    def list_features(self, dictionary, filter="", order_by="", limit=None):
        request = features_pb2.ListFeaturesRequest(parent=dictionary, filter=filter,
                                                   order_by=order_by)
        return list(self._pages(self.features.ListFeatures, request, "features", limit))

    def feature(self, name):
        """Everything about one feature: the answer of GetFeature, and its arrays."""
        answer = self._call(self.features.GetFeature, features_pb2.GetFeatureRequest(name=name))
        return answer, _tensor_to_array(answer.decoder), _tensor_to_array(answer.trace_map)

    def activations(self, name):
        """(start times in s, activations) of a feature's active windows, in time order; of
        `…/features/-` (start times, activations, latents) of all features."""
        times, values, latents = [], [], []
        for part in self._stream(self.features.GetActivations,
                                 features_pb2.GetActivationsRequest(name=name)):
            times.extend(part.start_times)
            values.extend(part.values)
            latents.extend(part.latents)
        if name.endswith("/-"):
            return np.array(times), np.array(values, np.float32), np.array(latents, np.int32)
        return np.array(times), np.array(values, np.float32)

    def variables(self, dictionary):
        """The series and numeric columns that the dictionary's features are scored against."""
        return list(self.dictionary(dictionary).variables)

    def annotate(self, feature, label=None, tag=None, note=None, author=None):
        """Writes what people say about a feature; returns the annotations made. A label takes the
        place of the one before. author: default the name of the person logged in."""
        made = []
        for kind, text in (("LABEL", label), ("TAG", tag), ("NOTE", note)):
            if text is not None:
                made.append(self._call(
                    self.features.CreateAnnotation, features_pb2.CreateAnnotationRequest(
                        parent=feature, text=text, author=author or getpass.getuser(),
                        kind=features_pb2.Annotation.Kind.Value("KIND_" + kind))).annotation)
        return made

    def annotations(self, feature, deleted=False):
        """Labels, tags and notes of a feature; with `deleted` also those no longer in force."""
        return list(self._call(self.features.ListAnnotations, features_pb2.ListAnnotationsRequest(
            parent=feature, show_deleted=deleted)).annotations)

    def forget(self, annotation, author=None):
        """Deletes an annotation by its name; it stays in the history."""
        self._call(self.features.DeleteAnnotation, features_pb2.DeleteAnnotationRequest(
            name=annotation, deleter=author or getpass.getuser()))

    def match(self, dictionary, others, likeness="decoder"):
        """Matches the features of a dictionary with those of others, one to one: the answer of
        MatchFeatures. likeness: "decoder", "activation" or "tuning"."""
        return self._call(self.features.MatchFeatures, features_pb2.MatchFeaturesRequest(
            name=dictionary, others=others,
            likeness=features_pb2.Likeness.Value("LIKENESS_" + likeness.upper())))

    def nearest(self, feature, dictionary="", likeness="decoder", count=10):
        """[(feature, likeness), …] of the features most like this one, in its own dictionary or
        another."""
        answer = self._call(self.features.ListNearestFeatures,
                            features_pb2.ListNearestFeaturesRequest(
                                name=feature, dictionary=dictionary, count=count,
                                likeness=features_pb2.Likeness.Value(
                                    "LIKENESS_" + likeness.upper())))
        return [(n.feature, n.likeness) for n in answer.neighbours]

    def report(self, dictionary, path, features=0):
        """Writes the report of a dictionary, one HTML page that needs no network."""
        request = features_pb2.RenderReportRequest(name=dictionary, feature_count=features)
        parts = [part.chunk for part in self._stream(self.features.RenderReport, request)]
        with open(path, "wb") as file:
            file.writelines(parts)

    def download(self, model, format="saed"):
        """The model as {file name: bytes}, checked against the digest sent. format: "saed" (one
        safetensors file) or "saelens" (cfg.json and sae_weights.safetensors)."""
        files, name, whole, digest = {}, None, hashlib.sha256(), ""
        request = models_pb2.DownloadModelRequest(
            name=model, format=models_pb2.ModelFormat.Value("MODEL_FORMAT_" + format.upper()))
        for part in self._stream(self.models.DownloadModel, request):
            kind = part.WhichOneof("part")
            if kind == "file":
                name = part.file
                files[name] = bytearray()
            elif kind == "chunk":
                files[name] += part.chunk
                whole.update(part.chunk)
            else:
                digest = part.sha256
        if whole.hexdigest() != digest:
            raise IOError(f"{model}: the files arrived damaged")
        return {n: bytes(data) for n, data in files.items()}

    def import_model(self, files, recording, bin_width, window=1, labels=(), normaliser="none",
                     split=0.8, format="saelens", name=""):
        """Stores a model trained elsewhere and returns it. files: {file name: bytes}."""
        view = types_pb2.DataView(
            bin_width=bin_width, window=window, unit_labels=labels,
            normaliser=types_pb2.Normaliser.Value("NORMALISER_" + normaliser.upper()),
            split=types_pb2.Split(train_fraction=split))

        def messages():
            yield models_pb2.ImportModelRequest(spec=models_pb2.ImportModelSpec(
                display_name=name, recording=recording, view=view,
                format=models_pb2.ModelFormat.Value("MODEL_FORMAT_" + format.upper())))
            for file, data in files.items():
                yield models_pb2.ImportModelRequest(file=recordings_pb2.FileHeader(
                    name=file, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
                for at in range(0, len(data), 1 << 20):
                    yield models_pb2.ImportModelRequest(chunk=data[at:at + (1 << 20)])
        return self._call(self.models.ImportModel, messages()).model

    def tensors(self, model):
        """The model's tensors as {name: float32 array}."""
        (data,) = self.download(model).values()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + size])
        body = data[8 + size:]
        return {n: np.frombuffer(body[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
                for n, t in header.items() if n != "__metadata__"}
