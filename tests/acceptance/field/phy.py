"""Kilosort and Phy folders."""
import numpy as np

from field import Expect, case

RATE = 1000
N = 400
SAMPLES = np.arange(N) * 250 + 10
CLUSTERS = np.where(np.arange(N) % 4 == 0, 2, 9)


def arrays(folder, samples=SAMPLES, clusters=CLUSTERS, params=f"sample_rate = {RATE}.\n"):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "spike_times.npy", samples)
    if clusters is not None:
        np.save(folder / "spike_clusters.npy", clusters)
    if params is not None:
        (folder / "params.py").write_text(params)
    return folder


def trains(samples=SAMPLES, clusters=CLUSTERS, rate=RATE):
    return {int(c): samples[clusters == c] / rate for c in np.unique(clusters)}


@case
def plain(folder):
    """Spikes, clusters and a rate."""
    return Expect(path=arrays(folder), spikes=trains(), source="phy", labels={2: "", 9: ""},
                  no_warnings=True)


@case
def column_vectors(folder):
    """uint64 [n, 1] and uint32 [n, 1], as Kilosort 1 writes them."""
    return Expect(path=arrays(folder, SAMPLES.astype("u8")[:, None], CLUSTERS.astype("u4")[:, None]),
                  spikes=trains(), no_warnings=True)


@case
def row_vectors(folder):
    """[1, n], and clusters of float64."""
    return Expect(path=arrays(folder, SAMPLES[None, :], CLUSTERS.astype("f8")), spikes=trains(),
                  no_warnings=True)


@case
def float_samples(folder):
    """spike_times of float64 that are all whole are samples."""
    return Expect(path=arrays(folder, SAMPLES.astype("f8")), spikes=trains(), warnings=["taken as samples"])


@case
def float_seconds(folder):
    """spike_times of float64 that are not whole are seconds."""
    return Expect(path=arrays(folder, SAMPLES / RATE, params=None), format="phy",
                  spikes=trains(), warnings=["taken as seconds"])


@case
def float_of_either_kind(folder):
    """A few whole floats could be both: refused with the choice."""
    return Expect(path=arrays(folder, np.array([5.0, 10, 15]), np.array([1, 1, 2])),
                  refused=("time_unit", "samples or seconds"))


@case
def float_of_either_kind_said(folder):
    """The same with the option."""
    return Expect(path=arrays(folder, np.array([500.0, 1000, 1500]), np.array([1, 1, 2])),
                  options={"time_unit": "samples"}, spikes={1: np.array([0.5, 1]), 2: np.array([1.5])})


@case
def negative_samples(folder):
    """One spike at -10 samples is dropped."""
    samples = SAMPLES.copy()
    samples[0] = -10
    return Expect(path=arrays(folder, samples), spikes=trains(samples[1:], CLUSTERS[1:]),
                  warnings=["spike_times.npy", "1 spike", "-10"])


@case
def negative_samples_strict(folder):
    """The same, strict."""
    samples = SAMPLES.copy()
    samples[0] = -10
    return Expect(path=arrays(folder, samples), strict=True, refused=("spike_times.npy", "-10"))


@case
def swapped_spikes(folder):
    """Two swapped spikes are sorted."""
    samples = SAMPLES.copy()
    samples[[1, 2]] = samples[[2, 1]]
    return Expect(path=arrays(folder, samples), spikes={k: np.sort(v) for k, v in trains(samples).items()},
                  warnings=["sorted"])


@case
def spikes_of_no_cluster(folder):
    """Spikes of cluster -1 are dropped."""
    clusters = CLUSTERS.copy()
    clusters[5] = -1
    keep = clusters >= 0
    return Expect(path=arrays(folder, clusters=clusters), spikes=trains(SAMPLES[keep], clusters[keep]),
                  warnings=["1 spike of no cluster", "spike 6"])


@case
def clusters_from_templates(folder):
    """Nobody curated: the clusters are the templates."""
    arrays(folder, clusters=None)
    np.save(folder / "spike_templates.npy", CLUSTERS.astype("u4"))
    return Expect(path=folder, spikes=trains(), warnings=["spike_templates.npy"])


