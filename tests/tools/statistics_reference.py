#!/usr/bin/python3
"""Makes tests/fixtures/statistics.json: inputs, and what SciPy and scikit-learn say about them.

    statistics_reference.py OUT

Needs python3-scipy and python3-sklearn. Tests in tests/unit/features read the file: statistics, sets,
movement, places and baselines.
"""
import json
import sys

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from scipy.signal import welch
from scipy.special import expit, logit
from scipy.stats import norm, rankdata, spearmanr, t
from sklearn.decomposition import PCA, FastICA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score

rng = np.random.default_rng(7)


def activation(n, values):
    """Mostly silent; few distinct values make ties."""
    a = rng.integers(1, values + 1, n) / 4
    return np.where(rng.random(n) < 0.6, 0, a)


def auroc():
    out = []
    for n, values in ((40, 3), (300, 6), (300, 1000)):
        a, c = activation(n, values), rng.random(n) < 0.3
        out.append({"activation": a.tolist(), "label": c.astype(int).tolist(),
                    "auroc": roc_auc_score(c, a)})
    return out


def spearman():
    out = []
    for n, missing in ((50, 0), (400, 0.2)):
        v = np.round(rng.standard_normal(n) * 5) / 2
        a = np.where(v + rng.standard_normal(n) > 0.8, activation(n, 5), 0)
        known = rng.random(n) >= missing
        out.append({"activation": a.tolist(),
                    "value": [x if k else None for x, k in zip(v.tolist(), known)],
                    "spearman": spearmanr(a[known], v[known]).statistic})
    return out


