"""SpikeInterface's folders, written by their layout."""

import json

import numpy as np

from field import Expect, case

RATE = 30000.0
SPIKE = [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")]
SPIKES = [(30, 0, 0), (45, 1, 0), (60, 0, 0), (30007, 1, 0)]
SECONDS = {0: np.array([30, 60]) / RATE, 1: np.array([45, 30007]) / RATE}


def sorting(folder, spikes=None, ids=(0, 1), segments=1, rate=RATE, dtype=None, properties=None):
    folder.mkdir(parents=True, exist_ok=True)
    info = {"sampling_frequency": rate, "unit_ids": list(ids), "num_segments": segments}
    (folder / "numpysorting_info.json").write_text(json.dumps(info))
    np.save(folder / "spikes.npy", np.array(SPIKES if spikes is None else spikes, dtype or SPIKE))
    (folder / "properties").mkdir()
    for name, values in (properties or {}).items():
        np.save(folder / "properties" / f"{name}.npy", values)
    return folder


def analyzer(folder, samples=(60000,), rate=RATE, **of_sorting):
    sorting(folder / "sorting", segments=len(samples), **of_sorting)
    (folder / "spikeinterface_info.json").write_text(json.dumps(
        {"version": "0.102.0", "object": "SortingAnalyzer"}))
    (folder / "settings.json").write_text('{"return_in_uV": true}')
    (folder / "recording_info").mkdir()
    (folder / "recording_info/recording_attributes.json").write_text(json.dumps(
        {"channel_ids": ["AP0"], "sampling_frequency": rate, "num_channels": 1,
         "num_samples": list(samples), "properties": {"gain": [float("nan")]}}))
    return folder


def extension(folder, name):
    path = folder / "extensions" / name
    path.mkdir(parents=True)
    (path / "params.json").write_text("{}")
    return path


@case
def numpy_folder(folder):
    """A NumpyFolder sorting of one segment."""
    return Expect(path=sorting(folder), spikes=SECONDS, source="spikeinterface", no_warnings=True)


@case
def ids_of_the_file(folder):
    """Unit ids are the file's own, in any order."""
    return Expect(path=sorting(folder, ids=(71, 5)), spikes={71: SECONDS[0], 5: SECONDS[1]},
                  no_warnings=True)


@case
def fields_in_another_order(folder):
    """Fields in another order, of other widths, one of them big-endian."""
    dtype = [("segment_index", "u1"), ("unit_index", ">i4"), ("sample_index", "<u4")]
    spikes = [(s, u, t) for t, u, s in SPIKES]
    return Expect(path=sorting(folder, spikes, dtype=dtype), spikes=SECONDS, no_warnings=True)


@case
def further_fields(folder):
    """Fields that are not needed, and padding, are stepped over."""
    dtype = np.dtype(SPIKE + [("amplitude", "<f4"), ("flag", "i1"), ("xyz", "<f8", (3,))],
                     align=True)
    spikes = [(*s, 1.5, 1, (1, 2, 3)) for s in SPIKES]
    return Expect(path=sorting(folder, spikes, dtype=dtype), spikes=SECONDS, no_warnings=True)


@case
def older_field_names(folder):
    """sample_ind, unit_ind and segment_ind of versions before 0.97."""
    dtype = [("sample_ind", "<i8"), ("unit_ind", "<i8"), ("segment_ind", "<i8")]
    return Expect(path=sorting(folder, dtype=dtype), spikes=SECONDS, no_warnings=True)


@case
def unit_without_spikes(folder):
    """A unit without a spike stays a unit."""
    return Expect(path=sorting(folder, ids=(0, 1, 2)), spikes={**SECONDS, 2: np.array([])})


@case
def text_ids(folder):
    """Ids that are texts are numbered, and said."""
    return Expect(path=sorting(folder, ids=("a", "µ")), spikes=SECONDS,
                  columns={0: {"original_id": "a"}, 1: {"original_id": "µ"}},
                  warnings=["numpysorting_info.json", "original_id"])


@case
def text_ids_strict(folder):
    """Strict refuses to number them."""
    return Expect(path=sorting(folder, ids=("a", "b")), strict=True,
                  refused=("numpysorting_info.json", "original_id"))


@case
def ids_twice(folder):
    """An id that comes twice."""
    return Expect(path=sorting(folder, ids=(4, 4)), spikes=SECONDS,
                  columns={0: {"original_id": "4"}, 1: {"original_id": "4"}},
                  warnings=["come twice"])


@case
def properties_become_columns(folder):
    """Numbers, texts and booleans of properties/."""
    path = sorting(folder, properties={
        "quality": np.array(["good", "mua"]), "KSLabel": np.array(["mua", "good"]),
        "brain_area": np.array(["VISp", "CA1"]), "depth": np.array([120.5, 80]),
        "group": np.array([0, 1]), "is_merged": np.array([True, False])})
    return Expect(path=path, spikes=SECONDS, labels={0: "good", 1: "mua"},
                  regions={0: "VISp", 1: "CA1"}, depths={0: 120.5, 1: 80},
                  columns={0: {"group": "0", "is_merged": "1", "KSLabel": "mua"},
                           1: {"group": "1"}}, no_warnings=True)


@case
def kslabel_alone(folder):
    """Without quality the sorter's label counts; bytes are texts too."""
    path = sorting(folder, properties={"KSLabel": np.array([b"good", b"mua"])})
    return Expect(path=path, labels={0: "good", 1: "mua"}, no_warnings=True)


@case
def property_of_objects(folder):
    """An object array (a pickle) is left out, and said."""
    path = sorting(folder, properties={"notes": np.array([{"a": 1}, None], object),
                                       "quality": np.array(["good", "mua"])})
    return Expect(path=path, spikes=SECONDS, labels={0: "good"},
                  warnings=["properties/notes.npy", "pickle"])


@case
def property_of_another_length(folder):
    """A property that has not a row for each unit is left out, and said."""
    path = sorting(folder, properties={"snr": np.array([1.0, 2, 3])})
    return Expect(path=path, spikes=SECONDS, warnings=["properties/snr.npy", "3 rows"])


@case
def property_of_two_columns(folder):
    """A property of several numbers a unit becomes several columns."""
    path = sorting(folder, properties={"location": np.array([[1.5, 20], [3, 40]])})
    return Expect(path=path, columns={0: {"location_0": "1.5", "location_1": "20"},
                                      1: {"location_1": "40"}}, no_warnings=True)


@case
def analyzer_folder(folder):
    """A sorting analyzer: its sorting and its length."""
    return Expect(path=analyzer(folder), spikes=SECONDS, source="spikeinterface",
                  tables={"segments": {"start_time": [0], "stop_time": [2]}}, no_warnings=True)


@case
def analyzer_below(folder):
    """The folder above an analyzer."""
    analyzer(folder / "results" / "analyzer")
    return Expect(path=folder, spikes=SECONDS, no_warnings=True)


@case
def analyzer_metrics(folder):
    """Quality metrics, template metrics and locations."""
    path = analyzer(folder, ids=(3, 8))
    (extension(path, "quality_metrics") / "metrics.csv").write_text(
        ",num_spikes,snr\n8,2,4.5\n3,2,\n")
    (extension(path, "template_metrics") / "metrics.csv").write_text(
        "unit_id,half_width\n3,0.25\n8,0.5\n")
    np.save(extension(path, "unit_locations") / "unit_locations.npy",
            np.array([[1, 200, 3.5], [2, 100, 4]]))
    return Expect(path=path, spikes={3: SECONDS[0], 8: SECONDS[1]}, depths={3: 200, 8: 100},
                  columns={3: {"half_width": "0.25", "location_z": "3.5"},
                           8: {"snr": "4.5", "num_spikes": "2"}}, no_warnings=True)


@case
def metrics_of_text_ids(folder):
    """Metrics find units by their own ids, also where these are texts."""
    path = analyzer(folder, ids=("u1", "u2"))
    (extension(path, "quality_metrics") / "metrics.csv").write_text(",snr\nu2,2\nu1,1\nu9,9\n")
    return Expect(path=path, columns={0: {"snr": "1"}, 1: {"snr": "2"}},
                  warnings=["metrics.csv: 1 row left out"])


@case
def depth_of_a_property_wins(folder):
    """A depth among the properties is not overruled by the estimate."""
    path = analyzer(folder, properties={"depth": np.array([7.0, 8])})
    np.save(extension(path, "unit_locations") / "unit_locations.npy", np.array([[1, 2.0], [3, 4]]))
    return Expect(path=path, depths={0: 7, 1: 8}, columns={0: {"location_y": "2"}})


@case
def two_segments(folder):
    """Segments are laid one after another with a second that is not observed."""
    spikes = [(30, 0, 0), (45, 1, 0), (30, 0, 1), (59999, 1, 1)]
    path = analyzer(folder, samples=(45000, 60000), spikes=spikes)
    return Expect(path=path,
                  spikes={0: np.array([30, 75030]) / RATE, 1: np.array([45, 134999]) / RATE},
                  observed=[(0, 1.5), (2.5, 4.5)],
                  tables={"segments": {"start_time": [0, 2.5], "stop_time": [1.5, 4.5],
                                       "segment": [0, 1]}},
                  warnings=["2 segments", "nothing is observed"])


@case
def segments_of_unknown_length(folder):
    """Without lengths a segment ends at the whole second after its last spike."""
    spikes = [(30, 0, 0), (31000, 1, 0), (30, 0, 1)]
    return Expect(path=sorting(folder, spikes, segments=2),
                  spikes={0: np.array([30, 90030]) / RATE, 1: np.array([31000]) / RATE},
                  observed=[(0, 2), (3, 4)], warnings=["whole second"])


@case
def empty_segment(folder):
    """A segment without a spike still takes its time."""
    path = analyzer(folder, samples=(30000, 30000, 30000), spikes=[(0, 0, 0), (3, 1, 2)])
    return Expect(path=path, spikes={0: np.array([0.0]), 1: np.array([120003]) / RATE},
                  observed=[(0, 1), (2, 3), (4, 5)])


@case
def spikes_outside_their_segment(folder):
    """Spikes before or past their segment are dropped and never reach the next one."""
    spikes = [(30, 0, 0), (45000, 1, 0), (-5, 1, 1), (45, 1, 1)]
    path = analyzer(folder, samples=(45000, 60000), spikes=spikes)
    return Expect(path=path, spikes={0: np.array([30]) / RATE, 1: np.array([75045]) / RATE},
                  warnings=["spikes.npy: 2 spikes dropped", "outside their segment"])


@case
def spikes_of_no_unit(folder):
    """Spikes of a unit or a segment that is not there are dropped."""
    spikes = SPIKES + [(70, 2, 0), (80, -1, 0), (90, 0, 1)]
    return Expect(path=sorting(folder, spikes), spikes=SECONDS,
                  warnings=["3 spikes dropped because their unit or segment is not there"])


@case
def unsorted_spikes(folder):
    """Spikes that are not in order are sorted."""
    return Expect(path=sorting(folder, [SPIKES[2], SPIKES[0], SPIKES[1], SPIKES[3]]),
                  spikes=SECONDS, warnings=["sorted"])


@case
def two_rates(folder):
    """Sorting and recording disagree on the rate."""
    return Expect(path=analyzer(folder, rate=25000.0), refused=("sampling_rate", "25000"))


@case
def two_rates_and_a_choice(folder):
    """The rate that is given decides."""
    path = analyzer(folder, rate=25000.0)
    return Expect(path=path, sampling_rate=25000,
                  spikes={0: np.array([30, 60]) / 25000, 1: np.array([45, 30007]) / 25000},
                  warnings=["25000 Hz is used as given"])


@case
def lengths_of_other_segments(folder):
    """A list of lengths that does not fit is left out."""
    path = analyzer(folder)
    (path / "recording_info/recording_attributes.json").write_text(
        json.dumps({"sampling_frequency": RATE, "num_samples": [1, 2]}))
    return Expect(path=path, spikes=SECONDS, warnings=["num_samples left out"])


@case
def damaged_info(folder):
    """A .json that is cut off."""
    path = sorting(folder)
    (path / "numpysorting_info.json").write_text('{"sampling_frequency": 30000.0, "unit')
    return Expect(path=path, refused=("numpysorting_info.json", "JSON"))


@case
def no_rate(folder):
    """No rate anywhere."""
    path = sorting(folder)
    (path / "numpysorting_info.json").write_text('{"unit_ids": [0, 1], "num_segments": 1}')
    return Expect(path=path, refused=("numpysorting_info.json", "sampling_rate"))


@case
def plain_spikes(folder):
    """spikes.npy that is no structured array."""
    path = sorting(folder)
    np.save(path / "spikes.npy", np.zeros((3, 3)))
    return Expect(path=path, refused=("spikes.npy", "sample_index"))


@case
def cut_spikes(folder):
    """spikes.npy that is cut off."""
    path = sorting(folder)
    data = (path / "spikes.npy").read_bytes()
    (path / "spikes.npy").write_bytes(data[:-8])
    return Expect(path=path, refused=("spikes.npy", "truncated"))


@case
def several_sortings(folder):
    """Two sortings in one folder need a choice."""
    sorting(folder / "a")
    sorting(folder / "b")
    return Expect(path=folder, refused=("sorting", "'a/', 'b/'"))


@case
def several_sortings_and_a_choice(folder):
    """The option names one."""
    sorting(folder / "a")
    sorting(folder / "b", spikes=[(30, 0, 0), (45, 1, 0)])
    return Expect(path=folder, options={"sorting": "b"},
                  spikes={0: np.array([30]) / RATE, 1: np.array([45]) / RATE})


@case
def zarr_analyzer(folder):
    """An analyzer in Zarr is refused with what to do."""
    path = folder / "analyzer.zarr"
    path.mkdir()
    (path / ".zattrs").write_text('{"spikeinterface_info": {"object": "SortingAnalyzer"}}')
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    return Expect(path=path, refused=("files", "binary_folder"))


@case
def old_npz_folder(folder):
    """The old npz_folder is refused with what to do."""
    (folder / "npz.json").write_text('{"class": "spikeinterface.core.NpzSortingExtractor"}')
    np.savez(folder / "sorting_cached.npz", unit_ids=np.array([0, 1]))
    return Expect(path=folder, refused=("files", "numpy_folder"))
