#!/usr/bin/python3
"""Every method of the interface has a call in the Python package and a command of saectl.

Usage: check_calls.py BUILD. A server that answers every method with an empty message writes down
which ones are called; each row below says by what. A method without a row fails, as does a row
whose call or command calls something else. Takes about ten seconds.
"""
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile
import threading
import warnings

import grpc
import numpy as np

BUILD = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(BUILD / "python"))

import saed  # noqa: E402
from saed.v1 import (admin_pb2, features_pb2, inference_pb2, jobs_pb2, models_pb2,  # noqa: E402
                     recordings_pb2, server_pb2, sweeps_pb2)

FILES = (admin_pb2, features_pb2, inference_pb2, jobs_pb2, models_pb2, recordings_pb2, server_pb2,
         sweeps_pb2)
R, J, M, D, S = "recordings/r", "jobs/j", "models/m", "dictionaries/d", "sweeps/s"
F = D + "/features/0"

# Method: what a user of Python calls, and the words of the command.
CALLS = {
    "AdminService.CreateUser": (lambda lab: lab.create_user("ada"), "admin users create ada"),
    "AdminService.ListUsers": (lambda lab: lab.list_users(), "admin users list"),
    "AdminService.GetUser": (lambda lab: lab.whoami(), "whoami"),
    "AdminService.UpdateUser": (lambda lab: lab.update_user("ada", share=2),
                                "admin users update ada --share 2"),
    "AdminService.DeleteUser": (lambda lab: lab.delete_user("ada"), "admin users delete ada"),
    "AdminService.CreateToken": (lambda lab: lab.create_token(), "tokens create"),
    "AdminService.ListTokens": (lambda lab: lab.list_tokens(), "tokens list"),
    "AdminService.RevokeToken": (lambda lab: lab.revoke_token("t"), "tokens revoke t"),
    "AdminService.ListAuditRecords": (lambda lab: lab.audit(), "admin audit"),
    "AdminService.CreateBackup": (lambda lab: lab.backup("/b"), "admin backup /b"),
    "FeatureService.GetDictionary": (lambda lab: lab.dictionary(D), "features conditions d"),
    "FeatureService.ListDictionaries": (lambda lab: lab.list_dictionaries(), "dictionaries list"),
    "FeatureService.DeleteDictionary": (lambda lab: lab.delete_dictionary(D),
                                        "dictionaries delete d"),
    "FeatureService.ListFeatures": (lambda lab: lab.list_features(D), "features list d"),
    "FeatureService.GetFeature": (lambda lab: lab.feature(F), "features show d 0"),
    "FeatureService.GetActivations": (lambda lab: lab.activations(F),
                                      "features export d --out {new}"),
    "FeatureService.CreateAnnotation": (lambda lab: lab.annotate(F, note="n"),
                                        "features note d 0 n"),
    "FeatureService.ListAnnotations": (lambda lab: lab.annotations(F), "features annotations d 0"),
    "FeatureService.DeleteAnnotation": (lambda lab: lab.forget(F + "/annotations/1"),
                                        "features forget d 0 1"),
    "FeatureService.MatchFeatures": (lambda lab: lab.match(D, [D]), "features match d e"),
    "FeatureService.ListNearestFeatures": (lambda lab: lab.nearest(F), "features nearest d 0"),
    "FeatureService.PoolCondition": (lambda lab: lab.pool_condition("c"), "conditions pool c"),
    "FeatureService.RenderReport": (lambda lab: lab.report(D, "/dev/null"), "report d --out {new}"),
    "InferenceService.Encode": (lambda lab: lab.encode(M, np.zeros((1, 1))), "encode m {counts}"),
    "JobService.CreateJob": (lambda lab: lab.train(R, 0.02), "train r --bin 0.02 --detach"),
    "JobService.GetJob": (lambda lab: lab.job(J), "jobs show j"),
    "JobService.ListJobs": (lambda lab: lab.list_jobs(), "jobs list"),
    "JobService.CancelJob": (lambda lab: lab.cancel(J), "jobs cancel j"),
    "JobService.PauseJob": (lambda lab: lab.pause(J), "jobs pause j"),
    "JobService.ResumeJob": (lambda lab: lab.resume(J), "jobs resume j"),
    "JobService.RetryJob": (lambda lab: lab.retry(J), "jobs retry j"),
    "JobService.UpdateJob": (lambda lab: lab.rename(J, "n"), "jobs rename j n"),
    "JobService.WatchJobs": (lambda lab: list(lab.watch_jobs()), "jobs watch"),
    "JobService.WatchJob": (lambda lab: list(lab.watch(J)), "jobs watch j"),
    "JobService.DeleteJob": (lambda lab: lab.delete_job(J), "jobs delete j"),
    "ModelService.GetModel": (lambda lab: lab.model(M), "models show m"),
    "ModelService.ListModels": (lambda lab: lab.list_models(), "models list"),
    "ModelService.UpdateModel": (lambda lab: lab.rename(M, "n"), "models rename m n"),
    "ModelService.DeleteModel": (lambda lab: lab.delete_model(M), "models delete m"),
    "ModelService.DownloadModel": (lambda lab: lab.download(M), "models download m --file {new}"),
    "ModelService.ImportModel": (lambda lab: lab.import_model({"f": b""}, R, 0.02),
                                 "models import {file} r"),
    "RecordingService.ImportRecording": (lambda lab: lab.import_recording(__file__, "nwb"),
                                         "recordings import {file} --format nwb"),
    "RecordingService.SimulateRecording": (lambda lab: lab.simulate(), "recordings simulate"),
    "RecordingService.GetRecording": (lambda lab: lab.get_recording(R), "recordings show r"),
    "RecordingService.ListRecordings": (lambda lab: lab.list_recordings(), "recordings list"),
    "RecordingService.DeleteRecording": (lambda lab: lab.delete_recording(R),
                                         "recordings delete r"),
    "RecordingService.UpdateRecording": (lambda lab: lab.share(R), "recordings share r"),
    "RecordingService.ListUnits": (lambda lab: lab.list_units(R), "recordings units r"),
    "RecordingService.ListIntervalTables": (lambda lab: lab.list_interval_tables(R),
                                            "recordings show r"),
    "RecordingService.ListFormats": (lambda lab: lab.formats(), "recordings formats"),
    "RecordingService.DetectFormat": (lambda lab: lab.import_recording(__file__),
                                      "recordings import {file}"),
    "RecordingService.DownloadRecording": (lambda lab: lab.spikes(R),
                                           "recordings download r --to {new}"),
    "ServerService.GetServerStatus": (lambda lab: lab.status(), "status"),
    "SweepService.CreateSweep": (lambda lab: lab.sweep(lab.train_spec(R, 0.02), {"lr": [0.1]}),
                                 "sweep r --bin 0.02 --search lr=0.1,0.2 --detach"),
    "SweepService.GetSweep": (lambda lab: lab.get_sweep(S), "sweeps show s"),
    "SweepService.ListSweeps": (lambda lab: lab.list_sweeps(), "sweeps list"),
    "SweepService.WatchSweep": (lambda lab: list(lab.watch_sweep(S)), "sweeps watch s"),
    "SweepService.CancelSweep": (lambda lab: lab.cancel_sweep(S), "sweeps cancel s"),
    "SweepService.DeleteSweep": (lambda lab: lab.delete_sweep(S), "sweeps delete s"),
}


