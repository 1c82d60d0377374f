"""The client: one method per thing a person does, protocol messages as answers."""

import inspect
import os
import pathlib
import time

import grpc

from saed.admin import AdminCalls
from saed.calls import calls, checked
from saed.errors import Error, Timeout, error_of, time_is_over
from saed.features import FeatureCalls
from saed.jobs import JobCalls
from saed.models import ModelCalls
from saed.recordings import RecordingCalls
from saed.sweeps import SweepCalls
from saed.v1 import (admin_pb2_grpc, features_pb2_grpc, inference_pb2_grpc, jobs_pb2_grpc,
                     models_pb2_grpc, recordings_pb2_grpc, server_pb2, server_pb2_grpc,
                     sweeps_pb2_grpc)
from saed.values import Codes, Series

__all__ = ["Client", "Codes", "Error", "Series", "Timeout", "connect"]


def connect(address="127.0.0.1:7070", token=None, ca=None, certificate=None, key=None,
            timeout=None):
    """A client of the server at host:port (or unix:path). token: default the environment's
    SAED_TOKEN. ca, certificate, key: PEM files; with ca (default SAED_TLS_CA) TLS is used. timeout:
    s after which a call that has no answer raises saed.Timeout, None for never; not of calls that
    watch, wait or carry files. Every call also takes a timeout of its own, for all that it does:
    lab.list_jobs(timeout=5), lab.wait(job, timeout=3600)."""
    options = [("grpc.max_receive_message_length", -1)]
    ca = ca or os.environ.get("SAED_TLS_CA")
    if ca:
        texts = [pathlib.Path(f).read_bytes() if f else None for f in (ca, key, certificate)]
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*texts), options)
    else:
        channel = grpc.insecure_channel(address, options=options)
    return Client(channel, token or os.environ.get("SAED_TOKEN"), timeout)


def _noting(messages, faults):
    try:
        yield from messages
    except Exception as fault:
        faults.append(fault)
        raise


@calls
class Client(RecordingCalls, JobCalls, SweepCalls, ModelCalls, FeatureCalls, AdminCalls):
    """Thread-safe, as gRPC channels are. Every call takes timeout=, s (see connect)."""

    def __init__(self, channel, token=None, timeout=None):
        self._metadata = [("authorization", f"Bearer {token}")] if token else None
        self._timeout = checked(timeout)
        self._deadline = None  # of the call that runs, time.monotonic()
        self._feature_counts = {}
        self.recordings = recordings_pb2_grpc.RecordingServiceStub(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)
        self.models = models_pb2_grpc.ModelServiceStub(channel)
        self.inference = inference_pb2_grpc.InferenceServiceStub(channel)
        self.features = features_pb2_grpc.FeatureServiceStub(channel)
        self.server = server_pb2_grpc.ServerServiceStub(channel)
        self.sweeps = sweeps_pb2_grpc.SweepServiceStub(channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)

    def _left(self):
        """What is left of the call's time, s; None: it has no end. Timeout where nothing is."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise time_is_over()
        return left

    def _call(self, method, request):
        faults = []  # of what sends; gRPC would say no more than that there was one
        if inspect.isgenerator(request):
            request = _noting(request, faults)
        try:
            return method(request, metadata=self._metadata, timeout=self._left())
        except grpc.RpcError as error:
            if faults:
                raise faults[0] from None
            raise error_of(error) from None

    def _stream(self, method, request):
        answers = method(request, metadata=self._metadata, timeout=self._left())
        try:
            yield from answers
        except grpc.RpcError as error:
            raise error_of(error) from None
        finally:
            answers.cancel()  # where the caller stopped to listen

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

    def status(self):
        """The server's version, queue and kernels."""
        return self._call(self.server.GetServerStatus, server_pb2.GetServerStatusRequest())
