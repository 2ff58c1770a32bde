"""The losses once more, slowly: float64, loops over pairs and triplets, straight from the papers."""

from __future__ import annotations

import math
from itertools import product

import numpy as np


def distance(a, b, kind="euclidean"):
    if kind == "cosine":
        return 1 - similarity(a, b)
    squared = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return squared if kind == "squared" else math.sqrt(squared)


def similarity(a, b):
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def positives(labels, anchor):
    return [other for other in range(len(labels)) if other != anchor and labels[other] == labels[anchor]]


def negatives(labels, anchor):
    return [other for other in range(len(labels)) if labels[other] != labels[anchor]]


def semihard(labels, x, margin=1.0, kind="euclidean"):
    terms = []
    for a in range(len(labels)):
        for p in positives(labels, a):
            to_positive = distance(x[a], x[p], kind)
            to_negatives = [distance(x[a], x[n], kind) for n in negatives(labels, a)]
            farther = [d for d in to_negatives if d > to_positive]
            chosen = min(farther) if farther else max(to_negatives, default=0.0)
            terms.append(max(0.0, to_positive - chosen + margin))
    return mean(terms)


def hard(labels, x, margin=1.0, kind="euclidean", soft=False):
    terms = []
    for a in range(len(labels)):
        if positives(labels, a):
            farthest = max(distance(x[a], x[p], kind) for p in positives(labels, a))
            nearest = min((distance(x[a], x[n], kind) for n in negatives(labels, a)), default=farthest)
            terms.append(math.log1p(math.exp(farthest - nearest)) if soft else max(0.0, farthest - nearest + margin))
    return mean(terms)


def all_triplets(labels, x, margin=1.0, kind="euclidean", nonzero=False):
    terms = [
        max(0.0, distance(x[a], x[p], kind) - distance(x[a], x[n], kind) + margin)
        for a in range(len(labels))
        for p, n in product(positives(labels, a), negatives(labels, a))
    ]
    return mean(term for term in terms if term > 0) if nonzero else mean(terms)


def supervised_contrastive(labels, x, temperature):
    terms = []
    for a in range(len(labels)):
        if positives(labels, a):
            total = sum(math.exp(similarity(x[a], x[o]) / temperature) for o in range(len(labels)) if o != a)
            terms.append(
                -mean(math.log(math.exp(similarity(x[a], x[p]) / temperature) / total) for p in positives(labels, a))
            )
    return mean(terms)


def ntxent(views, temperature):
    """Chen et al. (2020), algorithm 1: views 2k and 2k + 1 belong together."""
    z = [view for sample in views for view in sample]
    losses = []
    for i in range(len(z)):
        j = i ^ 1
        total = sum(math.exp(similarity(z[i], z[k]) / temperature) for k in range(len(z)) if k != i)
        losses.append(-math.log(math.exp(similarity(z[i], z[j]) / temperature) / total))
    return [(losses[2 * k] + losses[2 * k + 1]) / 2 for k in range(len(views))]


def npairs(pairs):
    """Sohn (2016), equation 7: one pair per class."""
    return [
        math.log1p(sum(math.exp(np.dot(a, other) - np.dot(a, p)) for k, (_, other) in enumerate(pairs) if k != i))
        for i, (a, p) in enumerate(pairs)
    ]


def lifted(labels, x, margin=1.0):
    terms = []
    for i in range(len(labels)):
        for j in positives(labels, i):
            if i < j:
                pushed = sum(math.exp(margin - distance(x[i], x[k])) for k in negatives(labels, i))
                pushed += sum(math.exp(margin - distance(x[j], x[k])) for k in negatives(labels, j))
                if pushed:
                    terms.append(max(0.0, math.log(pushed) + distance(x[i], x[j])) ** 2)
                else:
                    terms.append(0.0)
    return mean(terms) / 2


def multi_similarity(labels, x, alpha, beta, threshold, epsilon):
    values = []
    for i in range(len(labels)):
        alike = [similarity(x[i], x[k]) for k in positives(labels, i)]
        other = [similarity(x[i], x[k]) for k in negatives(labels, i)]
        if epsilon is not None:
            hardest_positive, hardest_negative = min(alike, default=math.inf), max(other, default=-math.inf)
            alike = [s for s in alike if s - epsilon < hardest_negative]
            other = [s for s in other if s + epsilon > hardest_positive]
        values.append(
            math.log1p(sum(math.exp(-alpha * (s - threshold)) for s in alike)) / alpha
            + math.log1p(sum(math.exp(beta * (s - threshold)) for s in other)) / beta
        )
    return values


def proxy_anchor(labels, similarities, margin, alpha):
    drawn, pushed = [], []
    for c in range(len(similarities[0])):
        own = [row[c] for row, label in zip(similarities, labels, strict=True) if label == c]
        other = [row[c] for row, label in zip(similarities, labels, strict=True) if label != c]
        if own:
            drawn.append(math.log1p(sum(math.exp(-alpha * (s - margin)) for s in own)))
        pushed.append(math.log1p(sum(math.exp(alpha * (s + margin)) for s in other)))
    return mean(drawn) + mean(pushed)


def arcface(label, cosines, margin, scale):
    angle = math.acos(cosines[label])
    turned = math.cos(angle + margin) if angle + margin <= math.pi else cosines[label] - margin * math.sin(margin)
    logits = [scale * (turned if c == label else cosine) for c, cosine in enumerate(cosines)]
    return -math.log(math.exp(logits[label]) / sum(map(math.exp, logits)))


def length_penalty(tokens, logits, alpha, padding_id=0, end_id=None):
    probabilities = [np.exp(row - np.max(row)) / np.exp(row - np.max(row)).sum() for row in logits]
    length, cost = 0, 0.0
    for token, p in zip(tokens, probabilities, strict=True):
        if token == padding_id:
            break
        length += 1
        cost -= math.log(p[token])
        if token == end_id:
            break
    expected, going_on = 0.0, 1.0
    for p in probabilities:
        if padding_id is not None:
            going_on *= 1 - p[padding_id]
        expected += going_on
        if end_id is not None:
            going_on *= 1 - p[end_id]
    return cost / max(length, 1) + alpha * (length - expected) ** 2


def categorical_focal(one_hot, logits, alpha, gamma):
    p = np.exp(logits - np.max(logits)) / np.exp(logits - np.max(logits)).sum()
    return -sum(y * a * (1 - q) ** gamma * math.log(q) for y, a, q in zip(one_hot, alpha, p, strict=True))
