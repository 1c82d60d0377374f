"""Recordings with planted features (two-state Markov on/off, gamma amplitudes, Poisson counts), fits of
them by tests/bench's `fit`, and their scores: shared by the planted-feature scripts."""
import json
import pathlib
import subprocess

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = next((b for b in (ROOT / "build/ci", ROOT / "build/release")
              if (b / "bench/fit").exists()), None)
# name: units N, features G, stationary probability p, units per feature m, base rate, gains lo-hi
LEVELS = {"easy": (100, 40, .05, 8, .05, .5, 1.5), "mid": (200, 200, .02, 10, .05, .5, 1.5),
          "hard": (200, 400, .01, 10, .05, .4, 1.2), "low rate": (200, 100, .03, 10, .1, .2, .6)}
BINS, STAY = 60000, 5


class Planted:
    """counts [bins, N] uint8, patterns [G, N], base [N], on [bins, G]."""

    def __init__(self, level, seed, bins=BINS):
        n, g, p, m, base, lo, hi = LEVELS[level]
        random = np.random.default_rng(seed)
        self.patterns = np.zeros((g, n))
        for row in self.patterns:
            row[random.choice(n, m, replace=False)] = random.uniform(lo, hi, m)
        self.base = base * random.uniform(.5, 1.5, n)
        leave, enter = 1 / STAY, p / (1 - p) / STAY
        self.on = np.zeros((bins, g), bool)
        state = random.random(g) < p
        for t in range(bins):
            self.on[t] = state
            state = np.where(state, random.random(g) >= leave, random.random(g) < enter)
        amplitude = random.gamma(4, .25, (bins, g)) * self.on
        self.counts = np.minimum(random.poisson(self.base + amplitude @ self.patterns),
                                 255).astype(np.uint8)

    def oracle(self, bins=6000, rounds=60):
        """Mean AUROC of non-negative Poisson amplitudes fitted per bin with the true patterns."""
        x, on = self.counts[:bins].astype(float), self.on[:bins]
        a = np.full((bins, len(self.patterns)), .5)
        for _ in range(rounds):
            a *= (x / (self.base + a @ self.patterns)) @ self.patterns.T / self.patterns.sum(1)
        # A rare feature may never be on in so few bins.
        return np.mean([auroc(a[:, g], on[:, g]) for g in np.flatnonzero(on.any(0))])


def auroc(values, labels):
    ranks, n = rankdata(values), labels.sum()
    return (ranks[labels].sum() - n * (n + 1) / 2) / (n * (len(labels) - n))


def fit(counts, spec, work, threads=2):
    """Metrics, decoder [F, E] and dense codes [windows, F] of one SAE."""
    work = pathlib.Path(work)
    np.save(work / "counts.npy", counts)
    (work / "spec.json").write_text(json.dumps(spec))
    done = subprocess.run([BUILD / "bench/fit", work / "counts.npy", work / "spec.json",
                           work / "out", str(threads)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    part = {k: np.load(work / f"out.{k}.npy") for k in ("decoder", "rows", "latents", "values")}
    rows = part["rows"].astype(int)
    codes = np.zeros((len(rows) - 1, len(part["decoder"])), np.float32)
    codes[np.repeat(np.arange(len(rows) - 1), np.diff(rows)), part["latents"].astype(int)] = \
        part["values"]
    return json.loads(done.stdout), part["decoder"], codes


def score(planted, decoder, codes):
    """Mean matched cosine, fraction over 0.9, mean AUROC of the matched latents."""
    norm = np.linalg.norm(decoder, axis=1, keepdims=True)
    truth = planted.patterns / np.linalg.norm(planted.patterns, axis=1, keepdims=True)
    similarity = (decoder / np.where(norm > 0, norm, 1)) @ truth.T
    latents, truths = linear_sum_assignment(-similarity)
    matched = similarity[latents, truths]
    aurocs = [auroc(codes[:, j], planted.on[:len(codes), g]) for j, g in zip(latents, truths)]
    return matched.mean(), (matched > .9).mean(), float(np.mean(aurocs))
