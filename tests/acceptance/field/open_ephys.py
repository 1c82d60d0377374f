"""The Open Ephys GUI's binary format: spikes of electrodes, digital lines and messages."""
import json

import numpy as np

from field import Expect, case

RATE = 30000.0


def recording(folder, spikes=None, lines=None, text=None, start=0, where="Record Node 101/experiment1/"
              "recording1", stream="Rhythm_Data", synchronised=True, shift=0.0):
    """A recording of version 0.6: spikes {electrode: (samples, sorted ids)}, lines (samples, states)."""
    root = folder / where
    root.mkdir(parents=True)
    entries = []

    def times(path, samples):
        samples = np.asarray(samples, "i8")
        np.save(path / "sample_numbers.npy", samples)
        np.save(path / "timestamps.npy",
                samples / RATE + shift if synchronised else np.full(len(samples), -1.0))

    for name, (samples, ids) in (spikes or {}).items():
        key = f"Spike_Sorter-105.{stream}/{name.replace(' ', '_')}/"
        path = root / "spikes" / key
        path.mkdir(parents=True)
        times(path, samples)
        np.save(path / "clusters.npy", np.asarray(ids, "u2"))
        np.save(path / "electrode_indices.npy", np.ones(len(samples), "u2"))
        np.save(path / "waveforms.npy", np.zeros((len(samples), 2, 40), "i2"))
        entries.append({"name": name, "folder": key, "stream_name": stream.replace("_", " "),
                        "sample_rate": RATE, "num_channels": 2})
    if lines is not None:
        path = root / "events" / f"Acquisition_Board-100.{stream}" / "TTL"
        path.mkdir(parents=True)
        times(path, lines[0])
        np.save(path / "states.npy", np.asarray(lines[1], "i2"))
        np.save(path / "full_words.npy", np.zeros(len(lines[0]), "u8"))
    if text is not None:
        path = root / "events" / "MessageCenter"
        path.mkdir(parents=True)
        times(path, text[0])
        np.save(path / "text.npy", np.array(text[1], "S"))
    (root / "structure.oebin").write_text(json.dumps(
        {"GUI version": "0.6.4", "continuous": [], "events": [], "spikes": entries}))
    (root / "sync_messages.txt").write_text(
        "Software Time (milliseconds since midnight Jan 1st 1970 UTC): 1718900000000\n"
        f"Start Time for Acquisition Board (100) - {stream.replace('_', ' ')} @ 30000 Hz: {start}\n")
    return folder


STEP = np.arange(40)
ONE = {"Stereotrode 1": (3000 * STEP + 3000, np.where(STEP % 4 == 3, 0, STEP % 4))}


def one_electrode():
    times = (3000 * STEP + 3000) / RATE
    ids = ONE["Stereotrode 1"][1]
    return {int(i): times[ids == i] for i in np.unique(ids)}


@case
def sorted_ids_of_one_electrode(folder):
    """One electrode: the sorted ids are the units', 0 is what was not sorted."""
    return Expect(path=recording(folder, ONE), spikes=one_electrode(), source="open_ephys",
                  labels={0: "unsorted", 1: "", 2: ""},
                  columns={1: {"electrode": "Stereotrode 1", "electrode_index": "1"}},
                  warnings=["1 of 3 units are spikes that were not sorted"])


@case
def two_electrodes(folder):
    """Every electrode counts its ids from 1: the units are numbered, the ids kept."""
    spikes = {"Stereotrode 1": ([3000, 6000, 9000], [1, 2, 1]),
              "Stereotrode 2": ([4500, 7500], [1, 1])}
    return Expect(path=recording(folder, spikes), format="open_ephys",
                  spikes={0: [0.1, 0.3], 1: [0.2], 2: [0.15, 0.25]},
                  columns={0: {"electrode": "Stereotrode 1", "original_id": "1"},
                           1: {"electrode": "Stereotrode 1", "original_id": "2"},
                           2: {"electrode": "Stereotrode 2", "original_id": "1"}},
                  warnings=["the ids are in the column original_id"])


