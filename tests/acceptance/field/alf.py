"""ALF folders, as the IBL and others write them."""

import numpy as np

from field import Expect, case

TIMES = np.array([0.5, 0.75, 1.25, 2.0])
CLUSTERS = np.array([3, 0, 3, 0], np.int32)
SPIKES = {0: np.array([0.75, 2.0]), 3: np.array([0.5, 1.25])}


def save(folder, **arrays):
    """spikes__times=... becomes spikes.times.npy."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / (name.replace("__", ".") + ".npy"), values)
    return folder


def spikes(folder, times=TIMES, clusters=CLUSTERS):
    return save(folder, spikes__times=times, spikes__clusters=clusters)


@case
def times_and_clusters(folder):
    """spikes.times in seconds and spikes.clusters."""
    return Expect(path=spikes(folder), spikes=SPIKES, source="alf", no_warnings=True)


@case
def columns_of_one(folder):
    """[n, 1] arrays, as MATLAB leaves them, with clusters of float64."""
    path = spikes(folder, TIMES[:, None], CLUSTERS[:, None].astype(float))
    return Expect(path=path, spikes=SPIKES, no_warnings=True)


@case
def beside_kilosort(folder):
    """spike_times.npy in samples beside spikes.times.npy in seconds: seconds are read."""
    path = spikes(folder)
    np.save(path / "spike_times.npy", (TIMES * 30000).astype(np.int64))
    np.save(path / "spike_clusters.npy", CLUSTERS)
    (path / "params.py").write_text("sample_rate = 30000.\n")
    return Expect(path=path, spikes=SPIKES, source="alf")


@case
def times_of_whole_numbers(folder):
    """Whole numbers could be samples: refused with the choices."""
    path = spikes(folder, np.array([1, 2, 3, 4]))
    return Expect(path=path, refused=("spikes.times.npy", "sampling_rate"))


@case
def times_in_samples(folder):
    """Whole numbers with a rate are samples."""
    path = spikes(folder, np.array([1, 2, 3, 4]))
    return Expect(path=path, sampling_rate=1000,
                  spikes={0: np.array([0.002, 0.004]), 3: np.array([0.001, 0.003])})


@case
def lengths_differ(folder):
    """Fewer clusters than times."""
    return Expect(path=spikes(folder, clusters=CLUSTERS[:3]),
                  refused=("spikes.clusters.npy", "must be as many"))


@case
def negative_clusters(folder):
    """Spikes of cluster -1 are of no cluster."""
    return Expect(path=spikes(folder, clusters=np.array([3, -1, 3, 0])),
                  spikes={0: TIMES[3:], 3: SPIKES[3]},
                  warnings=["spikes.clusters.npy: 1 spike dropped"])


@case
def objects_are_never_read(folder):
    """An object array (a pickle) of times is refused."""
    path = spikes(folder)
    np.save(path / "spikes.times.npy", np.array([TIMES, None], object))
    return Expect(path=path, refused=("spikes.times.npy", "pickle"))


@case
def clusters_by_row(folder):
    """clusters.* have a row for each cluster id."""
    path = save(spikes(folder), clusters__depths=np.array([10.0, 20, 30, 40]),
                clusters__channels=np.array([5, 6, 7, 8]),
                clusters__acronym=np.array(["CA1", "VISp", "root", "DG"]))
    return Expect(path=path, depths={0: 10, 3: 40}, regions={0: "CA1", 3: "DG"},
                  columns={0: {"channels": "5"}, 3: {"channels": "8"}}, no_warnings=True)


@case
def metrics_by_id(folder):
    """clusters.metrics.csv goes by cluster_id; IBL's label 1 is good."""
    path = spikes(folder)
    (path / "clusters.metrics.csv").write_text(
        "cluster_id,label,ks2_label,firing_rate\n3,1.0,mua,2.5\n0,0.6666,good,\n")
    return Expect(path=path, labels={3: "good", 0: "0.6666"},
                  columns={3: {"ks2_label": "mua", "firing_rate": "2.5"}}, no_warnings=True)


@case
def metrics_with_an_index(folder):
    """A metrics table with pandas' index."""
    path = spikes(folder)
    (path / "clusters.metrics.csv").write_text(
        ",cluster_id,ks2_label\n0,0,good\n1,3,mua\n")
    return Expect(path=path, labels={0: "good", 3: "mua"},
                  warnings=["clusters.metrics.csv", "only counts the rows"])


@case
def uuids_by_row(folder):
    """clusters.uuids.csv goes by row."""
    path = spikes(folder)
    (path / "clusters.uuids.csv").write_text("uuids\na\nb\nc\nd\n")
    return Expect(path=path, columns={0: {"uuids": "a"}, 3: {"uuids": "d"}}, no_warnings=True)


@case
def phy_annotation(folder):
    """Phy's annotation counts before the sorter's label."""
    path = save(spikes(folder), clusters___phy_annotation=np.array([2, 0, 0, 1]))
    return Expect(path=path, labels={0: "good", 3: "mua"}, no_warnings=True)


