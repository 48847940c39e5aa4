"""Trees as C: their code by tl2cgen, and around it the code for margin and probability."""

from __future__ import annotations

import contextlib
import ctypes
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.decisions.calibration import KNOTS, FittedCalibrator
from fraudml.errors import ConfigError, MachineError
from fraudml.export.calibration import segments
from fraudml.export.extras import import_for
from fraudml.export.forest import Flags, Forest, join, scaled
from fraudml.export.learners import Bag, forests_of

LIBRARY = "libfraudml_model.so"
HEADER = "fraudml_model.h"

_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-ffp-contract=off")
_TREES_A_FILE = 25


def find_compiler() -> str:
    """Return the path of a C compiler; raise a `ConfigError` where there is none."""
    for name in _COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ConfigError(
        f"format=c needs a C compiler, and none of {', '.join(_COMPILERS)} is on the PATH. Install "
        "one, as by 'apt-get install gcc', or take format=onnx."
    )


def merged(bundle: DecisionBundle) -> Forest:
    """Return the trees of a bundle's learner as one forest, averaged, with all offsets.

    Raises a `ConfigError` where the learner has no trees that can be exported.
    """
    bag = forests_of(bundle.learner)
    if bag is None:
        raise ConfigError(
            f"The bundle's learner is of the kind '{bundle.learner.kind}', and format=c is for "
            "boosted trees (learner=lightgbm, bagged_lightgbm, xgboost, catboost). A linear model "
            "has format=onnx."
        )
    return _merge(bag, bundle.offset)


def _merge(bag: Bag, offset: float) -> Forest:
    count = len(bag.forests)
    bases = (forest.base + own for forest, own in zip(bag.forests, bag.offsets, strict=True))
    base = sum(bases) / count + offset
    return join((scaled(forest, 1 / count) for forest in bag.forests), base=base)