@case
def synchronised_times_count(folder):
    """The times are those of the main clock, not the samples."""
    spikes = {"Stereotrode 1": ([3000, 6000, 9000], [1, 1, 1])}
    return Expect(path=recording(folder, spikes, shift=0.25),
                  spikes={1: np.array([3000, 6000, 9000]) / RATE + 0.25})


@case
def lines_and_messages(folder):
    """Digital lines become a table each, messages one of points."""
    lines = ([3000, 4500, 6000, 7500, 9000], [1, 3, -1, 1, -1])
    got = recording(folder, ONE, lines, ([1500, 90000], ["begin", "a light"]))
    return Expect(path=got, spikes=one_electrode(),
                  tables={"ttl_1": {"start_time": [0.1, 0.25], "stop_time": [0.2, 0.3]},
                          "messages": {"start_time": [0.05, 3.0], "stop_time": [0.05, 3.0],
                                       "text": ["begin", "a light"]}},
                  warnings=["ttl_3: 1 row without a stop made to last"])


@case
def unpaired_events(folder):
    """An off without an on, an on without an off and a line that cannot be are dropped and said."""
    lines = ([3000, 4500, 6000, 7500, 9000, 9300], [-1, 2, 2, -2, 0, 3000])
    return Expect(path=recording(folder, ONE, lines), spikes=one_electrode(),
                  tables={"ttl_2": {"start_time": [0.2], "stop_time": [0.25]}},
                  warnings=["1 change to off dropped", "1 change to on dropped",
                            "2 changes of no line"])


@case
def two_recordings_of_an_experiment(folder):
    """They follow each other on one clock; the time between is not observed."""
    recording(folder, {"Stereotrode 1": ([3000, 6000], [1, 2])}, ([4500], [1]), start=1500)
    recording(folder, {"Stereotrode 1": ([93000, 96000], [1, 1])}, ([94500, 95100], [1, -1]),
              start=90000, where="Record Node 101/experiment1/recording2")
    return Expect(path=folder, spikes={1: np.array([3000, 93000, 96000]) / RATE, 2: [0.2]},
                  tables={"ttl_1": {"start_time": [94500 / RATE], "stop_time": [95100 / RATE]}},
                  observed=[(0.05, 6000 / RATE + 1 / RATE), (3.0, 96000 / RATE + 1 / RATE)],
                  warnings=["1 row dropped"])


@case
def ten_recordings_in_the_order_of_their_numbers(folder):
    """recording10 comes behind recording2."""
    for n in range(1, 11):
        recording(folder, {"Stereotrode 1": ([30000 * n], [1])}, start=30000 * n - 300,
                  where=f"experiment1/recording{n}")
    return Expect(path=folder, spikes={1: np.arange(1.0, 11.0)})


@case
def one_of_two_recordings(folder):
    """One is named."""
    recording(folder, {"Stereotrode 1": ([3000, 6000], [1, 2])})
    recording(folder, {"Stereotrode 1": ([93000, 96000], [1, 1])}, start=90000,
              where="Record Node 101/experiment1/recording2")
    return Expect(path=folder, format="open_ephys", spikes={1: np.array([93000, 96000]) / RATE},
                  options={"recording": "Record Node 101/experiment1/recording2"})


@case
def two_experiments(folder):
    """Each experiment starts its clock anew: refused with the choices."""
    recording(folder, ONE)
    recording(folder, ONE, where="Record Node 101/experiment2/recording1")
    return Expect(path=folder, refused=("options.recording", "experiment2/recording1/"))


@case
def one_of_two_experiments(folder):
    """An experiment is named."""
    recording(folder, ONE)
    recording(folder, {"Stereotrode 1": ([600, 900], [7, 7])},
              where="Record Node 101/experiment2/recording1")
    return Expect(path=folder, format="open_ephys", spikes={7: np.array([600, 900]) / RATE},
                  options={"recording": "Record Node 101/experiment2"})


