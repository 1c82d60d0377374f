"""One list of words with the command line and the pages: topk, batch_topk, jumprelu, succeeded …;
what the protocol calls them, TOP_K and the like, is understood as well."""

import datetime

from google.protobuf import descriptor, timestamp_pb2

# Where it is not the protocol's name in lower case.
_WORDS = {"top_k": "topk", "batch_top_k": "batch_topk", "jump_relu": "jumprelu", "aux_k": "auxk"}


def _plain(text):
    return text.lower().replace("_", "").replace("-", "").replace(" ", "")


def _known(values):
    """{word: number} of an enum's values, but of the unspecified one."""
    names = {v.name: v.number for v in values}
    first = next(n for n, number in names.items() if number == 0)
    prefix = first[:-len("UNSPECIFIED")] if first.endswith("UNSPECIFIED") else ""
    known = {n[len(prefix):].lower(): number for n, number in names.items() if number != 0}
    return {_WORDS.get(n, n): number for n, number in known.items()}


def value(enum, word, what):
    """The number of a word of an enum; ValueError names `what` and the words there are."""
    known = _known(enum.DESCRIPTOR.values)
    if isinstance(word, str):
        for name, number in known.items():
            if _plain(name) == _plain(word):
                return number
    raise ValueError(f"{what}: is {word!r}; must be one of {', '.join(known)}")


def word(field, number):
    """The word of an enum field's number; None where it is not specified."""
    names = {n: w for w, n in _known(field.enum_type.values).items()}
    return names.get(number) if number == 0 else names.get(number, str(number))


def state(thing):
    """What a job, a sweep or a trial is, as a word: "queued", "running", "paused", "succeeded",
    "failed", "cancelled"; of trials also "waiting", "stopped" and "done"."""
    field = getattr(thing, "DESCRIPTOR", None) and thing.DESCRIPTOR.fields_by_name.get("state")
    if not field:
        raise TypeError(f"state: is of a {type(thing).__name__}; must be of a job, a sweep or a trial")
    return word(field, thing.state)


def _one(field, value):
    if field.enum_type is not None:
        return word(field, value)
    if isinstance(value, timestamp_pb2.Timestamp):
        return value.ToDatetime(datetime.timezone.utc)
    return to_dict(value) if field.message_type is not None else value


def to_dict(message):
    """A message that a call returned as a dict, down to its parts: enums as words, times as
    datetimes with their zone, None for what is not there."""
    out = {}
    for field in message.DESCRIPTOR.fields:
        content = getattr(message, field.name)
        if field.label == descriptor.FieldDescriptor.LABEL_REPEATED:
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                of = field.message_type.fields_by_name["value"]
                out[field.name] = {k: _one(of, content[k]) for k in content}
            else:
                out[field.name] = [_one(field, v) for v in content]
        elif field.has_presence and not message.HasField(field.name):
            out[field.name] = None
        else:
            out[field.name] = _one(field, content)
    return out
