"""The client: one method per thing a person does, protocol messages as answers."""

import os
import pathlib

import grpc

from saed.errors import Error
from saed.features import FeatureCalls
from saed.jobs import JobCalls
from saed.models import ModelCalls
from saed.recordings import RecordingCalls
from saed.sweeps import SweepCalls
from saed.v1 import (admin_pb2_grpc, features_pb2_grpc, inference_pb2_grpc, jobs_pb2_grpc,
                     models_pb2_grpc, recordings_pb2_grpc, server_pb2, server_pb2_grpc,
                     sweeps_pb2_grpc)
from saed.values import Codes, Series

__all__ = ["Client", "Codes", "Error", "Series", "connect"]


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


class Client(RecordingCalls, JobCalls, SweepCalls, ModelCalls, FeatureCalls):
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

    def status(self):
        """The server's version, queue and kernels."""
        return self._call(self.server.GetServerStatus, server_pb2.GetServerStatusRequest())