@case
def streams_without_synchronised_times(folder):
    """Times of -1: the samples count, and that is said."""
    lines = ([3000, 6000], [1, -1])
    return Expect(path=recording(folder, ONE, lines, synchronised=False), spikes=one_electrode(),
                  tables={"ttl_1": {"start_time": [0.1], "stop_time": [0.2]}},
                  warnings=["have no synchronised times; their sample numbers at 30000 Hz"])


@case
def two_streams_without_synchronised_times(folder):
    """Two clocks: refused with the streams."""
    recording(folder, ONE, synchronised=False)
    recording(folder / "other", {"Stereotrode 1": ([100], [1])}, stream="ProbeB", synchronised=False)
    source = folder / "other/Record Node 101/experiment1/recording1/spikes/Spike_Sorter-105.ProbeB"
    source.rename(folder / "Record Node 101/experiment1/recording1/spikes/Spike_Sorter-105.ProbeB")
    (folder / "other/Record Node 101/experiment1/recording1/structure.oebin").unlink()
    return Expect(path=folder, refused=("options.stream", "ProbeB, Rhythm_Data"))


@case
def electrode_without_spikes(folder):
    """An electrode without spikes is said."""
    got = recording(folder, {**ONE, "Stereotrode 2": ([], [])})
    return Expect(path=got, spikes=one_electrode(), warnings=["Stereotrode_2/: holds no spikes"])


@case
def nothing_but_empty_electrodes(folder):
    """No spikes at all is refused."""
    return Expect(path=recording(folder, {"Stereotrode 1": ([], [])}),
                  refused=("files", "hold no spikes"))


@case
def damaged_electrode(folder):
    """A truncated file costs its electrode, not the recording."""
    got = recording(folder, {**ONE, "Stereotrode 2": ([300, 600], [1, 1])})
    name = next(got.glob("**/Stereotrode_2/sample_numbers.npy"))
    name.write_bytes(name.read_bytes()[:-5])
    return Expect(path=got, spikes=one_electrode(), warnings=["Stereotrode_2/"])


@case
def arrays_of_different_length(folder):
    """A crash leaves files of different length: the spikes that all have are taken."""
    got = recording(folder, {"Stereotrode 1": ([3000, 6000, 9000], [1, 2, 1])})
    np.save(next(got.glob("**/clusters.npy")), np.array([1, 2], "u2"))
    return Expect(path=got, spikes={1: [0.1], 2: [0.2]}, warnings=["from 2 to 3 items; the first 2"])


@case
def damaged_rows(folder):
    """Spikes without a time or of no id are dropped and said."""
    got = recording(folder, {"Stereotrode 1": ([3000, 6000, 9000, 12000], [1, 1, 1, 1])})
    times = next(got.glob("**/spikes/**/timestamps.npy"))
    np.save(times, np.array([0.1, np.nan, -1, 0.4]))
    np.save(next(got.glob("**/clusters.npy")), np.array([1, 1, 1, -7], "i4"))
    return Expect(path=got, spikes={1: [0.1]},
                  warnings=["1 spike dropped as electrode or sorted id", "2 spikes without a time"])


@case
def damaged_rows_in_strict_mode(folder):
    """Strict: the same refuses."""
    got = recording(folder, {"Stereotrode 1": ([3000, 6000], [1, 1])})
    np.save(next(got.glob("**/spikes/**/timestamps.npy")), np.array([0.1, np.nan]))
    return Expect(path=got, strict=True, refused=("Stereotrode_1", "without a time"))