@case
def cluster_without_a_row(folder):
    """A table that ends before the last cluster."""
    path = save(spikes(folder), clusters__depths=np.array([10.0, 20]))
    return Expect(path=path, depths={0: 10, 3: None},
                  warnings=["clusters.depths.npy: 1 cluster without a row"])


@case
def depth_of_the_channel(folder):
    """Without clusters.depths the peak channel says where."""
    path = save(spikes(folder), clusters__channels=np.array([1, 0, 0, 0]),
                channels__localCoordinates=np.array([[11.0, 20], [43, 60]]),
                channels__brainLocationIds_ccf_2017=np.array([997, 382]))
    return Expect(path=path, depths={0: 60, 3: 20},
                  columns={0: {"atlas_id": "382"}, 3: {"atlas_id": "997"}}, no_warnings=True)


@case
def parquet_metrics(folder):
    """A Parquet table is left out with what to do."""
    path = spikes(folder)
    (path / "clusters.metrics.pqt").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    return Expect(path=path, spikes=SPIKES, warnings=["clusters.metrics.pqt", "to_csv"])


@case
def parquet_with_its_export(folder):
    """An export beside it stands for the Parquet table."""
    path = spikes(folder)
    (path / "clusters.metrics.pqt").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    (path / "clusters.metrics.csv").write_text("cluster_id,ks2_label\n0,good\n3,mua\n")
    return Expect(path=path, labels={0: "good", 3: "mua"}, no_warnings=True)


@case
def trials(folder):
    """trials.* become a table, in the namespace _ibl_."""
    path = save(spikes(folder), _ibl_trials__intervals=np.array([[0.0, 1], [1, 2.5]]),
                _ibl_trials__stimOn_times=np.array([0.25, 1.25]),
                _ibl_trials__contrastLeft=np.array([np.nan, 0.5]),
                _ibl_trials__choice=np.array([-1, 1], np.int8))
    return Expect(path=path, no_warnings=True, tables={"trials": {
        "start_time": [0, 1], "stop_time": [1, 2.5], "stimOn_times": [0.25, 1.25],
        "contrastLeft": [None, 0.5], "choice": [-1, 1]}})


@case
def trials_in_fortran_order(folder):
    """Intervals that were saved column by column."""
    path = save(spikes(folder), trials__intervals=np.asfortranarray([[0.0, 1], [1, 2.5], [3, 4]]))
    return Expect(path=path, no_warnings=True, tables={"trials": {
        "start_time": [0, 1, 3], "stop_time": [1, 2.5, 4]}})


@case
def trials_with_underscores(folder):
    """A value with an underscore is no clock."""
    path = save(spikes(folder), trials__intervals=np.array([[0.0, 1], [1, 2]]),
                trials__visualStim_contrastLeft=np.array([[1.0], [0.5]]))
    return Expect(path=path, no_warnings=True,
                  tables={"trials": {"visualStim_contrastLeft": [1, 0.5]}})


@case
def trials_on_another_clock(folder):
    """Times with a clock in their name are left out."""
    path = save(spikes(folder), trials__intervals=np.array([[0.0, 1], [1, 2]]),
                trials__goCue_times_bpod=np.array([5.0, 6]),
                trials__intervals_bpod=np.array([[5.0, 6], [6, 7]]))
    return Expect(path=path, tables={"trials": {"start_time": [0, 1]}},
                  warnings=["trials.goCue_times_bpod.npy", "trials.intervals_bpod.npy", "'bpod'"])


@case
def trials_with_a_short_attribute(folder):
    """An attribute without a row for each trial is left out."""
    path = save(spikes(folder), trials__intervals=np.array([[0.0, 1], [1, 2]]),
                trials__choice=np.array([1.0]))
    return Expect(path=path, tables={"trials": {"start_time": [0, 1]}},
                  warnings=["choice", "has 1 rows"])


@case
def trials_without_intervals(folder):
    """Trials without intervals are left out with what is missing."""
    path = save(spikes(folder), trials__choice=np.array([1.0, 2]))
    return Expect(path=path, spikes=SPIKES, warnings=["trials: left out", "intervals"])


@case
def trials_as_parquet(folder):
    """_ibl_trials.table.pqt is left out with what to do."""
    path = spikes(folder)
    (path / "_ibl_trials.table.pqt").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    return Expect(path=path, spikes=SPIKES, warnings=["_ibl_trials.table.pqt", "to_csv"])


@case
def trials_as_exported(folder):
    """The exported table with intervals_0 and intervals_1."""
    path = spikes(folder)
    (path / "_ibl_trials.table.csv").write_text(
        "intervals_0,intervals_1,choice,contrastLeft\n0.0,1.0,-1.0,\n1.0,2.0,1.0,0.25\n")
    return Expect(path=path, no_warnings=True, tables={"trials": {
        "start_time": [0, 1], "stop_time": [1, 2], "choice": [-1, 1],
        "contrastLeft": [None, 0.25]}})


@case
def trials_with_a_nan(folder):
    """A trial that starts at NaN is dropped, the others stay."""
    path = save(spikes(folder),
                trials__intervals=np.array([[0.0, 1], [np.nan, 1.5], [1.5, 2]]),
                trials__choice=np.array([1, 2, 3]))
    return Expect(path=path, tables={"trials": {"choice": [1, 3]}}, warnings=["trials"])