class Everything(grpc.GenericRpcHandler):
    """Answers every method with one empty message, and notes which were called."""

    def __init__(self):
        self.called, self.lock = set(), threading.Lock()

    def service(self, details):
        with self.lock:
            self.called.add(details.method.removeprefix("/saed.v1."))

        def answer(requests, _):
            for _ in requests:
                pass
            yield b""
        return grpc.stream_stream_rpc_method_handler(answer)


def methods():
    return {f"{service.name}.{method.name}" for file in FILES
            for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods}


def main():
    faults = [f"{m} has no row in {__file__}" for m in sorted(methods() - set(CALLS))]
    faults += [f"{m} has a row and is no method" for m in sorted(set(CALLS) - methods())]
    everything = Everything()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), (everything,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    lab = saed.connect(f"127.0.0.1:{port}", token="saed_x", timeout=10)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as work:
        np.save(work + "/counts.npy", np.zeros((1, 1, 1), np.uint8))
        pathlib.Path(work, "a.safetensors").write_bytes(b"x")
        for number, (method, (call, command)) in enumerate(CALLS.items()):
            everything.called.clear()
            try:
                call(lab)
            except Exception as fault:  # an empty answer is not always one that can be used
                seen = fault
            else:
                seen = None
            if method.replace(".", "/") not in everything.called:
                faults.append(f"{method}: Python calls {sorted(everything.called)} ({seen!r})")
            everything.called.clear()
            words = command.format(new=f"{work}/{number}", counts=work + "/counts.npy",
                                   file=work + "/a.safetensors").split()
            try:
                done = subprocess.run(
                    [str(BUILD / "bin/saectl"), "--server", f"127.0.0.1:{port}", *words],
                    capture_output=True, text=True, timeout=5)
                said = done.stderr.strip()[-200:]
            except subprocess.TimeoutExpired:
                said = "it waits"  # for the end of what never ends here
            if method.replace(".", "/") not in everything.called:
                faults.append(f"{method}: saectl {command} calls {sorted(everything.called)}: "
                              f"{said}")
    server.stop(None)
    for fault in faults:
        print(fault)
    print(f"{len(CALLS)} methods, {len(faults)} without a call or a command")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
