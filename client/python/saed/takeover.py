"""What another dictionary of a model takes over from its training: conditions, and the columns that
make some."""

import re

import grpc

from saed.errors import Error
from saed.v1 import jobs_pb2, models_pb2

_ENTRY = re.compile(r"(conditions|condition_columns\.only|condition_columns\.excluded)\[(\d+)\]")


def take_over(lab, request, conditions, columns):
    """Adds to the analysis of a request what its model was trained with, as far as the recording has
    what it asks for: conditions but those whose names it has, and columns. Returns lines that say
    what was left out. ValueError where the recording has none of the columns that alone make
    conditions."""
    if not conditions and not columns:
        return []
    spec = request.analyse
    asked = models_pb2.GetModelRequest(name=spec.model)
    trained = lab._call(lab.models.GetModel, asked).model.spec
    lists, first = {}, len(spec.conditions)
    if conditions:
        given = {c.name for c in spec.conditions}
        spec.conditions.extend(c for c in trained.conditions if c.name not in given)
        lists["conditions"] = spec.conditions
    if columns:
        spec.condition_columns.CopyFrom(trained.condition_columns)
        lists["condition_columns.only"] = spec.condition_columns.only
        lists["condition_columns.excluded"] = spec.condition_columns.excluded
    left_out = []
    while found := _refused(lab, request, lists, first):
        # From the last on, so that numbers stay those of the request.
        for field, number, why in sorted(found, key=lambda f: -f[1]):
            thing = lists[field].pop(number)
            left_out.append(f"left out of the model's: {getattr(thing, 'name', thing)} ({why})")
    only = trained.condition_columns.only
    # Without entries the list would mean the conditions of every table.
    if columns and only and not spec.condition_columns.only:
        _check(lab, request)
        raise ValueError("\n".join([
            f"the model has automatic conditions of {', '.join(only)} alone, and the recording has "
            "none of that", *left_out,
            "give the columns of this recording as condition_columns, or "
            "without_model_conditions=True for the automatic conditions of every table"]))
    return left_out


def _check(lab, request):
    check = jobs_pb2.CreateJobRequest()
    check.CopyFrom(request)
    check.validate_only = True
    lab._call(lab.jobs.CreateJob, check)


def _refused(lab, request, lists, first):
    """Which entries of the lists the server refuses, of the conditions from `first` on: [(list,
    number, why)]."""
    if not any(lists.values()):
        return []
    try:
        _check(lab, request)
    except Error as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        found = {}
        for field, why in error.fields.items():
            entry = _ENTRY.match(field)
            if entry and entry[1] in lists and (entry[1] != "conditions" or int(entry[2]) >= first):
                found.setdefault((entry[1], int(entry[2])), why)
        return [(field, number, why) for (field, number), why in found.items()]
    return []