@case
def trials_of_two_tasks(folder):
    """Trials of several collections have the folder in their name."""
    spikes(folder / "alf" / "probe00")
    for task in ("task_00", "task_01"):
        save(folder / "alf" / task, _ibl_trials__intervals=np.array([[0.0, 1]]))
    return Expect(path=folder, tables={"trials_task_00": {"start_time": [0]},
                                       "trials_task_01": {"stop_time": [1]}})


@case
def wheel(folder):
    """wheel.timestamps and wheel.position become a series."""
    t, x = np.array([0, 0.5, 1]), np.array([1.0, 2, 4])
    path = save(spikes(folder), _ibl_wheel__timestamps=t, _ibl_wheel__position=x)
    return Expect(path=path, series={"wheel": (t, x)}, no_warnings=True)


@case
def wheel_of_two_attributes(folder):
    """Attributes of one object are the channels of one series."""
    t = np.array([0, 0.5, 1])
    path = save(spikes(folder), wheel__timestamps=t, wheel__position=np.array([1.0, 2, 4]),
                wheel__velocity=np.array([0.0, 2, 4]))
    return Expect(path=path, series={"wheel": (t, [[1, 0], [2, 2], [4, 4]])}, no_warnings=True)


@case
def timestamps_of_some_samples(folder):
    """Timestamps [m, 2] of sample and time are interpolated."""
    path = save(spikes(folder), wheel__timestamps=np.array([[0, 1.0], [4, 3.0]]),
                wheel__position=np.arange(5.0))
    return Expect(path=path, series={"wheel": ([1, 1.5, 2, 2.5, 3], np.arange(5.0))})


@case
def backward_samples(folder):
    """Samples whose time is NaN or goes back are dropped."""
    path = save(spikes(folder), wheel__timestamps=np.array([0, 0.5, 0.25, np.nan, 1]),
                wheel__position=np.arange(5.0))
    return Expect(path=path, series={"wheel": ([0, 0.5, 1], [0.0, 1, 4])},
                  warnings=["wheel: 2 samples dropped"])


@case
def licks(folder):
    """Times alone are events."""
    path = save(spikes(folder), licks__times=np.array([0.25, 1.5]))
    return Expect(path=path, no_warnings=True,
                  tables={"licks": {"start_time": [0.25, 1.5], "stop_time": [0.25, 1.5]}})


@case
def moves_with_intervals(folder):
    """Any object with intervals is a table."""
    path = save(spikes(folder), _ibl_wheelMoves__intervals=np.array([[0.0, 0.5], [1, 1.5]]),
                _ibl_wheelMoves__peakAmplitude=np.array([0.1, 0.2]))
    return Expect(path=path, tables={"wheelMoves": {"peakAmplitude": [0.1, 0.2]}},
                  no_warnings=True)


@case
def newest_revision(folder):
    """Of several revisions the newest by name is taken, and said."""
    path = spikes(folder / "alf" / "probe00", times=TIMES + 10)
    save(path / "#2023-05-01#", spikes__times=TIMES + 20)
    save(path / "#2024-05-06#", spikes__times=TIMES)
    return Expect(path=folder, spikes=SPIKES, warnings=["revisions", "#2024-05-06#"])


@case
def uuid_in_the_name(folder):
    """Names with a data set's UUID."""
    path = spikes(folder)
    (path / "spikes.times.npy").rename(
        path / "spikes.times.8f6a2f1c-7a3e-4a5f-9a39-3c2d2f4f1b11.npy")
    return Expect(path=path, spikes=SPIKES, no_warnings=True)


@case
def two_probes(folder):
    """Two probes are both read, units numbered from 0."""
    spikes(folder / "alf" / "probe00" / "pykilosort")
    save(spikes(folder / "alf" / "probe01", TIMES + 1), clusters__depths=np.arange(4.0))
    return Expect(path=folder, depths={2: 0, 3: 3}, warnings=["probe", "original_id"],
                  spikes={0: SPIKES[0], 1: SPIKES[3], 2: SPIKES[0] + 1, 3: SPIKES[3] + 1},
                  columns={1: {"probe": "probe00", "original_id": "3"},
                           2: {"probe": "probe01", "original_id": "0"}})


@case
def two_probes_and_a_choice(folder):
    """The option names one, which keeps its ids."""
    spikes(folder / "alf" / "probe00")
    spikes(folder / "alf" / "probe01", TIMES + 1)
    return Expect(path=folder, options={"collection": "alf/probe01"},
                  spikes={0: SPIKES[0] + 1, 3: SPIKES[3] + 1}, no_warnings=True)


@case
def two_sortings_of_a_probe(folder):
    """Two sortings of one probe need a choice."""
    spikes(folder / "alf" / "probe00")
    spikes(folder / "alf" / "probe00" / "pykilosort", TIMES + 1)
    return Expect(path=folder, refused=("collection", "'alf/probe00/pykilosort'"))