def old(folder):
    """A recording of version 0.5: sample numbers only, several electrodes in a group."""
    root = folder / "experiment1" / "recording1"
    spikes = root / "spikes" / "Spike_Sorter-105.0" / "spike_group_1"
    spikes.mkdir(parents=True)
    np.save(spikes / "spike_times.npy", np.array([33000, 36000, 39000], "i8"))
    np.save(spikes / "spike_clusters.npy", np.array([1, 1, 2], "u2"))
    np.save(spikes / "spike_electrode_indices.npy", np.array([1, 2, 1], "u2"))
    lines = root / "events" / "Rhythm_FPGA-100.0" / "TTL_1"
    lines.mkdir(parents=True)
    np.save(lines / "channel_states.npy", np.array([2, -2], "i2"))
    np.save(lines / "channels.npy", np.array([2, 2], "u2"))
    np.save(lines / "timestamps.npy", np.array([34500, 36000], "i8"))
    text = root / "events" / "Message_Center-904.0" / "TEXT_group_1"
    text.mkdir(parents=True)
    np.save(text / "text.npy", np.array(["hello"], "S"))
    np.save(text / "timestamps.npy", np.array([34500], "i8"))
    source = [{"source_processor_id": 100, "source_processor_sub_idx": 0}]
    (root / "structure.oebin").write_text(json.dumps({
        "GUI version": "0.5.5", "continuous": [], "events": [],
        "spikes": [{"folder_name": "Spike_Sorter-105.0/spike_group_1/", "sample_rate": RATE,
                    "channels": [{"channel_name": n, "source_channel_info": source}
                                 for n in ("Tetrode 1", "Tetrode 2")]}]}))
    (root / "sync_messages.txt").write_text(
        "Software time: 1234567@1000Hz\n"
        "Processor: Rhythm FPGA Id: 100 subProcessor: 0 start time: 30000@30000Hz\n")
    return folder


@case
def version_0_5(folder):
    """Sample numbers, groups of electrodes, and messages on a clock that is not said."""
    return Expect(path=old(folder), spikes={0: [1.1], 1: [1.3], 2: [1.2]}, source="open_ephys",
                  columns={1: {"electrode": "Tetrode 1", "original_id": "2"},
                           2: {"electrode": "Tetrode 2", "original_id": "1"}},
                  tables={"ttl_2": {"start_time": [1.15], "stop_time": [1.2]}},
                  observed=[(1.0, 1.3 + 1 / RATE)],
                  warnings=["TEXT_group_1/: left out", "their sample numbers at 30000 Hz"])


@case
def a_sorting_kept_inside(folder):
    """A Kilosort folder inside: both hold spikes, so the user says which."""
    recording(folder, ONE)
    sorting = folder / "Record Node 101/experiment1/recording1/continuous/kilosort4"
    sorting.mkdir(parents=True)
    np.save(sorting / "spike_times.npy", np.array([300, 600]))
    np.save(sorting / "spike_clusters.npy", np.array([5, 5]))
    (sorting / "params.py").write_text("sample_rate = 30000.\n")
    return Expect(path=folder, refused=("format", "open_ephys, phy"))


@case
def the_sorting_inside_by_name(folder):
    """The same with the format said."""
    a_sorting_kept_inside(folder)
    return Expect(path=folder, format="phy", spikes={5: [0.01, 0.02]}, source="phy")


@case
def no_spikes_but_a_sorting(folder):
    """Raw data alone with a sorting inside is that sorting."""
    recording(folder, {})
    sorting = folder / "kilosort4"
    sorting.mkdir()
    np.save(sorting / "spike_times.npy", np.array([300, 600]))
    np.save(sorting / "spike_clusters.npy", np.array([5, 5]))
    (sorting / "params.py").write_text("sample_rate = 30000.\n")
    return Expect(path=folder, spikes={5: [0.01, 0.02]}, source="phy")


@case
def unknown_clock(folder):
    """An option that makes no sense is refused with what would be right."""
    return Expect(path=recording(folder, ONE), format="open_ephys", options={"clock": "wall"},
                  refused=("options.clock", "timestamps"))
