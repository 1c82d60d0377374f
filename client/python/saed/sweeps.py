"""Sweeps: search for good settings."""

import uuid

from saed.calls import unhurried
from saed.progress import Shown
from saed.v1 import sweeps_pb2
from saed.words import state, value


def _add_values(out, values):
    for value in values:
        if isinstance(value, bool):
            out.add(bool_value=value)
        elif isinstance(value, str):
            out.add(string_value=value)
        else:
            out.add(number_value=float(value))


def _with_trials(sweep, known):
    """The sweep with all trials that are known, to which its own are added."""
    known.update((trial.number, trial) for trial in sweep.trials)
    whole = sweeps_pb2.Sweep()
    whole.CopyFrom(sweep)
    del whole.trials[:]
    whole.trials.extend(known[number] for number in sorted(known))
    return whole


class SweepCalls:
    """Of a Client."""

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
            method=value(sweeps_pb2.SweepMethod, method, "method"),
            early_stopping=sweeps_pb2.EarlyStopping(rungs=rungs, reduction=reduction),
            objective=sweeps_pb2.SweepObjective(
                kind=value(sweeps_pb2.SweepObjective.Kind, objective, "objective"),
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

    def list_sweeps(self, limit=None):
        """Sweeps, newest first."""
        return list(self._pages(self.sweeps.ListSweeps, sweeps_pb2.ListSweepsRequest(), "sweeps",
                                limit))

    def delete_sweep(self, name):
        """Forgets a sweep that has ended, with its trials."""
        self._call(self.sweeps.DeleteSweep, sweeps_pb2.DeleteSweepRequest(name=name))

    def get_sweep(self, name):
        """The sweep with all its trials."""
        request = sweeps_pb2.GetSweepRequest(name=name, page_size=1000)
        trials = {}
        while True:
            answer = self._call(self.sweeps.GetSweep, request)
            sweep = _with_trials(answer.sweep, trials)
            if not answer.next_page_token:
                return sweep
            request.page_token = answer.next_page_token

    @unhurried
    def watch_sweep(self, name):
        """Yields the sweep whenever something changed, until it ends."""
        trials = {}
        request = sweeps_pb2.WatchSweepRequest(name=name, changed_trials=True)
        for event in self._stream(self.sweeps.WatchSweep, request):
            yield _with_trials(event.sweep, trials)

    @unhurried
    def wait_sweep(self, name, progress=None):
        """The sweep once it ended; raises RuntimeError where it failed or was cancelled. progress: a
        function of the sweep whenever something changed, True for a line on stderr, False for
        nothing, None for a line in a terminal or a notebook."""
        shown = Shown(progress, name)
        sweep = None
        for sweep in self.watch_sweep(name):
            shown.each(sweep)
        shown.end(state(sweep))
        if sweep.state != sweeps_pb2.Sweep.STATE_SUCCEEDED:
            raise RuntimeError(f"{name} {state(sweep)}: {sweep.error}")
        return sweep

    def cancel_sweep(self, name):
        return self._call(self.sweeps.CancelSweep, sweeps_pb2.CancelSweepRequest(name=name)).sweep
