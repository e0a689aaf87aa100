"""plait as scikit-learn estimators: PlaitClassifier and PlaitRegressor, for pipelines, cross-validation and grid search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plait.data.table import Table, read_table
from plait.errors import PlaitError, TableError, unknown
from plait.fitting import fit
from plait.modalities import modality
from plait.modalities.base import missing
from plait.optional import need
from plait.sources.frames import with_column
from plait.spec import Spec

if TYPE_CHECKING:
    from typing_extensions import Self

_sparse: Any = need("scipy.sparse", "classic")
_base: Any = need("sklearn.base", "classic")
_utils: Any = need("sklearn.utils.validation", "classic")
_kinds: Any = need("sklearn.utils.multiclass", "classic")

__all__ = ["PlaitClassifier", "PlaitRegressor"]


class _Estimator(_base.BaseEstimator):
    """What both share: the options of plait.fit, as they were given, and tables from whatever X is."""

    _kind = ""  # the modality of the target

    def __init__(
        self,
        *,
        encoders: str | Mapping[str, Spec] | None = "auto",
        preset: str | None = None,
        learner: Spec | None = None,
        fusion: Spec | None = None,
        training: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        modalities: Mapping[str, str] | None = None,
        valid: float = 0.15,
        max_bad: float = 0.05,
        base: str | Path | None = None,
        time_limit: float | None = None,
        seed: int = 0,
        quiet: bool = True,
    ) -> None:
        self.encoders = encoders
        self.preset = preset
        self.learner = learner
        self.fusion = fusion
        self.training = training
        self.epochs = epochs
        self.modalities = modalities
        self.valid = valid
        self.max_bad = max_bad
        self.base = base
        self.time_limit = time_limit
        self.seed = seed
        self.quiet = quiet

    def _fitted(self, X: Any, y: Any, labels: np.ndarray) -> Self:
        """Fits on all rows of X but those that validate; none is held out for judging."""
        table = self._table(X)
        names = [str(c) for c in table.frame.columns]
        if len(table) < 2:
            raise PlaitError(f"Found n_samples={len(table)} in X; expected at least 2 rows to learn from.")
        if len(labels) != len(table):
            raise PlaitError(
                f"X has {len(table)} rows and y has {len(labels)} labels. Expected one label for each row, in its order."
            )
        own = getattr(y, "name", None)
        target = own if isinstance(own, str) and own and own not in names else "y"
        while target in names:
            target += "_"
        for column in self.modalities or {}:
            if column not in names:
                raise unknown("column of X, in modalities:", column, names)
        self.n_features_in_ = len(names)
        self.__dict__.pop("feature_names_in_", None)
        if not _is_array(X):
            self.feature_names_in_ = np.array(names, dtype=object)
        self.columns_ = names
        self.model_ = fit(
            replace(table, frame=with_column(table.frame, target, labels.tolist())),
            target,
            modalities={**(self.modalities or {}), target: self._kind},
            encoders=self.encoders,
            fusion=self.fusion,
            preset=self.preset,
            learner=self.learner,
            split={"valid": self.valid, "test": 0.0, "column": ""},  # a column called "split" is one like any other
            training=self.training,
            seed=self.seed,
            epochs=self.epochs,
            time_limit=self.time_limit,
            max_bad=self.max_bad,
            quiet=self.quiet,
        )
        self.target_ = target
        return self

    def _table(self, X: Any) -> Table:
        """X as a table: a 2-D array gets the columns x0, x1, …"""
        if _is_array(X):
            X = np.asarray(X)
            if X.ndim != 2:
                raise TableError(
                    f"X is an array of shape {X.shape}; expected (rows, columns), or a DataFrame. Reshape your data: "
                    f"X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
                )
            X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        elif _sparse.issparse(X):
            raise TableError("X is a sparse matrix; expected a DataFrame or a dense array: X.toarray().")
        elif isinstance(X, (str, Path)):
            raise TableError(
                f"X is {str(X)!r}; expected the rows themselves: a DataFrame, as pandas.read_csv gives one."
            )
        elif isinstance(X, pd.Series):
            raise TableError("X is a Series, one column; expected rows of named columns: X.to_frame().")
        table = read_table(X, base=self.base)
        if not len(table.frame.columns):
            raise TableError(
                f"X has 0 feature(s) (shape=({len(table)}, 0)) while a minimum of 1 is required: give columns."
            )
        return table

    def _rows(self, X: Any) -> Table:
        """X as a table with the columns of the fit. Raises TableError, naming the first that is not there."""
        _utils.check_is_fitted(self, "model_")
        table = self._table(X)
        if _is_array(X):
            found, name = len(table.frame.columns), type(self).__name__
            if found != self.n_features_in_:
                raise TableError(
                    f"X has {found} features, but {name} is expecting {self.n_features_in_} features as input: the columns of "
                    f"the fit, {', '.join(self.columns_[:10])}."
                )
            table = replace(table, frame=table.frame.set_axis(self.columns_, axis="columns"))
        absent = [c for c in self.columns_ if c not in table.frame.columns]
        if absent and len(table) and not isinstance(X, list):
            near = unknown("column", absent[0], table.frame.columns)
            raise TableError(
                f"X has no column {absent[0]!r}, which the fit had. {near} Give it, with empty cells where there is nothing."
            )
        return table

    def _answer(self, X: Any) -> Any:
        """(rows, columns): what the model says, probabilities where it has them; row i is row i of X."""
        table = self._rows(X)
        return self.model_.predict_proba(table, allow_missing=isinstance(X, list), quiet=self.quiet)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.dict = True
        tags.input_tags.two_d_array = True
        return tags


class PlaitClassifier(_base.ClassifierMixin, _Estimator):
    """plait.fit as a classifier of scikit-learn: X a DataFrame of texts, paths of media, numbers and names, one row a thing.

    Options are those of plait.fit and are kept as they are given; with none, plait chooses by itself. `valid`: the share of X
    that training validates on (a `learner` chooses over folds, and learns from all rows); no row is held out for judging,
    as scikit-learn does that.
    `base`: the folder of paths in cells.
    After `fit`: `classes_`, `n_features_in_`, `feature_names_in_` (where X has names), and `model_`, the Predictor; save that
    one, as a folder: pickles of the estimator are not promised."""

    _kind = "category"

    def fit(self, X: Any, y: Any) -> Self:
        """X: a DataFrame, an Arrow table, a list of dicts, or an array (n, F), whose columns are called x0, x1, …; y: (n,) names,
        whole numbers, truth values. Raises PlaitError."""
        labels = _labels(y)
        kind = _kinds.type_of_target(labels, input_name="y")
        if kind not in ("binary", "multiclass"):
            raise PlaitError(
                f"Unknown label type: y is {kind}; expected one class a row. For numbers take PlaitRegressor."
            )
        classes = np.unique(labels)
        load = modality("category").load
        plain = classes.tolist()
        names = [load(c, Path()) for c in plain]
        for place, name in enumerate(names):
            if name is None or names.index(name) != place:
                row, other = int(np.flatnonzero(labels == classes[place])[0]), plain[names.index(name)]
                why = "an empty name" if name is None else f"the same name as {other!r}"
                raise PlaitError(
                    f"y, row {row}: found {plain[place]!r}, {why}. Expected a name for each class: rename it."
                )
        if len(classes) < 2:
            raise PlaitError(
                f"y holds one class only, {names[0] if names else 'none'!r}; expected at least two classes."
            )
        self.classes_ = classes
        return self._fitted(X, y, labels)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, classes) float64, columns in the order of `classes_`."""
        found = self._answer(X)
        share = np.zeros((len(found), len(self.classes_)))
        for place, label in enumerate(self.classes_.tolist()):
            column = f"{self.target_}: {modality('category').load(label, Path())}"
            if column in found.columns:
                share[:, place] = found[column].to_numpy(np.float64)
        whole: np.ndarray = share / share.sum(1, keepdims=True)
        return whole

    def predict(self, X: Any) -> np.ndarray:
        """(n,): the likeliest class of each row."""
        share = self.predict_proba(X)
        return np.asarray(self.classes_[share.argmax(1)])


