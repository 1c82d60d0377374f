"""Jobs: train, analyse, watch."""

import difflib
import functools
import inspect
import uuid
import warnings

from saed.calls import unhurried
from saed.progress import Shown
from saed.splits import set_split
from saed.takeover import take_over
from saed.v1 import jobs_pb2, types_pb2
from saed.words import state, value

# What saectl calls settings of train_spec.
_FLAGS = {"lr": "learning_rate", "batch": "batch_size", "output_function": "output",
          "min_rate": "minimum_rate", "bin": "bin_width", "label": "labels", "region": "regions",
          "unit": "unit_ids"}


def _settings(call):
    """Lets train_spec take settings under the names of saectl's flags, and says which it has not."""
    own = inspect.signature(call).parameters

    @functools.wraps(call)
    def wrapper(cls, *arguments, **given):
        settings = {}
        for name, content in given.items():
            setting = _FLAGS.get(name, name)
            if setting not in own:
                near = difflib.get_close_matches(name, [*own, *_FLAGS], 1)
                raise TypeError(f"{name}: is no setting of training"
                                + (f"; did you mean {near[0]}?" if near else ""))
            if setting in settings:
                raise TypeError(f"{name}: is given as {setting} as well; give one of them")
            settings[setting] = content
        return call(cls, *arguments, **settings)
    return wrapper


def _priority(name):
    return value(jobs_pb2.JobPriority, name, "priority")


