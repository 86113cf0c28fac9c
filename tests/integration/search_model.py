"""search_model.py - the best items for a query in NumPy, with the arithmetic of PROTOCOL.md.

A product is the sum of 16 partial sums, element i in sum i % 16, each step a fused multiply-add in f32, then
sums l and l + 8 are added, l and l + 4, l and l + 2, and the last two: scores are compared bit for bit.
"""

import numpy as np


def add_up(sums):
    """[..., 16] partial sums in f32 -> their sum."""
    width = 8
    while width:
        sums = sums[..., :width] + sums[..., width:2 * width]
        width //= 2
    return sums[..., 0]


def fused(a, b, c):
    """a * b + c in f32, rounded once: the product is exact in f64, and the sum nearly so."""
    return (a.astype('f8') * b.astype('f8') + c.astype('f8')).astype('f4')


def partial_sums(left, right, step):
    """[n, d] and [d] or [n, d] -> [n]."""
    dim = left.shape[1]
    padded = -(-dim // 16) * 16
    right = np.atleast_2d(right)
    x = np.zeros((len(left), padded), 'f4')
    w = np.zeros((len(right), padded), 'f4')
    x[:, :dim] = left
    w[:, :dim] = right
    sums = np.zeros((len(left), 16), 'f4')
    for at in range(0, padded, 16):
        sums = step(x[:, at:at + 16], w[:, at:at + 16], sums)
    return add_up(sums)


def products(rows, query):
    return partial_sums(rows, query, fused)


def minus_distances(rows, query):
    def step(x, w, sums):
        apart = x - w
        return fused(apart, apart, sums)
    return -partial_sums(rows, query, step)


def cosines(rows, query):
    lengths = np.sqrt(products(rows, rows))
    length = np.sqrt(products(query[None, :], query)[0])
    with np.errstate(divide='ignore', invalid='ignore'):
        out = products(rows, query) / length / lengths
    return np.where((lengths == 0) | (length == 0), np.float32(0), out).astype('f4')


def of_bits(kind):
    def scores(rows, query):
        a, b = query.sum(), rows.sum(axis=1)
        both = (rows * query).sum(axis=1)
        if kind == 'hamming':
            return -(a + b - 2 * both)
        with np.errstate(divide='ignore', invalid='ignore'):
            out = both / (a + b - both) if kind == 'tanimoto' else 2 * both / (a + b)
        return np.where(both == 0, np.float32(0), out).astype('f4')
    return scores


METRICS = {'inner_product': products, 'cosine': cosines, 'l2': minus_distances}
BIT_METRICS = {kind: of_bits(kind) for kind in ('tanimoto', 'dice', 'hamming')}


def best(keys, scores, k):
    """(keys, scores) of the k best, ties by key."""
    order = np.lexsort((keys, -scores))[:k]
    return keys[order], scores[order]
