"""What goes in and comes out as NumPy."""

import dataclasses

import numpy as np

from saed.v1 import types_pb2
from saed.words import value

DTYPES = {np.dtype("u1"): types_pb2.DATA_TYPE_U8, np.dtype("<u2"): types_pb2.DATA_TYPE_U16,
          np.dtype("<f4"): types_pb2.DATA_TYPE_F32}


def evidence_kind(name):
    """Of the API; None is none."""
    return 0 if name is None else value(types_pb2.EvidenceKind, name, "evidence kind")


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


def tensor_to_array(tensor):
    dtype = {v: k for k, v in DTYPES.items()}[tensor.dtype]
    return np.frombuffer(tensor.data, dtype).reshape(tuple(tensor.shape))