def write_sources(bundle: DecisionBundle, folder: Path) -> None:
    """Write `fraudml_model.h`, `fraudml_model.c` and, in `trees/`, tl2cgen's code.

    Raises a `ConfigError` where the extra `c` is not installed, or the learner has no trees.
    """
    generator = import_for("format=c", "tl2cgen", "c")
    forest = merged(bundle)
    model = _treelite_model(forest, len(bundle.features.names))
    files = max(1, len(forest.roots) // _TREES_A_FILE)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints how many files it writes
        generator.generate_c_code(model, folder / "trees", params={"parallel_comp": files})
    (folder / HEADER).write_text(_header(bundle), encoding="utf-8")
    code = _code(bundle, forest)
    (folder / "fraudml_model.c").write_text(code, encoding="utf-8")


def compile_library(folder: Path) -> Path:
    """Compile the code in a folder into a shared library beside it."""
    sources = [folder / "fraudml_model.c", *sorted((folder / "trees").glob("*.c"))]
    names = [str(path.relative_to(folder)) for path in sources]
    command = [find_compiler(), *_FLAGS, "-o", LIBRARY, *names, "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        message = "; ".join(done.stderr.strip().splitlines()[:3])
        raise MachineError(
            f"The C compiler failed with {done.returncode}: {message}. Try another compiler, or "
            "more memory."
        )
    return folder / LIBRARY


def library_scores(
    library: Path, X: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return margin and probability of some rows of the design matrix by a compiled library.

    The library stays loaded until the process ends.
    """
    predict = ctypes.CDLL(str(library.resolve())).fraudml_predict
    predict.restype = None
    predict.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    rows = np.ascontiguousarray(X)
    margin, p = np.empty(len(X)), np.empty(len(X))
    predict(rows.ctypes.data, len(rows), margin.ctypes.data, p.ctypes.data)
    return margin, p


def _treelite_model(forest: Forest, features: int) -> Any:
    builder = import_for("format=c", "treelite", "c").model_builder
    trees = builder.ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=builder.Metadata(
            num_feature=features,
            task_type="kBinaryClf",
            average_tree_output=False,
            num_target=1,
            num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=builder.TreeAnnotation(
            num_tree=len(forest.roots),
            target_id=[0] * len(forest.roots),
            class_id=[0] * len(forest.roots),
        ),
        postprocessor=builder.PostProcessorFunc(name="identity"),
        base_scores=[0.0],
    )
    sets = dict(zip(np.flatnonzero(forest.is_set).tolist(), forest.sets, strict=True))
    for root in forest.roots.tolist():
        trees.start_tree()
        for key, node, true, false in _walk(forest, root):
            trees.start_node(key)
            if node < 0:
                trees.leaf(float(forest.values[~node]))
            elif node in sets:
                trees.categorical_test(
                    int(forest.feature[node]),
                    default_left=bool(forest.missing_true[node]),
                    category_list=sets[node].tolist(),
                    category_list_right_child=False,
                    left_child_key=true,
                    right_child_key=false,
                )
            else:
                trees.numerical_test(
                    int(forest.feature[node]),
                    float(forest.threshold[node]),
                    default_left=bool(forest.missing_true[node]),
                    opname="<=",
                    left_child_key=true,
                    right_child_key=false,
                )
            trees.end_node()
        trees.end_tree()
    return trees.commit()


def _walk(forest: Forest, root: int) -> Iterator[tuple[int, int, int, int]]:
    """Number the nodes and leaves of a tree from 0; a node that is one leaf twice is that leaf."""
    left = [(0, root)]
    count = 1
    while left:
        key, node = left.pop()
        if node >= 0 and forest.true[node] == forest.false[node] and forest.true[node] < 0:
            node = int(forest.true[node])
        if node < 0:
            yield key, node, 0, 0
            continue
        true, false = count, count + 1
        count += 2
        left += [(true, int(forest.true[node])), (false, int(forest.false[node]))]
        yield key, node, true, false


def _header(bundle: DecisionBundle) -> str:
    count = len(bundle.features.names)
    return f"""\
/* A fraud model, written by fraudml. README.txt says what the columns are. */
#ifndef FRAUDML_MODEL_H
#define FRAUDML_MODEL_H

#define FRAUDML_FEATURES {count}

#ifdef __cplusplus
extern "C" {{
#endif

/* The margin of a row of FRAUDML_FEATURES numbers, prior correction within; NAN is missing. */
double fraudml_margin(const float *row);

/* The calibrated probability of fraud that belongs to a margin. */
double fraudml_calibrate(double margin);

/* The calibrated probability of fraud of a row. */
double fraudml_probability(const float *row);

/* Margin and probability of `count` rows that stand one after the other; either may be NULL. */
void fraudml_predict(const float *rows, long count, double *margin, double *probability);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _code(bundle: DecisionBundle, forest: Forest) -> str:
    zero = _flags(forest.zero_is_missing, len(bundle.features.names))
    tests = "isnan(row[k])"
    if zero.any():
        tests += " || (zero_is_missing[k] && fabsf(row[k]) <= 1e-35f)"
    table = ", ".join("01"[flag] for flag in zero.astype(int))
    flags = f"static const char zero_is_missing[FRAUDML_FEATURES] = {{{table}}};\n\n"
    return f"""\
/* Margin and probability of a fraud model from its trees; written by fraudml. */
#include <math.h>

#include "fraudml_model.h"
#include "trees/header.h"

{flags if zero.any() else ""}double fraudml_margin(const float *row) {{
  union Entry data[FRAUDML_FEATURES];
  double sum = 0.0;
  int k;
  for (k = 0; k < FRAUDML_FEATURES; ++k) {{
    if ({tests}) {{
      data[k].missing = -1;
    }} else {{
      data[k].fvalue = (double)row[k];
    }}
  }}
  predict(data, 1, &sum);
  return sum + {_real(forest.base)};
}}

{_calibration(bundle.calibrator)}

double fraudml_probability(const float *row) {{
  return fraudml_calibrate(fraudml_margin(row));
}}

void fraudml_predict(const float *rows, long count, double *margin, double *probability) {{
  long k;
  for (k = 0; k < count; ++k) {{
    double m = fraudml_margin(rows + k * FRAUDML_FEATURES);
    if (margin) margin[k] = m;
    if (probability) probability[k] = fraudml_calibrate(m);
  }}
}}
"""


def _flags(columns: frozenset[int], count: int) -> Flags:
    return np.isin(np.arange(count), sorted(columns))


def _calibration(calibrator: FittedCalibrator) -> str:
    """The function from margin to probability; the same lines and curves as the bundle's."""
    tables, body = "", "double z = margin;"
    if calibrator.kind == "sigmoid":
        slope, intercept = calibrator.parameters
        body = f"double z = {_real(slope)} * margin + {_real(intercept)};"
    elif calibrator.kind == "beta":
        up, down, intercept = calibrator.parameters
        body = f"""\
double tail = log1p(exp(-fabs(margin)));
  double log_s = fmin(margin, 0.0) - tail, log_not_s = fmax(margin, 0.0) + tail;
  double z = {_real(up)} * log_s + {_real(down)} * log_not_s + {_real(intercept)};"""
    elif calibrator.kind in KNOTS:
        bounds, *lines = segments(calibrator)
        named = zip(("bounds", "start", "height", "slope"), (bounds, *lines), strict=True)
        tables = "\n".join(
            f"static const double {name}[{len(values)}] = {{{', '.join(map(_real, values))}}};"
            for name, values in named
        )
        body = f"""\
int low = 0, high = {len(bounds)};
  double z;
  while (low < high) {{
    int middle = (low + high) / 2;
    if (margin <= bounds[middle]) {{
      high = middle;
    }} else {{
      low = middle + 1;
    }}
  }}
  z = slope[low] * (margin - start[low]) + height[low];"""
    return f"""\
{tables}

double fraudml_calibrate(double margin) {{
  {body}
  return z >= 0.0 ? 1.0 / (1.0 + exp(-z)) : exp(z) / (1.0 + exp(z));
}}""".lstrip()


def _real(value: float) -> str:
    """A number in C with every bit."""
    return float(value).hex()