class JobCalls:
    """Of a Client."""

    def train(self, recording, bin_width=None, *, name="", request_id=None, priority="normal", after=(),
              time_limit=0.0, **settings):
        """Queues a training job and returns it. settings: those of train_spec. priority: "low",
        "normal", "high" or "urgent"; after: jobs that must succeed before; time_limit: s of running
        after which it fails, 0 for none. What is likely not meant is warned of."""
        if bin_width is not None:
            settings["bin_width"] = bin_width
        spec = self.train_spec(recording, **settings)
        request = jobs_pb2.CreateJobRequest(request_id=request_id or str(uuid.uuid4()),
                                            display_name=name, train=spec, dependencies=after,
                                            priority=_priority(priority),
                                            time_limit_seconds=time_limit)
        job = self._call(self.jobs.CreateJob, request).job
        for text in job.train.warnings:
            warnings.warn(f"{job.name}: {text}", stacklevel=3)
        return job

    @classmethod
    @_settings
    def train_spec(cls, recording, bin_width=None, features=None, k=None, levels=None, window=1, stride=1,
                   selection=None, loss=None, output=None, normaliser="none", labels=(), regions=(),
                   unit_ids=(), target=None, minimum_rate=0.0, mask=None, split=None,
                   learning_rate=4e-3, batch_size=0, epochs=0, max_steps=0, seed=0,
                   conditions=None, aux=None, decoder_start=None, bias_start=None, revival=None,
                   resampling=None, penalty=None, subtract_bias=False, k_anneal=0.0, optimiser=None,
                   hidden_inputs=0.0, segments="", threads=0, condition_columns=(),
                   exclude_columns=()):
        """What train() trains and a sweep varies, as a message.

        bin_width: s; None leaves it to the server, by the units' rates. features, k: None leaves
        them to the server, by units and windows. levels: [(features, k),
        …] for Matryoshka, instead of features and k. split: None leaves it to the server
        (interleaved trials of the likeliest table, else stretches of time; the job's train.choices
        say what); saed.trials(…) or saed.time_blocks(…); {"table", "column", "train", "test"} with values
        such as "3", "0-22", "0-99/2", "even" or a text; the fraction that trains, from the start;
        or "in sample". segments: a table whose rows are joined end to end but not continuous:
        windows lie inside one. conditions: a dict of names and expressions (see Condition in
        types.proto), such as {"hits": "around_start(trials, outcome = hit, 0, 0.5)", "fast": "speed
        > 20"}. condition_columns: "table.column" or "table", which alone make conditions by
        themselves; exclude_columns: which make none. aux, resampling, penalty, optimiser: None or dicts with the fields of AuxK,
        Resampling, Penalty and Optimiser. k_anneal: the part of training over which the k of TopK
        and BatchTopK falls to its value. batch_size, epochs: 0 leaves them to the server, which
        says in the job's train.choices what it chose. hidden_inputs: the fraction of the units that
        each window lacks in a step of training (see TrainSpec). selection: "relu", "topk",
        "batch_topk", "jumprelu" or "gated". target: None or a dict with recording, unit_labels,
        unit_ids, unit_regions and normaliser of a paired population.

        Settings also go under the names of saectl's flags: lr for learning_rate, batch, bin, min_rate,
        output_function for output, label, region and unit."""
        spec = jobs_pb2.TrainSpec(recording=recording, batch_size=batch_size, epochs=epochs,
                                  max_steps=max_steps, seed=seed, threads=threads,
                                  hidden_inputs=hidden_inputs)
        view = spec.view
        view.bin_width, view.window, view.stride = bin_width or 0, window, stride
        view.unit_labels.extend(labels)
        view.unit_regions.extend(regions)
        view.unit_ids.extend(unit_ids)
        if target is not None:
            target = dict(target)
            kind = target.pop("normaliser", "none")
            spec.target.CopyFrom(types_pb2.Target(
                normaliser=value(types_pb2.Normaliser, kind, "target normaliser"), **target))
        view.minimum_rate = minimum_rate
        view.normaliser = value(types_pb2.Normaliser, normaliser, "normaliser")
        if mask is not None:
            if isinstance(mask, str) or len(mask) != 2:
                raise ValueError(f"mask: is {mask!r}; must be (table, filter), ('trials', '') for "
                                 "all rows of trials")
            view.mask.table, view.mask.filter = mask
        view.segments = segments
        set_split(view.split, split)
        for f, level_k in levels or ([(features, k)] if features or k else []):
            spec.model.levels.add(features=f, k=level_k)
        if selection is not None:
            spec.model.selection = value(types_pb2.Selection, selection, "selection")
        if loss is not None:
            spec.model.loss = value(types_pb2.Loss, loss, "loss")
        if revival is not None:
            spec.model.revival = value(types_pb2.Revival, revival, "revival")
        if resampling is not None:
            spec.model.resampling.CopyFrom(types_pb2.Resampling(**resampling))
        if penalty is not None:
            spec.model.penalty.CopyFrom(types_pb2.Penalty(**penalty))
        spec.model.subtract_bias = subtract_bias
        spec.model.k_anneal_fraction = k_anneal
        if optimiser is not None:
            optimiser = dict(optimiser)
            kind = optimiser.pop("kind", "adam")
            spec.optimiser.CopyFrom(types_pb2.Optimiser(
                kind=value(types_pb2.OptimiserKind, kind, "optimiser kind"),
                **optimiser))
        if output is not None:
            spec.model.output = value(types_pb2.Output, output, "output_function")
        if decoder_start is not None:
            spec.model.decoder_start = value(types_pb2.DecoderStart, decoder_start,
                                             "decoder_start")
        if bias_start is not None:
            spec.model.bias_start = value(types_pb2.BiasStart, bias_start, "bias_start")
        if aux is not None:
            spec.model.aux.CopyFrom(types_pb2.AuxK(**aux))
        spec.optimiser.learning_rate = learning_rate
        cls._add_conditions(spec, conditions, condition_columns, exclude_columns)
        return spec

    def analyse(self, model, recording, conditions=None, threads=0, name="", request_id=None,
                priority="normal", after=(), condition_columns=None, exclude_columns=None,
                without_model_conditions=False):
        """Queues the building of another dictionary of a stored model, on the recording it was
        trained on or on another with its units, and returns the job. conditions,
        condition_columns, exclude_columns: as of train. The conditions of the model's training are
        taken over but those whose names are given here, and its condition columns where both
        condition_columns and exclude_columns are None, as far as the recording has what they ask
        for; what is left out is warned of. ValueError where it has none of the columns that alone
        made conditions. without_model_conditions takes nothing over; {} as conditions no
        condition, () as columns no column."""
        spec = jobs_pb2.AnalyseSpec(model=model, recording=recording, threads=threads)
        self._add_conditions(spec, conditions, condition_columns or (), exclude_columns or ())
        request = jobs_pb2.CreateJobRequest(request_id=request_id or str(uuid.uuid4()),
                                            display_name=name, analyse=spec, dependencies=after,
                                            priority=_priority(priority))
        taken = not without_model_conditions
        columns = taken and condition_columns is None and exclude_columns is None
        for text in take_over(self, request, taken and conditions != {}, columns):
            warnings.warn(text, stacklevel=3)
        return self._call(self.jobs.CreateJob, request).job

    @staticmethod
    def _add_conditions(spec, conditions, only=(), excluded=()):
        if not isinstance(conditions or {}, dict):
            raise TypeError(f"conditions: is a {type(conditions).__name__}; must be a dict of names "
                            "and expressions, such as {'fast': 'speed > 20'}")
        for label, expression in (conditions or {}).items():
            spec.conditions.add(name=label, expression=expression)
        for given, out in ((only, spec.condition_columns.only),
                           (excluded, spec.condition_columns.excluded)):
            if isinstance(given, str):
                raise TypeError(f"condition columns: is the text {given!r}; must be a list, such as "
                                f"[{given!r}]")
            out.extend(given)

    def job(self, name):
        return self._call(self.jobs.GetJob, jobs_pb2.GetJobRequest(name=name)).job

    @staticmethod
    def _job_filter(filter, **terms):
        def quoted(value):
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        out = [f"{field} = {quoted(value)}" for field, value in terms.items() if value is not None]
        return " AND ".join(out + ([f"({filter})"] if filter else []))

    def list_jobs(self, state=None, kind=None, owner=None, recording=None, sweep=None, filter="",
                  trials=False, limit=None):
        """Jobs, newest first. state: "queued", "running", "paused", "succeeded", "failed" or
        "cancelled"; kind: "train", "analyse" or "trial"; recording, sweep: a name or id; filter: see
        ListJobsRequest in jobs.proto. Trials of sweeps are left out but with trials=True, a sweep
        or a kind."""
        request = jobs_pb2.ListJobsRequest(show_trials=trials, filter=self._job_filter(
            filter, state=state, kind=kind, owner=owner, recording=recording, sweep=sweep))
        return list(self._pages(self.jobs.ListJobs, request, "jobs", limit))

    @unhurried
    def watch_jobs(self, kind=None, owner=None, recording=None, sweep=None, filter="",
                   trials=False):
        """Yields what is new about all jobs that have not ended, until one stops to ask: messages
        with `jobs` that are new or changed (also those that just ended), the `progress` of running
        ones and the names of those to forget, `gone`. The first have all there is, up to the one
        that is `current`. The arguments: as of list_jobs."""
        request = jobs_pb2.WatchJobsRequest(show_trials=trials, filter=self._job_filter(
            filter, kind=kind, owner=owner, recording=recording, sweep=sweep))
        yield from self._stream(self.jobs.WatchJobs, request)

    def cancel(self, name):
        return self._call(self.jobs.CancelJob, jobs_pb2.CancelJobRequest(name=name)).job

    def pause(self, name):
        """Lets a job wait, with all it has done, until it is resumed."""
        return self._call(self.jobs.PauseJob, jobs_pb2.PauseJobRequest(name=name)).job

    def resume(self, name):
        return self._call(self.jobs.ResumeJob, jobs_pb2.ResumeJobRequest(name=name)).job

    def retry(self, name):
        """Starts the next attempt now, of a job that waits for it after a fault that may pass; a
        failed or cancelled job begins anew."""
        return self._call(self.jobs.RetryJob, jobs_pb2.RetryJobRequest(name=name)).job

    def delete_job(self, name):
        """Forgets a job that has ended and whose model and dictionary are gone."""
        self._call(self.jobs.DeleteJob, jobs_pb2.DeleteJobRequest(name=name))

    @unhurried
    def watch(self, name, after=0):
        """Yields the job's progress from its beginning until it ends. after: the sequence of the last
        record that is known; -1: begin with the latest."""
        request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
        for event in self._stream(self.jobs.WatchJob, request):
            if event.HasField("progress"):
                yield event.progress

    @unhurried
    def wait(self, name, progress=None):
        """The job once it ended; raises RuntimeError where it failed or was cancelled. What is wrong
        with its model is warned of and stands in the job's warnings. progress: a function of each
        record (JobProgress), True for a line on stderr, False for nothing, None for a line in a
        terminal or a notebook."""
        shown = Shown(progress, name)
        for record in self.watch(name, after=-1):
            shown.each(record)
        job = self.job(name)
        shown.end(state(job))
        if job.state != jobs_pb2.Job.STATE_SUCCEEDED:
            raise RuntimeError(f"{name} {state(job)}: {job.error.message}")
        for text in job.warnings:
            warnings.warn(f"{job.model}: {text}", stacklevel=3)
        return job
