#!/usr/bin/python3
"""Writes tests/fixtures/torch_steps.json: training steps computed by PyTorch's autograd.

    tests/tools/torch_reference.py        needs python3-torch; run it again after a change of meaning

Independent of the C++ code: the loss is written as the papers have it and autograd makes the
gradients. Only the random numbers are shared, by the same published generator (Philox4x32-10), so
that initial weights and batches are equal. tests/unit/sae/torch_test.cc compares.
"""

import json
import math
import pathlib

import numpy as np
import torch

UNITS, S, BINS, BATCH, SEED = 6, 2, 200, 32, 3
D, WINDOWS = UNITS * S, BINS - S + 1
STEPS, EPOCHS = 200, 30
MASK = 0xFFFFFFFF
CASES = {
    "topk_mse": dict(selection="topk", levels=[(20, 3)], loss="mse", output="identity"),
    "topk_msle": dict(selection="topk", levels=[(20, 3)], loss="msle", output="relu"),
    "batch_topk_poisson": dict(selection="batch_topk", levels=[(20, 3)], loss="poisson",
                               output="softplus"),
    "matryoshka_aux": dict(selection="batch_topk", levels=[(8, 2), (40, 2)], loss="mse",
                           output="identity", aux=0.5, aux_k=4, dead_after=2),
    "relu_poisson": dict(selection="relu", levels=[(20, 3)], loss="poisson", output="softplus",
                         penalty=0.02),
    "jumprelu_mse": dict(selection="jumprelu", levels=[(20, 3)], loss="mse", output="identity",
                         penalty=0.02),
    "gated_mse": dict(selection="gated", levels=[(20, 3)], loss="mse", output="identity",
                      penalty=0.02),
    "relu_adamw_clip": dict(selection="relu", levels=[(20, 3)], loss="mse", output="identity",
                            penalty=0.02, optimiser="adamw", clip=0.05),
    "topk_momentum": dict(selection="topk", levels=[(20, 3)], loss="mse", output="identity",
                          optimiser="momentum"),
}
BANDWIDTH, THRESHOLD = 0.5, 0.3


class Jump(torch.autograd.Function):
    """z·1[z > θ] with the straight-through gradient for θ."""
    @staticmethod
    def forward(ctx, z, theta):
        ctx.save_for_backward(z, theta)
        return z * (z > theta)

    @staticmethod
    def backward(ctx, g):
        z, theta = ctx.saved_tensors
        window = ((z - theta).abs() < BANDWIDTH / 2).float()
        return g * (z > theta), (-theta / BANDWIDTH * window * g).sum(0)


class Active(torch.autograd.Function):
    """1[z > θ] with the straight-through gradient for θ and none for z."""
    @staticmethod
    def forward(ctx, z, theta):
        ctx.save_for_backward(z, theta)
        return (z > theta).float()

    @staticmethod
    def backward(ctx, g):
        z, theta = ctx.saved_tensors
        window = ((z - theta).abs() < BANDWIDTH / 2).float()
        return None, (-window / BANDWIDTH * g).sum(0)


def philox(seed, stream, index):
    c = [index & MASK, index >> 32, stream & MASK, stream >> 32]
    k = [seed & MASK, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return (c[1] << 32) | c[0], (c[3] << 32) | c[2]


def normal(seed, stream, index):
    a, b = philox(seed, stream, index)
    u, v = ((a >> 11) + 1) * 2.0 ** -53, (b >> 11) * 2.0 ** -53
    return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)


def below(seed, stream, index, n):
    return (philox(seed, stream, index)[0] * n) >> 64


def learning_rate(step, total, peak=2e-3):
    warm, hold, least = max(1, int(0.1 * total)), int(0.5 * total), 0.01 * peak
    if step < warm:
        return max(peak * step / warm, least)
    if step < hold:
        return peak
    return least + 0.5 * (peak - least) * (1 + math.cos(math.pi * (step - hold) / (total - hold)))


def keep(z, k, selection):
    """z where selected, 0 elsewhere; gradients flow through kept entries only."""
    a = torch.relu(z)
    if selection == "topk":
        index = a.topk(k, dim=1).indices
        return torch.zeros_like(a).scatter(1, index, a.gather(1, index))
    index = a.flatten().topk(k * len(a)).indices
    return torch.zeros_like(a).flatten().scatter(0, index, a.flatten()[index]).view_as(a)


def activate(output, a):
    return {"identity": lambda: a, "relu": lambda: torch.relu(a),
            "softplus": lambda: torch.nn.functional.softplus(a)}[output]()


def reconstruction_loss(loss, prediction, y):
    if loss == "mse":
        return ((prediction - y) ** 2).mean()
    if loss == "msle":
        return ((torch.log1p(prediction) - torch.log1p(y)) ** 2).mean()
    return (prediction - y * torch.log(prediction + 1e-8)).mean()


