"""Models: encode, download, import."""

import hashlib
import json

import numpy as np

from saed.calls import unhurried
from saed.v1 import inference_pb2, models_pb2, recordings_pb2, types_pb2
from saed.values import DTYPES, Codes, evidence_kind, tensor_to_array
from saed.words import value

# What is sent at once: half of a message and as many windows as servers take.
_MESSAGE_BYTES, _MOST_WINDOWS = 32 << 20, 1 << 16


class ModelCalls:
    """Of a Client."""

    def model(self, name):
        return self._call(self.models.GetModel, models_pb2.GetModelRequest(name=name)).model

    def list_models(self, recording="", full=False, limit=None):
        """Models, newest first, of all recordings or one. full: also with what has an entry for each
        latent or unit, as `model` gives it."""
        request = models_pb2.ListModelsRequest(
            recording=recording,
            view=models_pb2.MODEL_VIEW_FULL if full else models_pb2.MODEL_VIEW_BASIC)
        return list(self._pages(self.models.ListModels, request, "models", limit))

    def encode(self, model, counts, rule=None, reconstruct=False):
        """Sparse codes of counts [windows, S, units] (or [windows, units] where S = 1): uint8 and
        uint16 as they are, other types as float32. Any number of windows. rule: None (the model's
        own), "threshold" or "topk"."""
        offsets, indices, values, reconstructions = [np.zeros(1, np.int64)], [], [], []
        for answer in self._encode(model, counts, rule, reconstruct=reconstruct):
            offsets.append(np.array(answer.codes.row_offsets[1:], np.int64) + offsets[-1][-1])
            indices.append(np.array(answer.codes.indices, np.int32))
            values.append(np.array(answer.codes.values, np.float32))
            if reconstruct:
                reconstructions.append(tensor_to_array(answer.reconstruction))
        return Codes(np.concatenate(offsets), np.concatenate(indices), np.concatenate(values),
                     self._features(model),
                     np.concatenate(reconstructions) if reconstruct else None)

    def evidence(self, model, counts, kind, latents=()):
        """How strongly each window of counts (as for encode) speaks for latents: float32
        [windows, latents], graded in every window. kind: "given_others", "given_others_z",
        "marginal", "rate", "core_3", "core_10", "core_30", "quasi_rate" or "quasi_core_3". latents:
        empty means all."""
        request = inference_pb2.EvidenceRequest(
            kind=evidence_kind(kind), latents=latents)
        return np.concatenate([tensor_to_array(answer.evidence)
                               for answer in self._encode(model, counts, evidence=request)])

    def set_scores(self, dictionary, counts, conditions):
        """How strongly each window of counts (as for encode) speaks for conditions, by the sets of
        features that stand for them (`dictionary(...).conditions[i].set`): float32
        [windows, conditions], the scores that the dictionary's AUROCs are of. dictionary: its name;
        its model encodes. conditions: names, as in `dictionary(...).conditions[i].condition.name`."""
        if isinstance(conditions, str):
            raise TypeError("conditions: is a str; must be a list of names")
        model = self.dictionary(dictionary).model
        sets = [f"{dictionary}/conditions/{name}" for name in conditions]
        return np.concatenate([tensor_to_array(answer.set_scores)
                               for answer in self._encode(model, counts, sets=sets)])

    def _encode(self, model, counts, rule=None, **fields):
        """Answers for windows one after another, as many at once as one message holds."""
        counts = np.ascontiguousarray(counts)
        if counts.dtype not in DTYPES:
            small = (np.issubdtype(counts.dtype, np.integer) and counts.size
                     and counts.min() >= 0 and counts.max() < 65536)
            counts = counts.astype("<u2" if small else "<f4")
        windows = counts.shape[0] if counts.ndim else 0
        # Of a window: its counts, and what may come back, codes or scores of all latents.
        row = 4 * (counts.size // max(windows, 1)) + 8 * self._features(model)
        at_once = min(max(1, _MESSAGE_BYTES // row), _MOST_WINDOWS)
        for first in range(0, max(windows, 1), at_once):
            some = counts[first:first + at_once] if counts.ndim else counts
            request = inference_pb2.EncodeRequest(
                model=model, **fields,
                counts=types_pb2.Tensor(dtype=DTYPES[counts.dtype], shape=some.shape,
                                        data=some.tobytes()))
            if rule is not None:
                request.rule = value(inference_pb2.CodeRule, rule, "rule")
            yield self._call(self.inference.Encode, request)

    def _features(self, model):
        if model not in self._feature_counts:
            self._feature_counts[model] = self.model(model).features
        return self._feature_counts[model]

    def delete_model(self, model):
        """Deletes a model with its dictionaries and what was said about its features."""
        self._call(self.models.DeleteModel, models_pb2.DeleteModelRequest(name=model))

    @unhurried
    def download(self, model, format="saed"):
        """The model as {file name: bytes}, checked against the digest sent. format: "saed" (one
        safetensors file), "saelens" (cfg.json and sae_weights.safetensors), or "saelens_linear": the
        same of models with an output function up to that function, which metadata.saed_output of
        cfg.json names; codes are the same, and what SAELens decodes goes into the function."""
        files, name, whole, digest = {}, None, hashlib.sha256(), ""
        request = models_pb2.DownloadModelRequest(
            name=model, format=value(models_pb2.ModelFormat, format, "format"))
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

    @unhurried
    def import_model(self, files, recording, bin_width, window=1, labels=(), normaliser="none",
                     split=0.8, format="saelens", name=""):
        """Stores a model trained elsewhere and returns it. files: {file name: bytes}."""
        for file, data in files.items():
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"files: {file!r} is a {type(data).__name__}; must be its content, "
                                "bytes, as pathlib.Path(…).read_bytes() gives it")
        view = types_pb2.DataView(
            bin_width=bin_width, window=window, unit_labels=labels,
            normaliser=value(types_pb2.Normaliser, normaliser, "normaliser"),
            split=types_pb2.Split(train_fraction=split))

        def messages():
            yield models_pb2.ImportModelRequest(spec=models_pb2.ImportModelSpec(
                display_name=name, recording=recording, view=view,
                format=value(models_pb2.ModelFormat, format, "format")))
            for file, data in files.items():
                yield models_pb2.ImportModelRequest(file=recordings_pb2.FileHeader(
                    name=file, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
                for at in range(0, len(data), 1 << 20):
                    yield models_pb2.ImportModelRequest(chunk=data[at:at + (1 << 20)])
        return self._call(self.models.ImportModel, messages()).model

    @unhurried
    def tensors(self, model):
        """The model's tensors as {name: float32 array}."""
        (data,) = self.download(model).values()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + size])
        body = data[8 + size:]
        return {n: np.frombuffer(body[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
                for n, t in header.items() if n != "__metadata__"}