@case
def different_lengths(folder):
    """Arrays of different lengths."""
    return Expect(path=arrays(folder, clusters=CLUSTERS[:-1]),
                  refused=("spike_clusters.npy", "has 399 items"))


def wrong_shape(folder, samples, words):
    return Expect(path=arrays(folder, samples), refused=("spike_times.npy", words))


@case
def no_dimension(folder):
    """An array of no dimension: its shape is told."""
    return wrong_shape(folder, np.array(5), "shape ()")


@case
def three_dimensions(folder):
    """An array of three dimensions: its shape is told."""
    return wrong_shape(folder, np.zeros((3, 4, 5), int), "shape (3, 4, 5)")


@case
def no_rate(folder):
    """No params.py and no rate."""
    return Expect(path=arrays(folder, params=None), format="phy", refused=("sampling_rate", "e.g. 30000"))


@case
def rate_given(folder):
    """The rate on the command line."""
    return Expect(path=arrays(folder, params=None), format="phy", sampling_rate=RATE, spikes=trains())


@case
def rate_as_python_writes_it(folder):
    """Underscores, exponents and comments in params.py."""
    return Expect(path=arrays(folder, params="dat_path = ['a', 'b']\nsample_rate = 1_0e2  # Hz\n"),
                  spikes=trains(), no_warnings=True)


@case
def rate_zero(folder):
    """A rate of 0."""
    return Expect(path=arrays(folder, params="sample_rate = 0\n"), refused=("params.py", "from 1 to"))


@case
def rate_impossible(folder):
    """A rate of 1e12."""
    return Expect(path=arrays(folder, params="sample_rate = 1e12\n"), refused=("params.py", "1e12"))


@case
def rate_is_code(folder):
    """A rate that is code is not run."""
    return Expect(path=arrays(folder, params="sample_rate = __import__('os').getpid()\n"),
                  refused=("params.py", "must be a number"))


@case
def rate_overruled(folder):
    """A rate of the command line that differs is taken and said."""
    return Expect(path=arrays(folder), sampling_rate=500, spikes=trains(rate=500), warnings=["params.py", "500"])


@case
def labels_of_people(folder):
    """cluster_group wins, cluster by cluster, over KSLabel."""
    arrays(folder)
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n9\tnoise\n")
    (folder / "cluster_KSLabel.tsv").write_text("cluster_id\tKSLabel\n2\tmua\n9\tgood\n")
    return Expect(path=folder, labels={2: "mua", 9: "noise"}, columns={9: {"KSLabel": "good"}},
                  no_warnings=True)


@case
def cluster_groups_alone(folder):
    """cluster_groups.csv of Phy 1, which has tabs, alone."""
    arrays(folder)
    (folder / "cluster_groups.csv").write_text("cluster_id\tgroup\r\n2\tgood\r\n9\tmua\r\n")
    return Expect(path=folder, labels={2: "good", 9: "mua"}, no_warnings=True)


@case
def kslabel_in_cluster_group(folder):
    """Kilosort 4 writes KSLabel into cluster_group.tsv."""
    arrays(folder)
    (folder / "cluster_group.tsv").write_text("cluster_id\tKSLabel\n2\tgood\n9\tmua\n")
    return Expect(path=folder, labels={2: "good", 9: "mua"}, no_warnings=True)


@case
def info_begins_with_id(folder):
    """cluster_info.tsv that begins id<TAB>group."""
    arrays(folder)
    (folder / "cluster_info.tsv").write_text("id\tgroup\tdepth\tfr\n2\tgood\t120.5\t3\n9\tmua\t40\t1\n")
    return Expect(path=folder, labels={2: "good", 9: "mua"}, depths={2: 120.5, 9: 40},
                  columns={2: {"fr": "3"}, 9: {"fr": "1"}}, no_warnings=True)


@case
def empty_cluster_id(folder):
    """An empty cluster_id costs its row."""
    arrays(folder)
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n2\tgood\n\tmua\nx\tgood\n9\tmua\n")
    return Expect(path=folder, labels={2: "good", 9: "mua"}, warnings=["cluster_group.tsv", "2 rows", "line 3"])


