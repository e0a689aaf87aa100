"""The scikit-learn estimators: against plait.fit, against scikit-learn's loops done by hand, and by its own checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator, check_parameters_default_constructible

import plait
from plait.errors import PlaitError
from plait.sklearn import PlaitClassifier, PlaitRegressor
from tests import toy

QUICK: dict[str, Any] = {"encoders": "classic", "learner": "ridge"}
WORDS = ["note", "size"]  # what is quick to read


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make(tmp_path_factory.mktemp("toy"), 60, noise=0.2)


@pytest.fixture(scope="module")
def frame(table: Path) -> pd.DataFrame:
    return pd.read_csv(table)


def test_it_is_plait_fit_with_pictures_sounds_words_and_numbers(table: Path, frame: pd.DataFrame) -> None:
    how: dict[str, Any] = {"encoders": toy.TINY, "epochs": 2, "training": {"batch_size": 8}, "seed": 3}
    model = PlaitClassifier(**how, base=table.parent).fit(frame[toy.INPUTS], frame["kind"])
    same = plait.fit(
        frame[[*toy.INPUTS, "kind"]], "kind", base=table.parent, split={"valid": 0.15, "test": 0.0}, quiet=True, **how
    )
    share = same.predict_proba(frame[toy.INPUTS], base=table.parent)
    theirs = share[[f"kind: {c}" for c in model.classes_]].to_numpy()
    assert np.abs(model.predict_proba(frame[toy.INPUTS]) - theirs).max() < 1e-6
    assert model.predict(frame[toy.INPUTS]).tolist() == [model.classes_[i] for i in theirs.argmax(1)]
    assert model.model_.record["parts"][2] == 0 and model.model_.targets == {"kind": "category"}
    assert model.score(frame[toy.INPUTS], frame["kind"]) == accuracy_score(
        frame["kind"], model.predict(frame[toy.INPUTS])
    )


def test_a_preset_is_that_of_fit(frame: pd.DataFrame) -> None:
    model = PlaitClassifier(preset="fast").fit(frame[["size"]], frame["kind"])
    assert model.model_.leaderboard["kind"]
    with pytest.raises(PlaitError, match="preset='fast' chooses by itself, but learner is given"):
        PlaitClassifier(preset="fast", learner="ridge").fit(frame[["size"]], frame["kind"])


def test_cross_val_score_is_the_loop_done_by_hand(frame: pd.DataFrame) -> None:
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    found = cross_val_score(PlaitClassifier(**QUICK), frame[WORDS], frame["kind"], cv=folds)
    by_hand = []
    for train, test in folds.split(frame[WORDS], frame["kind"]):
        whole = frame[[*WORDS, "kind"]].iloc[train]
        model = plait.fit(whole, "kind", split={"test": 0.0}, quiet=True, **QUICK)
        said = model.predict(frame[WORDS].iloc[test])
        by_hand.append(np.mean(said["kind"].to_numpy() == frame["kind"].iloc[test].to_numpy()))
    assert found.tolist() == by_hand and min(by_hand) > 0.6
    scores = cross_val_score(PlaitRegressor(**QUICK), frame[WORDS], frame["value"], cv=3, scoring="r2")
    first = np.arange(20)
    rest = np.setdiff1d(np.arange(60), first)
    model = PlaitRegressor(**QUICK).fit(frame[WORDS].iloc[rest], frame["value"].iloc[rest])
    assert scores[0] == pytest.approx(r2_score(frame["value"][first], model.predict(frame[WORDS].iloc[first])))


def test_grid_search_and_pipelines(frame: pd.DataFrame) -> None:
    def longer(x: pd.DataFrame) -> pd.DataFrame:
        return x.assign(note=x["note"].str.upper())

    pipe = make_pipeline(FunctionTransformer(longer), PlaitClassifier(**QUICK))
    search = GridSearchCV(pipe, {"plaitclassifier__learner": ["ridge", {"name": "knn", "k": 3}]}, cv=2)
    search.fit(frame[WORDS], frame["kind"])
    each = [
        cross_val_score(clone(pipe).set_params(plaitclassifier__learner=way), frame[WORDS], frame["kind"], cv=2).mean()
        for way in ("ridge", {"name": "knn", "k": 3})
    ]
    assert search.cv_results_["mean_test_score"].tolist() == each
    assert search.best_estimator_.predict(frame[WORDS]).shape == (60,)
    share = cross_val_predict(PlaitClassifier(**QUICK), frame[WORDS], frame["kind"], cv=3, method="predict_proba")
    assert share.shape == (60, 3) and log_loss(frame["kind"], share) < np.log(3)


LABELS = {
    "str": lambda kind: kind,
    "Series of categories": lambda kind: pd.Series(kind).astype("category"),
    "Series of text": lambda kind: pd.Series(kind, dtype="string"),
    "int": lambda kind: np.array([{"red": 10, "green": 9, "blue": -1}[k] for k in kind]),
    "float": lambda kind: np.array([{"red": 1.0, "green": 2.0, "blue": 3.0}[k] for k in kind]),
    "bool": lambda kind: [k == "red" for k in kind],
    "list of int": lambda kind: [len(k) for k in kind],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type_come_back_as_they_were(kind: str, frame: pd.DataFrame) -> None:
    y = LABELS[kind](frame["kind"].tolist())
    model = PlaitClassifier(**QUICK).fit(frame[WORDS], y)
    plain = np.asarray(y)
    assert model.classes_.tolist() == sorted(set(plain.tolist()))
    said, share = model.predict(frame[WORDS]), model.predict_proba(frame[WORDS])
    assert said.dtype == plain.dtype and (said == plain).mean() > 0.7
    assert share.shape == (60, len(model.classes_)) and np.allclose(share.sum(1), 1, atol=1e-12)
    own = share[np.arange(60), np.searchsorted(model.classes_, plain)]
    assert own.mean() > 1.3 * (share.sum(1) - own).mean() / (len(model.classes_) - 1)  # columns are those of classes_


def test_rows_never_move(table: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    x = frame[["picture", "note", "size"]].set_index(pd.Index([f"row {7 * i % 60}" for i in range(60)]))
    model = PlaitClassifier(encoders="classic", learner="ridge", base=table.parent)
    model.fit(x, frame["kind"].iloc[::1].to_numpy())
    whole = model.predict_proba(x)
    broken = x.copy()
    broken.iloc[4, 0], broken.iloc[9, 1], broken.iloc[9, 2] = "nowhere.png", None, np.nan
    broken.iloc[13] = None
    found = model.predict_proba(broken)
    fine = np.setdiff1d(np.arange(60), [4, 9, 13])
    assert len(found) == 60 and np.allclose(found[fine], whole[fine], atol=1e-6) and np.isfinite(found).all()
    order = np.random.default_rng(0).permutation(60)
    assert np.allclose(model.predict_proba(broken.iloc[order]), found[order], atol=1e-6)
    model.model_.save(tmp_path / "model")
    again = plait.load(tmp_path / "model").predict_proba(broken, base=table.parent)
    assert np.allclose(again[[f"y: {c}" for c in model.classes_]].to_numpy(), found, atol=1e-6)


def test_lists_of_dicts_arrow_and_arrays(frame: pd.DataFrame) -> None:
    y = frame["kind"]
    named = PlaitClassifier(**QUICK).fit(frame[WORDS], y)
    assert named.n_features_in_ == 2 and named.feature_names_in_.tolist() == WORDS
    expected = named.predict_proba(frame[WORDS])
    for x in (frame[WORDS].to_dict("records"), pa.Table.from_pandas(frame[WORDS]), frame[WORDS[::-1]]):
        assert np.allclose(PlaitClassifier(**QUICK).fit(x, y).predict_proba(x), expected, atol=1e-5)
        assert np.allclose(named.predict_proba(x), expected, atol=1e-6)
    assert named.predict([{"note": "a ripe tomato"}, {"size": 21.0}]).tolist() == ["red", "blue"]
    numbers = np.stack([frame["size"], frame["size"] ** 2], 1)
    plain = PlaitClassifier(**QUICK).fit(numbers, y)
    assert list(plain.model_.inputs) == ["x0", "x1"] and not hasattr(plain, "feature_names_in_")
    assert plain.score(numbers, y) > 0.6
    mixed = frame[WORDS].to_numpy(object)
    assert np.allclose(PlaitClassifier(**QUICK).fit(mixed, y).predict_proba(mixed), expected, atol=1e-5)


def test_parameters_are_stored_untouched() -> None:
    encoders, training = {"note": {"name": "text_tfidf"}}, {"batch_size": 8}
    model = PlaitClassifier(encoders=encoders, training=training)
    assert model.get_params()["encoders"] is encoders and model.training is training
    copy = clone(model).set_params(seed=5, learner="knn")
    assert copy.encoders == encoders and copy.seed == 5 and model.seed == 0 and model.learner is None
    for cls in (PlaitClassifier, PlaitRegressor):
        check_parameters_default_constructible(cls.__name__, cls())
        tags = cls().__sklearn_tags__().input_tags
        assert tags.allow_nan and tags.string and tags.two_d_array and not tags.sparse
    assert is_classifier(PlaitClassifier()) and is_regressor(PlaitRegressor())
    with pytest.raises(NotFittedError):
        PlaitClassifier().predict(pd.DataFrame({"a": [1.0]}))


def test_a_target_never_takes_the_name_of_a_column_nor_a_column_the_split(frame: pd.DataFrame) -> None:
    x = pd.DataFrame({"y": frame["note"], "split": ["train", "test", "valid"] * 20})
    model = PlaitClassifier(**QUICK).fit(x, frame["kind"].rename("y"))
    assert model.target_ == "y_" and model.model_.record["parts"] == [51, 9, 0]
    assert "split" in model.model_.inputs


NUMBERS = pd.DataFrame({"size": np.arange(12.0) ** 2, "note": list("abcdefghijkl")})
KINDS = ["a", "b"] * 6
WRONG: list[tuple[Any, Any, Any, str]] = [
    (PlaitClassifier(), NUMBERS, KINDS[:-1], r"X has 12 rows and y has 11 labels"),
    (PlaitClassifier(), NUMBERS, [*KINDS[:-1], None], r"y, row 11: found None, no label"),
    (PlaitClassifier(), NUMBERS, [*KINDS[:-1], " a"], r"y, row 0: found 'a', the same name as ' a'"),
    (PlaitClassifier(), NUMBERS, [*KINDS[:-1], " "], r"y, row 11: found ' ', an empty name"),
    (PlaitClassifier(), NUMBERS, [*KINDS[:-1], 3], r"y mixes int and str"),
    (PlaitClassifier(), NUMBERS, np.arange(12) + 0.5, r"y is continuous.*take PlaitRegressor"),
    (PlaitClassifier(), NUMBERS, ["a"] * 12, r"one class only, 'a'"),
    (PlaitClassifier(), NUMBERS, np.ones((12, 2)), r"For several targets take plait\.fit"),
    (PlaitRegressor(), NUMBERS, KINDS, r"y, row 0: found 'a', expected a number"),
    (PlaitRegressor(), NUMBERS, [*range(11), np.inf], r"y, row 11: found inf"),
    (PlaitClassifier(), "table.csv", KINDS, r"X is 'table\.csv'; expected the rows themselves"),
    (PlaitClassifier(), NUMBERS["size"], KINDS, r"X is a Series, one column.*to_frame"),
    (PlaitClassifier(), np.zeros((12, 2, 2)), KINDS, r"X is an array of shape \(12, 2, 2\)"),
    (PlaitClassifier(), NUMBERS.rename(columns={"note": "size"}), KINDS, r"more than one column named 'size'"),
    (PlaitClassifier(modalities={"sice": "text"}), NUMBERS, KINDS, r"'sice'\. Did you mean 'size'"),
    (PlaitClassifier(encoders={"nota": "text_tfidf"}), NUMBERS, KINDS, r"'nota'\. Did you mean 'note'"),
    (PlaitClassifier(learner="rigde"), NUMBERS, KINDS, r"Did you mean 'ridge'"),
]


@pytest.mark.parametrize(("model", "x", "y", "said"), WRONG, ids=[w[3][:30] for w in WRONG])
def test_what_cannot_be_used_is_said_with_its_column_or_row(model: Any, x: Any, y: Any, said: str) -> None:
    with pytest.raises(PlaitError, match=said):
        clone(model).fit(x, y)


def test_columns_that_are_not_those_of_the_fit_are_named(frame: pd.DataFrame) -> None:
    model = PlaitClassifier(**QUICK).fit(frame[WORDS], frame["kind"])
    with pytest.raises(PlaitError, match=r"X has no column 'note'.*Did you mean 'notes'"):
        model.predict(frame[WORDS].rename(columns={"note": "notes"}))
    with pytest.raises(PlaitError, match="X has 3 features, but PlaitClassifier is expecting 2"):
        model.predict(np.zeros((2, 3)))
    with pytest.raises(PlaitError, match=r"X is an array of shape \(3,\).*Reshape your data"):
        model.predict(np.zeros(3))


def test_without_scikit_learn_the_pip_line_is_said() -> None:
    code = (
        "import sys\nsys.modules['sklearn'] = None\nsys.modules['sklearn.base'] = None\n"
        "try: import plait.sklearn\nexcept Exception as e: print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "MissingExtraError" in done.stdout and 'pip install "plait[classic]"' in done.stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", [PlaitClassifier, PlaitRegressor])
def test_scikit_learns_own_checks_pass(cls: Any) -> None:
    rounding = {"check_methods_subset_invariance": "float32: a batch of another size differs in the seventh digit"}
    done = check_estimator(cls(**QUICK), expected_failed_checks=rounding, on_skip=None)
    assert sum(check["status"] == "passed" for check in done) >= 45
