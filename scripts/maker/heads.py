"""What scikit-learn says about the same pictures: crates/maker/tests/heads.json.

Run from the repository's root, with the packages of requirements.txt:
    python scripts/maker/heads.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

OUT = Path("crates/maker/tests/heads.json")


def pictures(seed, n, features, classes):
    """Embeddings of bytes, as networks with ReLU6 give them, about a center for each class."""
    random = np.random.default_rng(seed)
    centers = random.gamma(0.6, 30, (classes, features))
    labels = random.choice(classes, n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    labels[: 2 * classes] = np.tile(np.arange(classes), 2)
    noise = random.gamma(0.5, 60, (n, features))
    return np.clip(centers[labels] + noise, 0, 255).astype(np.uint8), labels


def logistic(x, labels, c, balanced):
    weights = np.ones(len(labels))
    if balanced:
        counts = np.bincount(labels)
        weights = (len(labels) / (len(counts) * counts))[labels]
    model = LogisticRegression(C=c, tol=1e-8, solver="lbfgs", max_iter=100_000)
    model.fit(x, labels, sample_weight=weights)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(intercepts) == 1:
        # Of two classes scikit-learn keeps the difference, which costs twice as much in L2.
        return None
    logits = x @ coefficients.T + intercepts
    most = logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
    losses = sums - logits[np.arange(len(labels)), labels]
    loss = (weights * losses).sum() + (coefficients**2).sum() / (2 * c)
    return {
        "c": c,
        "balanced": balanced,
        "loss": loss,
        "predictions": model.predict(x).tolist(),
    }


def discriminants(x, labels, shrinkage, balanced):
    classes = labels.max() + 1
    priors = np.bincount(labels) / len(labels)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=priors)
    model.fit(x, labels)
    logits = model.decision_function(x)
    if balanced:
        logits = logits - np.log(priors) - np.log(classes)
    return {"shrinkage": shrinkage, "balanced": balanced, "logits": logits.round(12).tolist()}


def main():
    cases = []
    for seed, n, features, classes in [(1, 60, 20, 4), (2, 30, 80, 3)]:
        embeddings, labels = pictures(seed, n, features, classes)
        x = embeddings.astype(np.float64)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        cases.append(
            {
                "features": features,
                "classes": classes,
                "embeddings": embeddings.reshape(-1).tolist(),
                "labels": labels.tolist(),
                "logistic": [
                    logistic(x, labels, c, balanced)
                    for c in (1.0, 100.0, 10_000.0)
                    for balanced in (False, True)
                ],
                "discriminants": [
                    discriminants(x, labels, shrinkage, balanced)
                    for shrinkage in (0.1, 0.7)
                    for balanced in (False, True)
                ],
            }
        )
    OUT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


main()
