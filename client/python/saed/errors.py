"""What the server refuses, as exceptions."""

import grpc
from google.rpc import error_details_pb2, status_pb2


def _argument(field):
    """What a field of an import is called in import_recording(); others as they are."""
    own = field.removeprefix("header.")
    return {"header.display_name": "name", "header.format_name": "format",
            "header.server_path": "path"}.get(field, own)


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
                    for v in bad.field_violations:
                        field = _argument(v.field)
                        before = self.fields.get(field)
                        self.fields[field] = (f"{before}; {v.description}" if before
                                              else v.description)
                elif detail.Unpack(info):
                    self.reason = info.reason
                elif detail.Unpack(request):
                    self.request_id = request.request_id
        text = "\n".join(f"{f} {what}" for f, what in self.fields.items()) or rpc_error.details()
        if text == "Deadline Exceeded":  # as gRPC itself puts it
            text = "no answer came within the timeout"
        if text.startswith("failed to connect to all addresses"):
            text = f"no server answers there; {text.partition('; ')[2] or text}"
        super().__init__(f"{self.code.name}: {text}")


class Timeout(Error, TimeoutError):
    """No answer came within the timeout."""


class _Late:
    """As an RpcError, of a call that is not begun because its time is over."""

    code = staticmethod(lambda: grpc.StatusCode.DEADLINE_EXCEEDED)
    details = staticmethod(lambda: "Deadline Exceeded")
    trailing_metadata = staticmethod(lambda: ())


def time_is_over():
    return Timeout(_Late)


def error_of(rpc_error):
    late = rpc_error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    return (Timeout if late else Error)(rpc_error)
