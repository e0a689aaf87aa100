"""A set of vectors as one: Fisher vectors of a Gaussian mixture, and bags of visual words."""

from __future__ import annotations

import warnings

import numpy as np

from plait.optional import need

FLOOR = 1e-3  # added to the variances of a mixture, where the mean variance is 1


def learn_mixture(x: np.ndarray, k: int, seed: int) -> dict[str, np.ndarray]:
    """(n, d) -> a mixture of at most k Gaussians with a variance for each dimension, by expectation maximisation
    (Dempster, Laird & Rubin 1977): weights (k,), means (k, d), variances (k, d), float32."""
    x = x if len(x) > 1 else np.repeat(x, 2, 0)
    k = max(1, min(k, len(x) // 2))
    model = need("sklearn.mixture", "classic").GaussianMixture(
        k, covariance_type="diag", reg_covar=FLOOR, random_state=seed
    )
    with warnings.catch_warnings():  # that it did not converge in 100 steps: it is good enough
        warnings.simplefilter("ignore")
        model.fit(x.astype(np.float64))
    found = {"weights": model.weights_, "means": model.means_, "variances": model.covariances_}
    return {name: value.astype(np.float32) for name, value in found.items()}


def learn_words(x: np.ndarray, k: int, seed: int) -> dict[str, np.ndarray]:
    """(n, d) -> the middles of at most k clusters (k-means; Lloyd 1982), as a mixture of equal Gaussians."""
    k = min(k, len(x))
    model = need("sklearn.cluster", "classic").MiniBatchKMeans(k, n_init=3, batch_size=2048, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        means = model.fit(x.astype(np.float32)).cluster_centers_.astype(np.float32)
    return {"weights": np.full(k, 1 / k, np.float32), "means": means, "variances": np.ones_like(means)}


def fisher_vector(x: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(n, d) -> (k + 2 k d,) float64: the mean gradient of the logarithm of the mixture's density by the weights (what a
    softmax makes them of), the means and the standard deviations, each divided by the root of its Fisher information
    (Perronnin, Sanchez & Mensink 2010; with the weights, Sanchez, Perronnin, Mensink & Verbeek 2013: without them, a
    set of vectors that keep to some of the Gaussians, spread there like all others, would have none)."""
    weights, means, variances = (v.astype(np.float64) for v in (weights, means, variances))
    x = x.astype(np.float64)
    by_place = np.einsum("nd,kd->nk", x, means / variances, optimize=False)
    apart = np.einsum("nd,kd->nk", x**2, 1 / variances, optimize=False) - 2 * by_place + (means**2 / variances).sum(1)
    score = np.log(weights) - 0.5 * (apart + np.log(2 * np.pi * variances).sum(1))
    share = np.exp(score - score.max(1, keepdims=True))
    share = np.ascontiguousarray((share / share.sum(1, keepdims=True)).T)
    count, across = share.sum(1)[:, None], np.ascontiguousarray(x.T)
    first = np.einsum("kn,dn->kd", share, across, optimize=False)
    second = np.einsum("kn,dn->kd", share, across**2, optimize=False)
    by_mean = (first - count * means) / np.sqrt(variances)
    by_deviation = (second - 2 * means * first + count * (means**2 - variances)) / variances
    root = np.sqrt(weights)[:, None] * len(x)
    by_weight = (count[:, 0] / len(x) - weights) / np.sqrt(weights)
    return np.concatenate([by_weight, (by_mean / root).ravel(), (by_deviation / (np.sqrt(2) * root)).ravel()])


def bag(x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(n, d) -> (k,) float64: the share of vectors nearest to each word (Csurka et al. 2004)."""
    closeness = np.einsum("nd,kd->nk", x, means, optimize=False) - (means**2).sum(1) / 2
    nearest = closeness.argmax(1)
    return np.bincount(nearest, minlength=len(means)) / len(x)


def powered(vector: np.ndarray) -> np.ndarray:
    """Signed square roots, scaled to length 1 (Perronnin, Sanchez & Mensink 2010); zeros stay zeros."""
    root = np.sign(vector) * np.sqrt(np.abs(vector))
    length = np.sqrt((root**2).sum())
    return root / length if length > 0 else root  # type: ignore[no-any-return]