def run(case):
    counts = np.array([below(11, 5, i, 4) for i in range(BINS * UNITS)], np.float32)
    x_all = torch.tensor(np.stack([counts[s * UNITS:s * UNITS + D] for s in range(WINDOWS)]))
    features = case["levels"][-1][0]
    scale = math.sqrt(2 / D)
    w_e = torch.tensor([[scale * normal(SEED, 1, j * D + i) for i in range(D)]
                        for j in range(features)], dtype=torch.float64).float()
    w_d = torch.tensor([[normal(SEED, 2, j * D + i) for i in range(D)]
                        for j in range(features)], dtype=torch.float64).float()
    w_d = w_d / w_d.norm(dim=1, keepdim=True)
    b_e, mean = torch.zeros(features), x_all.double().mean(0).float()
    b_d = torch.log(torch.expm1(mean)) if case["output"] == "softplus" else mean
    extra = {"jumprelu": [torch.full((features,), math.log(THRESHOLD))],
             "gated": [torch.zeros(features), torch.zeros(features)]}.get(case["selection"], [])
    parameters = [p.clone().requires_grad_() for p in (w_e, b_e, w_d, b_d, *extra)]
    w_e, b_e, w_d, b_d, *extra = parameters
    kind = case.get("optimiser", "adam")
    if kind == "momentum":
        optimiser = torch.optim.SGD(parameters, 2e-3, momentum=0.9)
    elif kind == "adamw":
        optimiser = torch.optim.AdamW([{"params": [w_e, w_d], "weight_decay": 0.1},
                                       {"params": [b_e, b_d, *extra], "weight_decay": 0.0}], 2e-3)
    else:
        optimiser = torch.optim.Adam(parameters, 2e-3)
    per_epoch = -(-WINDOWS // BATCH)
    total, idle = per_epoch * EPOCHS, torch.zeros(features)
    losses, early = [], None
    for step in range(STEPS):
        epoch, index = divmod(step, per_epoch)
        if index == 0:
            order = list(range(WINDOWS))
            for i in range(WINDOWS - 1, 0, -1):
                j = below(SEED, (1 << 32) + epoch, i, i + 1)
                order[i], order[j] = order[j], order[i]
        x = x_all[order[index * BATCH:(index + 1) * BATCH]]
        z = x @ w_e.T + b_e
        loss = torch.zeros(())
        lam = case.get("penalty", 0)
        for width, k in case["levels"]:
            if case["selection"] == "relu":
                code = torch.relu(z)
                loss = loss + lam * code.sum(1).mean()
            elif case["selection"] == "jumprelu":
                theta = extra[0].exp()
                code = Jump.apply(z, theta)
                loss = loss + lam * Active.apply(z, theta).sum(1).mean()
            elif case["selection"] == "gated":
                u = x @ w_e.T
                code = (z > 0) * torch.relu(extra[0].exp() * u + extra[1])
                gate = torch.relu(z)
                frozen = activate(case["output"], gate @ w_d.detach() + b_d.detach())
                loss = loss + lam * gate.sum(1).mean() + reconstruction_loss(case["loss"], frozen, x)
            else:
                code = keep(z[:, :width], k, case["selection"])
            prediction = activate(case["output"], code @ w_d[:width] + b_d)
            loss = loss + reconstruction_loss(case["loss"], prediction, x)
        dead = idle > case.get("dead_after", 1000)
        if case.get("aux") and dead.any():
            e = (x - prediction).detach()
            spare = keep(torch.where(dead, z, torch.tensor(-1.0)),
                         min(case["aux_k"], int(dead.sum())), "topk")
            variance = ((e - e.mean(0)) ** 2).mean()
            loss = loss + case["aux"] * ((spare @ w_d - e) ** 2).mean() / variance
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, total)
        optimiser.zero_grad()
        loss.backward()
        with torch.no_grad():
            w_d.grad -= (w_d.grad * w_d).sum(1, keepdim=True) * w_d
        if "clip" in case:
            torch.nn.utils.clip_grad_norm_(parameters, case["clip"])
        optimiser.step()
        with torch.no_grad():
            w_d /= w_d.norm(dim=1, keepdim=True)
        active = (code > 0).any(0)
        idle = torch.where(active, torch.zeros(()), idle + 1)
        losses.append(loss.item())
        if step == 2:
            early = {name: [float(f"{v:.7g}") for v in p.detach().flatten().tolist()] for name, p in
                     zip(("encoder", "encoder_bias", "decoder", "decoder_bias", "extra0", "extra1"),
                         parameters)}
    return {"losses": [float(f"{v:.7g}") for v in losses], "after_3_steps": early}


def main():
    out = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "torch_steps.json"
    out.write_text(json.dumps({name: run(case) for name, case in CASES.items()}) + "\n")
    print(out, out.stat().st_size, "bytes")


main()