def information():
    """Plug-in mutual information of a 4 x 20 table less Miller's bias, in bits."""
    n = 3000
    v = rng.random(n)
    a = np.where(rng.random(n) < 0.2 + 0.6 * v, rng.gamma(2, 1, n), 0).astype(np.float32)
    positive = np.sort(a[a > 0])
    levels = [positive[len(positive) // 3], positive[2 * len(positive) // 3]]
    x = np.where(a == 0, 0, 1 + (a > levels[0]).astype(int) + (a > levels[1]))
    s = np.sort(v)
    low, high = s[int(0.005 * (n - 1) + 0.5)], s[int(0.995 * (n - 1) + 0.5)]
    y = np.clip(np.floor((v - low) / ((high - low) / 20)), 0, 19).astype(int)
    cells = len(set(zip(x.tolist(), y.tolist())))
    bias = (cells - len(set(x.tolist())) - len(set(y.tolist())) + 1) / (2 * n * np.log(2))
    return {"activation": a.tolist(), "value": v.tolist(),
            "information": mutual_info_score(x, y) / np.log(2) - bias,
            "tuning": [float(a[y == b].mean()) for b in range(20)]}


def spectra():
    out = []
    for n in (64, 101):
        x = rng.standard_normal(n).cumsum() + 5
        _, p = welch(x, fs=50, nperseg=n, window="hann", detrend="constant", scaling="density")
        out.append({"x": x.tolist(), "rate": 50, "power": p.tolist()})
    return out


def assignment():
    out = []
    for rows, columns in ((6, 6), (9, 14), (15, 8)):
        m = np.round(rng.uniform(-1, 1, (rows, columns)), 3)
        r, c = linear_sum_assignment(-m)
        out.append({"rows": rows, "columns": columns, "likeness": m.ravel().tolist(),
                    "sum": float(m[r, c].sum())})
    return out


def logistic():
    """On standardised columns; the last column never varies."""
    out = []
    n, d = 200, 6
    x = np.where(rng.random((n, d)) < 0.5, 0, rng.gamma(2, 1, (n, d))).astype(np.float32)
    x[:, -1] = 2
    y = rng.random(n) < 1 / (1 + np.exp(-(x[:, 0] - x[:, 1] + 0.3)))
    scale = x.astype(float).std(0)
    z = x / np.where(scale > 0, scale, 1)
    z[:, -1] = 0
    for c in (0.01, 1.0, 100.0):
        fit = LogisticRegression(C=c, solver="newton-cg", tol=1e-14, max_iter=10000).fit(z, y)
        margin = fit.decision_function(z)
        out.append({"x": x.tolist(), "label": y.astype(int).tolist(), "c": c,
                    "margin": margin.tolist()})
    return out


def widened(score, draws, label):
    """Their percentiles as far again from the score as few blocks of the rarer class ask for. `label` [blocks, windows]."""
    n = min(label.any(1).sum(), (~label).any(1).sum())
    factor = t.ppf(0.975, n - 1) / norm.ppf(0.975) * np.sqrt(n / (n - 1))
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"low": float(score - factor * (score - low)),
            "high": float(score + factor * (high - score))}


def bootstrap():
    """Intervals of AUROCs over draws of blocks, many of them: what few draws approximate."""
    n, size, draws = 1000, 20, 20000
    c = np.repeat(rng.random(n // size) < 0.3, size)
    a = np.where(rng.random(n) < np.where(c, 0.5, 0.15), rng.gamma(2, 1, n), 0).astype(np.float32)
    blocks = np.arange(n).reshape(-1, size)
    scores = []
    for _ in range(draws):
        rows = blocks[rng.integers(len(blocks), size=len(blocks))].ravel()
        if 0 < c[rows].sum() < n:
            scores.append(roc_auc_score(c[rows], a[rows]))
    return {"activation": a.tolist(), "label": c.astype(int).tolist(), "block": size,
            **{k: float(expit(v)) for k, v in widened(logit(roc_auc_score(c, a)), logit(scores),
                                                      c.reshape(-1, size)).items()}}


def discriminant():
    """Greedy sets of columns by a ridge discriminant with both classes weighing alike, contenders by
    separation and their choice by AUROC, as server/features/sets.h has it; its generator is its own, so
    that the others keep theirs."""
    own = np.random.default_rng(20)
    n, m, ridge, contenders = 240, 30, 0.03, 24
    y = own.random(n) < 0.3
    x = own.normal(size=(n, 12)) @ own.normal(size=(12, m)) + own.normal(size=(n, m))
    x[:, :6] += np.outer(y, own.normal(size=6) * 1.5)
    x = np.round(3 * x + 5, 1).astype(np.float32).astype(np.float64)
    mean, sd = x.mean(0), x.std(0)
    z = ((x - mean) / sd).astype(np.float32).astype(np.float64)
    d = z[y].mean(0) - z[~y].mean(0)
    within = (np.cov(z[y].T, bias=True) + np.cov(z[~y].T, bias=True)) / 2 + ridge * np.eye(m)
    order, weights, aurocs = [], [], []
    for _ in range(5):
        fits = {}
        for j in set(range(m)) - set(order):
            q = order + [j]
            fits[j] = np.linalg.solve(within[np.ix_(q, q)], d[q])
        by_gain = sorted(fits, key=lambda j: (-d[order + [j]] @ fits[j], j))[:contenders]
        best = max(by_gain, key=lambda j: roc_auc_score(y, z[:, order + [j]] @ fits[j]))
        order.append(best)
        weights.append(fits[best].tolist())
        aurocs.append(roc_auc_score(y, z[:, order] @ fits[best]))
    return {"columns": np.round(x.T, 1).tolist(), "label": y.astype(int).tolist(), "mean": mean.tolist(),
            "sd": sd.tolist(), "order": order, "weights": weights, "auroc": aurocs}


def difference():
    """Intervals of differences of two scores' AUROCs over draws of blocks, as `bootstrap`."""
    own = np.random.default_rng(21)
    n, size, draws = 1000, 20, 20000
    c = np.repeat(own.random(n // size) < 0.4, size)
    a = (own.normal(size=n) + 1.0 * c).astype(np.float32)
    b = (0.5 * a + own.normal(size=n) + 0.2 * c).astype(np.float32)
    blocks = np.arange(n).reshape(-1, size)
    scores = []
    for _ in range(draws):
        rows = blocks[own.integers(len(blocks), size=len(blocks))].ravel()
        if 0 < c[rows].sum() < n:
            scores.append(roc_auc_score(c[rows], a[rows]) - roc_auc_score(c[rows], b[rows]))
    return {"a": a.tolist(), "b": b.tolist(), "label": c.astype(int).tolist(), "block": size,
            **widened(roc_auc_score(c, a) - roc_auc_score(c, b), scores, c.reshape(-1, size))}


def student():
    """Quantiles 0.975 by degrees of freedom."""
    degrees = [1, 2, 3, 4, 5, 10, 29, 199, 200, 201, 500, 10000]
    return {"degrees": degrees, "quantile": [float(t.ppf(0.975, d)) for d in degrees]}


def graded():
    """A score of every window against a value and an angle, both missing in some: rank correlation,
    multiple correlation of ranks with cosine and sine, information between quarters and 20 bins."""
    own = np.random.default_rng(23)
    n = 900
    angle = own.vonmises(0.5, 0.7, n)
    value = np.round(own.normal(size=n) * 8) / 4
    score = np.round(2 * value + 3 * np.cos(angle - 1) + 2 * own.normal(size=n)).astype(np.float32)
    known = own.random(n) >= 0.15
    s, a, v = score[known], angle[known], value[known]
    ranks = rankdata(s)
    x = np.stack([np.ones(len(s)), np.cos(a), np.sin(a)], 1)
    residual = ranks - x @ np.linalg.lstsq(x, ranks, rcond=None)[0]
    y = np.clip(np.floor((a + np.pi) / (np.pi / 10)), 0, 19).astype(int)
    quartiles = np.sort(s)[[len(s) // 4, 2 * len(s) // 4, 3 * len(s) // 4]]
    level = (s[:, None] >= quartiles).sum(1)
    cells = len(set(zip(level.tolist(), y.tolist())))
    bias = (cells - len(set(level.tolist())) - len(set(y.tolist())) + 1) / (2 * len(s) * np.log(2))
    plain = [[float(e) if k else None for e, k in zip(values, known)] for values in (value, angle)]
    return {"score": score.tolist(), "value": plain[0], "angle": plain[1],
            "spearman": spearmanr(s, v).statistic,
            "circular": float(np.sqrt(1 - (residual ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum())),
            "quartiles": quartiles.tolist(),
            "information": mutual_info_score(level, y) / np.log(2) - bias,
            "tuning": [float(s[y == b].mean()) for b in range(20)]}


def movement():
    """Speed and direction from noisy positions with a gap, in bins of 20 ms, as server/features/movement.h
    has them."""
    own = np.random.default_rng(22)
    n, width, sd = 400, 0.02, 0.25
    position = np.cumsum(own.normal(size=(n, 2)).cumsum(0) / 200 + 0.01, 0)
    position[:60] = position[60]  # stands still
    position[150:170] = np.nan
    velocity = np.full((n, 2), np.nan)
    for run in (slice(0, 150), slice(170, n)):
        smooth = gaussian_filter1d(position[run], sd / width, axis=0, mode="nearest")
        velocity[run] = np.gradient(smooth, width, axis=0)
    speed = np.hypot(*velocity.T)
    known = np.sort(speed[np.isfinite(speed)])
    with np.errstate(invalid="ignore"):
        moves = speed > 0.1 * known[int(0.95 * (len(known) - 1))]
    direction = np.where(moves, np.arctan2(velocity[:, 1], velocity[:, 0]), np.nan)
    sign = np.where(np.abs(velocity[:, 0]) > 0.1 * np.sort(np.abs(velocity[np.isfinite(speed), 0]))[
        int(0.95 * (len(known) - 1))], np.sign(velocity[:, 0]), np.nan)

    def plain(values):
        return [float(v) if np.isfinite(v) else None for v in values]
    return {"bin_width": width, "x": plain(position[:, 0]), "y": plain(position[:, 1]),
            "speed": plain(speed), "direction": plain(direction), "sign": plain(sign)}


def components():
    """Counts of 300 windows that six skewed sources drive, the last unit silent: scores of principal and
    of independent components of the standardised columns. Own generator, as discriminant."""
    own = np.random.default_rng(22)
    n, m, k = 300, 9, 4
    sources = own.gamma(0.5, 2, (n, 6))
    x = own.poisson(sources @ own.gamma(1, 0.5, (6, m))).astype(float)
    x[:, -1] = 0
    scale = x.std(0)
    z = (x - x.mean(0)) / np.where(scale > 0, scale, 1)
    pca = PCA(k, svd_solver="full").fit(z)
    ica = FastICA(k, whiten="unit-variance", fun="logcosh", tol=1e-10, max_iter=5000,
                  random_state=0).fit(z)
    return {"counts": x.astype(int).tolist(), "components": k, "pca": pca.transform(z).T.tolist(),
            "ica": ica.transform(z).T.tolist()}


def places():
    """A code and a score of every window over a plane: Skaggs' information, mutual information with
    quarters and thirds of them, maps; bins with fewer than five windows are left out. On the training
    windows alone."""
    own = np.random.default_rng(24)
    n, side = 2000, 8  # 25 windows a bin would allow 8 along an axis
    x = own.normal(size=n)
    y = np.where(own.random(n) < 0.02, np.nan, own.beta(2, 5, n))
    field = np.exp(-((x - 0.5) ** 2 + ((y - 0.3) * 6) ** 2))
    field = np.where(np.isfinite(field), field, 0)
    code = np.where(own.random(n) < 0.05 + 0.8 * field, own.gamma(2, 1, n), 0).astype(np.float32)
    score = (2 * field + own.normal(size=n)).astype(np.float32)
    known = np.isfinite(y)

    def bins(values):
        s = np.sort(values[known])
        low, high = s[int(0.005 * (len(s) - 1) + 0.5)], s[int(0.995 * (len(s) - 1) + 0.5)]
        with np.errstate(invalid="ignore"):
            return np.clip(np.floor((values - low) / ((high - low) / side)), 0, side - 1)
    at = np.where(known, bins(y) * side + bins(x), -1).astype(int)
    occupancy = np.bincount(at[known], minlength=side * side)
    kept = known & (occupancy[at] >= 5)

    def bits(level):
        a, b = level[kept], at[kept]
        cells = len(set(zip(a.tolist(), b.tolist())))
        bias = (cells - len(set(a.tolist())) - len(set(b.tolist())) + 1) / (2 * len(a) * np.log(2))
        return mutual_info_score(a, b) / np.log(2) - bias
    positive = np.sort(code[code > 0])
    thirds = positive[[len(positive) // 3, 2 * len(positive) // 3]]
    s = np.sort(score[kept])
    quarters = s[[len(s) // 4, 2 * len(s) // 4, 3 * len(s) // 4]]
    rate, p = [], []
    for b in np.flatnonzero(occupancy >= 5):
        rate.append(code[at == b].mean(dtype=float))
        p.append((at == b).sum() / kept.sum())
    rate, p = np.array(rate), np.array(p)
    relative = rate / (p @ rate)
    on = relative > 0
    return {"x": x.tolist(), "y": [float(v) if k else None for v, k in zip(y, known)],
            "code": code.tolist(), "score": score.tolist(), "occupancy": occupancy.tolist(),
            "spatial": float((p * relative)[on] @ np.log2(relative[on])),
            "code_information": bits(np.where(code == 0, 0, 1 + (code[:, None] > thirds).sum(1))),
            "information": bits((score[:, None] >= quarters).sum(1)),
            "map": [float(score[at == b].mean(dtype=float)) if occupancy[b] >= 5 else None
                    for b in range(side * side)]}


made = {f.__name__: f() for f in (auroc, spearman, information, spectra, assignment, logistic,
                                  bootstrap, discriminant, difference, graded, movement,
                                  components, places, student)}
with open(sys.argv[1], "w") as file:
    json.dump(made, file)
    file.write("\n")
