#!/usr/bin/python3
"""Writes the first inputs of every fuzz target's corpus: valid ones, from which libFuzzer goes on.

    make_seeds.py BUILD     (what libFuzzer added is kept; make_import_seeds.py does the formats)
"""
import io
import json
import pathlib
import struct
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "python"))
import saed  # noqa: E402
from saed.v1 import (admin_pb2, features_pb2, inference_pb2, jobs_pb2, models_pb2,  # noqa: E402
                     recordings_pb2, server_pb2, sweeps_pb2, types_pb2)

CORPUS = pathlib.Path(__file__).parent / "corpus"
LINE = b"\n----\n"


def seed(target, name, data):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / f"seed_{name}").write_bytes(data)


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


for dtype in ("u1", "<u2", ">i4", "<f4", "<f8", "?"):
    seed("npy", dtype.strip("<>?") or "bool", npy(np.arange(12).reshape(4, 3).astype(dtype)))
seed("npy", "fortran", npy(np.asfortranarray(np.arange(12.0).reshape(4, 3))))


def npz(save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
    seed("npz", f"group_{name}", npz(
        save, t=np.array([0.1, 0.2, 0.3]), index=np.array([3, 1, 3]), keys=np.array([1, 3]),
        start=np.zeros(1), end=np.ones(1), group=np.array(["a", "b"]),
        type=np.array(["TsGroup"])))
    seed("npz", f"counts_{name}", npz(save, counts=np.arange(12, dtype="u1").reshape(4, 3),
                                      unit_ids=np.array([4, 5, 6])))
seed("npz", "spikes", npz(np.savez, times=np.array([1, 5, 9]), units=np.array(["x", "y", "x"])))
seed("npz", "pickle", npz(np.savez, t=np.array([None], object)))

seed("csv", "decimal_commas", b"start;stop;rt\n1,5;2;\n3,25;n/a;0,5\n")
seed("csv", "index", b",onset,duration,x,x\r0,1,2,a,\r1,2,n/a,b,5\r")
seed("csv", "utf16", "time\tk\n1\t\u00b5\n2\tb\n".encode("utf-16"))
seed("csv", "savetxt", b"# by hand\n# time,x\n0,1e3\n0.5,-inf\n#1,2\n2,\"a\n")
seed("csv", "units", b"cluster_id,brain_area,depth,label\n0,VISp,10,good\n1,,x\n9,CA1,3,4,5\n")
seed("csv", "intervals", b"start_time,stop_time,side\n0.1,0.5,left\n1,2,\"right, far\"\n")
seed("csv", "duration", b"start_time\tduration\tn\n0.1\t0.5\t1\n1\t2\t2\n")
seed("csv", "series", b"timestamps,x,y\n0,1,2\n0.1,nan,3\n")


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        kind = {"float32": "F32", "float64": "F64", "float16": "F16"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape,
                        "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


weights = {"W_enc": np.ones((4, 3), "f4"), "W_dec": np.ones((3, 4), "f4"),
           "b_enc": np.zeros(3, "f4"), "b_dec": np.zeros(4, "f4")}
config = {"d_in": 4, "d_sae": 3, "dtype": "float32", "apply_b_dec_to_input": True,
          "normalize_activations": "none", "reshape_activations": "none"}
seed("safetensors", "plain", safetensors(weights, {"a": "b"}))
seed("safetensors", "half", safetensors({k: v.astype("f2") for k, v in weights.items()}))
seed("safetensors", "standard",
     json.dumps(config | {"architecture": "standard"}).encode() + LINE + safetensors(weights))
seed("safetensors", "topk", json.dumps(config | {"architecture": "topk", "k": 2}).encode() + LINE
     + safetensors(weights))
seed("safetensors", "jumprelu",
     json.dumps(config | {"architecture": "jumprelu"}).encode() + LINE
     + safetensors(weights | {"threshold": np.ones(3, "f4")}))
seed("safetensors", "gated", json.dumps(config | {"architecture": "gated"}).encode() + LINE
     + safetensors({k: v for k, v in weights.items() if k != "b_enc"}
                   | {"b_gate": np.zeros(3, "f4"), "r_mag": np.zeros(3, "f4"),
                      "b_mag": np.zeros(3, "f4")}))

for i, (where, order) in enumerate((
        ('auroc("flash") > 0.9 AND q_value("flash") < 0.05', "auroc(\"flash\") desc"),
        ('label : "reach" OR NOT dead = true', "density"),
        ("(density < 0.1 OR latent >= 5) AND tag = sure", "best_auroc desc"),
        ('tuning("position.x") > 0.2 AND best_condition = flash', "latent"))):
    seed("filter", i, where.encode() + LINE + order.encode())
for i, text in enumerate((
        "during(trials, side = left)", "trials.size > 1 AND NOT position.x > 0.4",
        "around_start(trials, side = left OR size >= 2, -0.1, 0.5)", "around_stop(trials, -0.2, 0)",
        "starts(trials) OR stops(trials, tags : wake)", 'rising(position.x, 0.05) (falling("position.y"))')):
    seed("condition", i, text.encode())

R, M, J = "recordings/" + "r" * 16, "models/" + "m" * 16, "jobs/" + "j" * 16
D = "dictionaries/" + "m" * 16
train = saed.Client.train_spec(
    R, 0.02, levels=[(4, 1), (16, 2)], window=2, selection="batch_top_k", loss="poisson",
    output="softplus", labels=["good"], mask=("trials", "side = left"), aux={"k": 4},
    conditions={"c": "during(trials)"}, optimiser={"kind": "adam", "beta2": 0.99})
trial = saed.Client.train_spec(R, 0.02, features=16, k=2,
                               split={"table": "trials", "column": "side", "train": ["left"],
                                      "test": ["right"]}, penalty={"weight": 0.01},
                               selection="relu", target={"unit_labels": ["mua"]})
seed("specs", "train", b"\0" + train.SerializeToString())
seed("specs", "relu", b"\0" + trial.SerializeToString())
analyse = jobs_pb2.AnalyseSpec(model=M, recording=R, threads=1)
analyse.conditions.add(name="c", expression="during(trials)")
seed("specs", "analyse", b"\1" + analyse.SerializeToString())
sweep = sweeps_pb2.SweepSpec(base=trial)
for field in sweep.DESCRIPTOR.fields:  # numbers that a sweep cannot do without
    if field.type == field.TYPE_INT32:
        setattr(sweep, field.name, 4)
seed("specs", "sweep", b"\2" + sweep.SerializeToString())
tensor = types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_U8, shape=[2, 12], data=bytes(24))
seed("specs", "tensor", b"\3" + tensor.SerializeToString())
seed("specs", "name", b"\4jobs/0123456789abcdef")
seed("specs", "feature", b"\4dictionaries/0123456789abcdef/features/3")

# One of each unary method; the first byte is its place among them, as requests.cc counts.
LEFT_OUT = ("CreateJob", "CreateSweep", "SimulateRecording", "CreateBackup", "CreateToken",
            "DeleteModel", "DeleteRecording", "DeleteJob")
FILLED = {
    "name": {"Recording": R, "Job": J, "Model": M, "Dictionary": D, "Feature": D + "/features/1",
             "Sweep": "sweeps/" + "j" * 16, "Annotation": D + "/features/1/annotations/1"},
    "parent": {"Unit": R, "IntervalTable": R, "Annotation": D + "/features/1", "Feature": D},
    "model": M, "recording": R, "dictionary": D, "feature": D + "/features/1", "text": "reach",
    "author": "ada", "filter": "", "order_by": "", "others": None, "display_name": "x"}
place = 0
for module, service in ((recordings_pb2, "RecordingService"), (jobs_pb2, "JobService"),
                        (models_pb2, "ModelService"), (inference_pb2, "InferenceService"),
                        (features_pb2, "FeatureService"), (server_pb2, "ServerService"),
                        (sweeps_pb2, "SweepService"), (admin_pb2, "AdminService")):
    for method in module.DESCRIPTOR.services_by_name[service].methods:
        # Streams are known by their messages' use in the .proto file.
        proto = __import__("google.protobuf.descriptor_pb2", fromlist=["x"]).MethodDescriptorProto()
        method.CopyToProto(proto)
        if proto.client_streaming or proto.server_streaming or method.name in LEFT_OUT:
            continue
        message = getattr(module, method.input_type.name)()
        for field in message.DESCRIPTOR.fields:
            value = FILLED.get(field.name)
            if isinstance(value, dict):
                value = next((v for k, v in value.items() if k in method.name), None)
            if value is not None and field.type == field.TYPE_STRING \
                    and field.label != field.LABEL_REPEATED:
                setattr(message, field.name, value)
            elif field.name == "counts":
                message.counts.CopyFrom(tensor)
            elif field.name == "kind":
                message.kind = 1
        seed("requests", method.name, bytes([place]) + message.SerializeToString())
        place += 1