@case
def clusters_without_spikes(folder):
    """Clusters that the tables name but that have no spikes are said once."""
    arrays(folder)
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n2\tgood\n5\tmua\n6\tmua\n")
    (folder / "cluster_Amplitude.tsv").write_text("cluster_id\tAmplitude\n2\t10.5\n5\t20\n")
    return Expect(path=folder, labels={2: "good", 9: ""}, columns={2: {"Amplitude": "10.5"}},
                  warnings=["2 clusters", "no spikes"])


@case
def a_table_that_makes_no_sense(folder):
    """A cluster table without ids is left out."""
    arrays(folder)
    (folder / "cluster_notes.tsv").write_text("who\twhat\na\tb\n")
    return Expect(path=folder, spikes=trains(), warnings=["cluster_notes.tsv", "no column cluster_id"])


@case
def depth_of_the_template(folder):
    """The depth of the peak channel of the template, of merged clusters the most frequent one's."""
    arrays(folder)
    np.save(folder / "spike_templates.npy", np.where(CLUSTERS == 2, 0, np.where(np.arange(N) % 3 == 0, 0, 1)))
    templates = np.zeros((2, 5, 3), "f4")
    templates[0, 2, 1], templates[0, 3, 2] = -4, 1
    templates[1, :, 2] = [0, 1, 5, -2, 0]
    np.save(folder / "templates.npy", templates)
    np.save(folder / "channel_positions.npy", np.array([[0, 10.0], [16, 20], [0, 35]]))
    np.save(folder / "channel_map.npy", np.arange(3)[None, :])
    return Expect(path=folder, depths={2: 20, 9: 35}, no_warnings=True)


@case
def depth_of_a_sparse_template(folder):
    """templates_ind.npy says which channels the template has."""
    arrays(folder, clusters=np.where(CLUSTERS == 2, 0, 1))
    templates = np.zeros((2, 3, 2), "f4")
    templates[0, 1, 0], templates[1, 1, 1] = 5, -5
    np.save(folder / "templates.npy", templates)
    np.save(folder / "templates_ind.npy", np.array([[2.0, 1], [0, 1]]))
    np.save(folder / "channel_positions.npy", np.array([[0, 10.0], [16, 20], [0, 35]]))
    return Expect(path=folder, depths={0: 35, 1: 20}, no_warnings=True)


@case
def depth_of_the_channel(folder):
    """Without templates the column ch, through channel_map.npy."""
    arrays(folder)
    np.save(folder / "channel_positions.npy", np.array([[0, 10.0], [16, 20]]))
    np.save(folder / "channel_map.npy", np.array([[7, 5]], "u4"))
    (folder / "cluster_info.tsv").write_text("cluster_id\tch\n2\t5\n9\t7\n")
    return Expect(path=folder, depths={2: 20, 9: 10}, no_warnings=True)


@case
def depth_of_the_spikes(folder):
    """Kilosort 4's spike_positions.npy."""
    arrays(folder)
    np.save(folder / "spike_positions.npy",
            np.stack([np.zeros(N), np.where(CLUSTERS == 2, 100.0, np.arange(N) % 4)], 1).astype("f4"))
    return Expect(path=folder, depths={2: 100, 9: 2}, no_warnings=True)


@case
def sorter_output(folder):
    """The output lies two levels down."""
    arrays(folder / "kilosort4" / "sorter_output")
    return Expect(path=folder, spikes=trains())


@case
def two_probes(folder):
    """Two sortings below one folder: refused with the choice."""
    arrays(folder / "probe_a")
    arrays(folder / "probe_b")
    return Expect(path=folder, refused=("folder", "probe_a/, probe_b/"))


@case
def two_probes_one_chosen(folder):
    """The same with the option."""
    arrays(folder / "probe_a")
    arrays(folder / "probe_b", samples=SAMPLES + 1)
    return Expect(path=folder, options={"folder": "probe_b"}, spikes=trains(SAMPLES + 1))