class PlaitRegressor(_base.RegressorMixin, _Estimator):
    """plait.fit as a regressor of scikit-learn; everything else as in PlaitClassifier."""

    _kind = "number"

    def fit(self, X: Any, y: Any) -> Self:
        """X as in PlaitClassifier; y: (n,) finite numbers. Raises PlaitError."""
        given = _labels(y)
        labels = np.zeros(len(given))
        for row, value in enumerate(given.tolist()):
            try:
                labels[row] = float(value)
            except (TypeError, ValueError):
                raise PlaitError(f"y, row {row}: found {value!r}, expected a number.") from None
        if not np.isfinite(labels).all():
            row = int(np.flatnonzero(~np.isfinite(labels))[0])
            raise PlaitError(
                f"y, row {row}: found {labels[row]}, expected a finite number. Repair it, or leave the row out."
            )
        return self._fitted(X, y, labels)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) float64."""
        found = self._answer(X)
        return np.asarray(found[self.target_].to_numpy(np.float64))


def _is_array(X: Any) -> bool:
    """Whether X has places rather than names for its columns: an array, or lists in a list."""
    if isinstance(X, list):
        return not all(isinstance(row, dict) for row in X)
    named = isinstance(X, (pd.DataFrame, pd.Series)) or getattr(X, "__arrow_c_stream__", None) is not None
    return not named and getattr(X, "__array__", None) is not None


def _labels(y: Any) -> np.ndarray:
    """(n,) labels as NumPy has them; a column vector is laid flat, with scikit-learn's warning. Raises PlaitError."""
    if y is None:
        raise PlaitError("requires y to be passed, but the target y is None. Give one label for each row.")
    try:
        whole = isinstance(y, (list, tuple))
        values = _utils.column_or_1d(np.asarray(y, dtype=object if whole else None), warn=True)
    except ValueError as error:
        raise PlaitError(f"y has to be one label a row: {error}. For several targets take plait.fit.") from None
    if not len(values):
        raise PlaitError("y holds no label; expected one for each row of X.")
    lost = next((row for row, value in enumerate(values.tolist()) if missing(value)), None)
    if lost is not None:
        raise PlaitError(
            f"y, row {lost}: found {values[lost]}, no label (NaN or None). Leave such rows out; plait.fit takes them as they are."
        )
    if values.dtype == object:
        kinds = {type(v) for v in values.tolist()}
        if len(kinds) > 1 and str in kinds:
            found = " and ".join(sorted(k.__name__ for k in kinds))
            raise PlaitError(f"Unknown label type: y mixes {found}; expected labels of one type.")
        if whole or str not in kinds:
            values = np.array(values.tolist())
    return np.asarray(values)
