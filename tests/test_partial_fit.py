"""`partial_fit`: pretraining goes on chunk by chunk, and a call that fails never was."""

import copy
import doctest
import pickle
import signal
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from on_disk import NAMES, X, memmap, parquet, shrink
from sklearn.base import clone

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer, load, save
from sslgex._callbacks import SUPPORTED
from sslgex._training import stream
from sslgex._training.engine import Engine

HOW = {"batch_size": 128, "dropout": 0.1, "random_state": 0, "device": "cpu"}
METHODS = {
    "scarf": ScarfTransformer((16,), projection_sizes=(8,), **HOW),
    "vime": VimeTransformer((16,), decoder_sizes=(8,), architecture="mlp", **HOW),
    "byol": ByolTransformer(
        (16,), projection_sizes=(8, 4), prediction_sizes=(8, 4), ema_schedule="cosine", **HOW
    ),
}
SCARF, VIME = METHODS["scarf"], METHODS["vime"]
each_method = pytest.mark.parametrize("ssl", METHODS.values(), ids=METHODS)
CHUNKS = [X[:300], X[300:429], X[429:431], X[431:900]]


def after(ssl, chunks=CHUNKS, **params):
    """Return a clone that has been given the chunks."""
    est = clone(ssl).set_params(**params)
    for chunk in chunks:
        assert est.partial_fit(chunk) is est
    return est


def snapshot(est):
    """Return all that a call may change, as bytes; the seconds aside."""
    state = {k: v for k, v in vars(est).items() if k.endswith("_") or k.startswith("_")}
    state["history_"] = without_seconds(est)
    return {name: pickle.dumps(value) for name, value in state.items()}


def without_seconds(est):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in est.history_]


def assert_same(one, other):
    """Both have the same bits, those that the next call goes on with included."""
    for name, value in one.encoder_.state_dict().items():
        assert torch.equal(value, other.encoder_.state_dict()[name]), name
    assert one._heads.keys() == other._heads.keys()
    assert all(torch.equal(one._heads[k], other._heads[k]) for k in one._heads)
    assert without_seconds(one) == without_seconds(other)
    assert one.n_samples_seen_ == other.n_samples_seen_
    mine, others = one._progress, other._progress
    assert mine.root == others.root
    assert np.array_equal(dense(mine.reservoir.matrix), dense(others.reservoir.matrix))
    assert mine.reservoir.n_seen == others.reservoir.n_seen
    assert pickle.dumps(mine.moments) == pickle.dumps(others.moments)


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


# ------------------------------------------------------------------------------ one call


@each_method
@pytest.mark.parametrize("kind", ["memory", "sparse", "disk"])
def test_the_first_call_is_an_epoch_of_fit_at_a_constant_rate(ssl, kind, tmp_path, monkeypatch):
    values = sp.csr_matrix(X) if kind == "sparse" else X
    if kind == "disk":
        shrink(monkeypatch)
        values = memmap(tmp_path, X)
    how = {"schedule": "constant", "max_epochs": 1}
    if "ema_schedule" in ssl.get_params():
        how["ema_schedule"] = "constant"
    one = clone(ssl).set_params(**how).fit(values)
    est = clone(ssl).partial_fit(values)
    assert np.array_equal(est.transform(X), one.transform(X))
    assert without_seconds(est) == without_seconds(one)
    for name in ("mean_", "scale_", "components_"):
        assert np.array_equal(getattr(est, name), getattr(one, name))


@pytest.mark.parametrize("n", [2, 3, 127, 129, 257])
def test_every_sample_comes_once_and_none_alone(n, monkeypatch):
    seen, train = [], Engine.train_batch

    def recorded(self, views, *args):
        seen.append(views.clean.numpy().copy())
        train(self, views, *args)

    est = clone(SCARF).set_params(standardize=False).partial_fit(X[-50:])
    monkeypatch.setattr(Engine, "train_batch", recorded)
    est.partial_fit(X[:n])
    assert min(map(len, seen)) > 1
    rows = np.concatenate(seen)
    assert np.array_equal(rows[np.lexsort(rows.T)], X[:n][np.lexsort(X[:n].T)])
    if n > 3:
        assert not np.array_equal(rows, X[:n])


def test_what_grows_by_one_a_call():
    est = clone(SCARF)
    for i, chunk in enumerate(CHUNKS):
        est.partial_fit(chunk)
        assert est.n_iter_ == len(est.history_) == len(est.loss_curve_) == i + 1
        assert est.n_samples_seen_ == sum(map(len, CHUNKS[: i + 1]))
    assert [row["epoch"] for row in est.history_] == [1, 2, 3, 4]
    assert {row["lr"] for row in est.history_} == {1e-3}
    assert est.validation_loss_curve_ is None


@each_method
def test_the_optimiser_goes_on(ssl):
    est = after(ssl, CHUNKS[:2])
    # Three batches of 300 samples, one of the 129: two would leave one sample alone.
    steps = {float(m["step"]) for moments in est._progress.moments for m in moments}
    assert steps == {4.0}
    anew = after(ssl, CHUNKS[:2])
    anew._progress = replace(anew._progress, moments=None)
    assert not np.array_equal(
        est.partial_fit(CHUNKS[3]).transform(X), anew.partial_fit(CHUNKS[3]).transform(X)
    )


def test_the_learning_rate_may_be_changed_between_calls():
    est = after(VIME, CHUNKS[:2])
    est.set_params(lr=1e-2).partial_fit(CHUNKS[3])
    assert [row["lr"] for row in est.history_] == [1e-3, 1e-3, 1e-2]


def test_the_target_of_byol_follows_at_the_decay_as_it_is(monkeypatch):
    from sslgex import byol

    decays, update = [], byol.update_momentum

    def recorded(target, online, decay):
        decays.append(decay)
        update(target, online, decay)

    monkeypatch.setattr(byol, "update_momentum", recorded)
    after(METHODS["byol"])
    assert len(decays) > 2 * len(CHUNKS)
    assert decays == pytest.approx([0.9] * len(decays), abs=1e-12)


# ------------------------------------------------------------------------------ several calls


@each_method
def test_the_same_calls_give_the_same_bits(ssl):
    assert_same(after(ssl), after(ssl))
    assert not np.array_equal(after(ssl).transform(X), after(ssl, random_state=1).transform(X))


def test_a_generator_is_asked_once():
    rng = np.random.RandomState(0)
    est = after(SCARF, CHUNKS[:1], random_state=rng)
    state = rng.get_state()[1].tolist()
    est.partial_fit(CHUNKS[1])
    assert rng.get_state()[1].tolist() == state
    assert_same(est, after(SCARF, CHUNKS[:2], random_state=np.random.RandomState(0)))


def test_two_calls_draw_other_orders_and_corruptions():
    est = after(SCARF, [X, X])
    again = after(SCARF, [X])
    again.lr = est.lr = 1e-12  # from here on the weights are as good as still
    first, second = (e.partial_fit(X).loss_curve_[-1] for e in (est, again))
    assert first != second


@pytest.mark.parametrize("kind", ["sparse", "disk", "parquet", "frames", "float64"])
def test_other_containers_give_the_bits_of_arrays(kind, tmp_path, monkeypatch):
    arrays = after(SCARF)
    if kind in ("disk", "parquet"):  # up to 512 MB they are read
        folders = [tmp_path / str(i) for i in range(len(CHUNKS))]
        for folder in folders:
            folder.mkdir()
        make = memmap if kind == "disk" else lambda f, c: parquet(f, c, (0, len(c)))
        chunks = [make(*pair) for pair in zip(folders, CHUNKS, strict=True)]
    else:
        make = {
            "sparse": sp.csr_matrix,
            "frames": lambda c: pd.DataFrame(c, columns=NAMES),
            "float64": lambda c: c.astype(np.float64),
        }[kind]
        chunks = list(map(make, CHUNKS))
    est = after(SCARF, chunks)
    if kind == "float64":  # standardised more exactly
        np.testing.assert_allclose(est.transform(X), arrays.transform(X), atol=1e-2)
    else:
        assert_same(est, arrays)


def test_chunks_that_stay_on_disk(tmp_path, monkeypatch):
    shrink(monkeypatch)
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    chunks = [memmap(folders[0], X[:600]), memmap(folders[1], X[600:])]
    est = after(SCARF, chunks)
    assert_same(est, after(SCARF, chunks))
    assert est._progress.reservoir.n_seen == 1000
    assert len(est._progress.reservoir.matrix) == 300
    assert np.isfinite(est.transform(X)).all()
    # Memory and disk may alternate.
    assert est.partial_fit(X[:200]).n_samples_seen_ == 1200


# ------------------------------------------------------------------------------ the reservoir


@pytest.fixture
def small_reservoir(monkeypatch):
    monkeypatch.setattr(stream, "DONORS", 0)
    monkeypatch.setattr(stream, "LEAST_DONORS", 400)


def test_donors_are_of_all_samples_seen(small_reservoir, monkeypatch):
    monkeypatch.setattr(sys.modules["sslgex._training.corruption"], "below", donors := Donors())
    est = clone(SCARF).set_params(standardize=False)
    for value, n in ((1, 600), (2, 200), (3, 200)):
        est.partial_fit(X[:n] * 0 + value + X[:n] * 0.01)
    held = np.round(est._progress.reservoir.matrix[:, 0]).astype(int)
    assert len(held) == 400
    # 60, 20 and 20 %, up to four standard deviations of such a draw.
    for value, share in ((1, 0.6), (2, 0.2), (3, 0.2)):
        assert abs(np.mean(held == value) - share) < 4 * np.sqrt(share * (1 - share) / 400)
    assert donors.high == [400] * len(donors.high)


class Donors:
    """Notes from how many rows donors are drawn."""

    def __init__(self):
        from sslgex._training.corruption import below

        self.below, self.high = below, []

    def __call__(self, high, n, rng):
        self.high.append(high)
        return self.below(high, n, rng)


def test_batch_norm_is_estimated_on_all_that_was_seen(small_reservoir):
    est = after(VIME, [X[:500], X[500:] + np.float32(3)], standardize=False)
    matrix = est._progress.reservoir.matrix
    weight = est.encoder_.input.linear.weight.detach().numpy()
    h = matrix @ weight.T
    norm = est.encoder_.norms[0]
    np.testing.assert_allclose(norm.running_mean, h.mean(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(norm.running_var, h.var(axis=0), rtol=1e-3)


def test_a_chunk_may_be_overwritten_after_the_call():
    buffer, est = np.empty_like(X[:300]), clone(SCARF)
    for start in (0, 300, 600):
        buffer[:] = X[start : start + 300]
        est.partial_fit(buffer)
    buffer[:] = 0
    assert_same(est.partial_fit(X[:50]), after(SCARF, [X[:300], X[300:600], X[600:900], X[:50]]))


def test_its_size_is_256_mb_or_2048_samples():
    assert stream.n_drawn(stream_of(np.zeros((3, 20_000), np.float32))) == 3355
    assert stream.n_drawn(stream_of(np.zeros((3, 60_000), np.float32))) == 2048


def stream_of(matrix):
    from sslgex._sources import Sliced

    return Sliced(matrix, "X")


# ------------------------------------------------------------------------------ failures


def fail_in_batch(patch, error, n):
    train, done = Engine.train_batch, []

    def counted(self, *args):
        done.append(1)
        if len(done) == n:
            raise error
        train(self, *args)

    patch.setattr(Engine, "train_batch", counted)


def fail_at_the_end(patch, error, n):
    def fail(*args):
        raise error

    patch.setattr("sslgex.base.first_layer", fail)


@each_method
@pytest.mark.parametrize("where", ["batch 1", "batch 3", "the end"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_call_that_fails_never_was(ssl, where, error, monkeypatch):
    whole, est = after(ssl), clone(ssl)
    fail = fail_at_the_end if where == "the end" else fail_in_batch
    for i, chunk in enumerate(CHUNKS):
        before = snapshot(est) if i else None
        with monkeypatch.context() as patch:
            fail(patch, error, int(where[-1]) if where[-1].isdigit() else 0)
            with pytest.raises(type(error)):
                est.partial_fit(X)
        if i:
            assert snapshot(est) == before
        else:
            assert not [name for name in vars(est) if name.endswith("_") or name == "_progress"]
        est.partial_fit(chunk)
    assert_same(est, whole)


def test_a_real_ctrl_c_while_rows_are_read(monkeypatch, tmp_path):
    import _thread

    shrink(monkeypatch)
    whole, est = after(SCARF), after(SCARF, CHUNKS[:3])
    train, done = Engine.train_batch, []

    def interrupted(self, *args):
        done.append(1)
        if len(done) == 2:
            _thread.interrupt_main()
        train(self, *args)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist ignores it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "train_batch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                est.partial_fit(memmap(tmp_path, X))
    finally:
        signal.signal(signal.SIGINT, before)
    assert_same(est.partial_fit(CHUNKS[3]), whole)


BAD = {
    "one sample": (X[:1], "minimum of 2 is required"),
    "no sample": (X[:0], r"0 sample\(s\)"),
    "other genes": (X[:, 1:], "X has 39 features, but ScarfTransformer is expecting 40"),
    "NaN": (np.where(np.arange(40) == 3, np.nan, X), "1,000 values are not finite"),
    "too large": (X * np.float32(1e20), "overflows float32"),
    "constant": (np.ones_like(X), "All 40 genes are constant over the 1,000 samples"),
}


@pytest.mark.parametrize(("bad", "said"), BAD.values(), ids=BAD)
def test_bad_chunks_are_refused_and_the_next_is_as_if_they_had_not_been(bad, said):
    est = after(SCARF, CHUNKS[:2])
    before = snapshot(est)
    with pytest.raises(ValueError, match=said):
        est.partial_fit(bad)
    assert snapshot(est) == before
    if bad.shape[1] == 40:
        with pytest.raises(ValueError, match=said):
            clone(SCARF).partial_fit(bad)
    assert_same(est.partial_fit(CHUNKS[2]).partial_fit(CHUNKS[3]), after(SCARF))


def test_genes_of_other_names_are_refused():
    est = clone(SCARF).partial_fit(pd.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match=r"names should match(?s:.*)same in another order"):
        est.partial_fit(pd.DataFrame(X, columns=NAMES[::-1]))


def test_values_on_another_scale_are_refused():
    est = clone(SCARF).partial_fit(X * np.float32(1e-15))
    with pytest.raises(ValueError, match=r"standard deviations from .* or call fit\."):
        est.partial_fit(X * np.float32(1e5))


def test_early_stopping_is_refused_in_every_call():
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        clone(SCARF).set_params(early_stopping=True).partial_fit(X)
    est = after(SCARF, CHUNKS[:1])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        est.set_params(early_stopping=True).partial_fit(X)


def test_parameters_are_checked_in_later_calls_too():
    est = after(SCARF, CHUNKS[:1])
    with pytest.raises(ValueError, match="The 'lr' parameter of ScarfTransformer must be"):
        est.set_params(lr=-1).partial_fit(X)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"hidden_layer_sizes": (8,)}, r"the encoder with .* of shape \(16,"),
        ({"projection_sizes": (4,)}, r"the heads with projector.* of shape \(8, "),
        ({"architecture": "mlp"}, "architecture='residual'"),
        ({"standardize": False}, "standardize=False, which it was not"),
    ],
)
def test_another_architecture_is_refused(params, said):
    est = after(SCARF, CHUNKS[:1])
    with pytest.raises(ValueError, match=rf"^partial_fit goes on .*{said}.*or call fit to start"):
        est.set_params(**params).partial_fit(X)
    est.set_params(max_epochs=1).fit(X)


def test_genes_that_vary_too_late_are_warned_of():
    first, later = X[:300].copy(), X[300:].copy()
    first[:, [3, 7]] = 1
    est = clone(SCARF).partial_fit(first)
    with pytest.warns(UserWarning, match="3 of 40 genes were constant .* taken as 0 ever after"):
        est.partial_fit(later)
    est.partial_fit(first)


def test_an_optimiser_of_another_device_is_left_with_a_warning():
    est = after(SCARF, CHUNKS[:2])
    est._progress = replace(est._progress, device="cuda")
    with pytest.warns(UserWarning, match="'cuda', this one is on 'cpu': the state of the optimi"):
        est.partial_fit(CHUNKS[3])
    assert {float(m["step"]) for ms in est._progress.moments for m in ms} == {4.0}


# ------------------------------------------------------------------------------ fit and files


@each_method
def test_fit_starts_anew(ssl):
    est = after(ssl, max_epochs=2)
    fresh = clone(ssl).set_params(max_epochs=2).fit(X)
    est.fit(X)
    assert np.array_equal(est.transform(X), fresh.transform(X))
    assert est._progress is None
    assert est.n_samples_seen_ == 1000
    assert est.n_iter_ == 2


def test_fit_with_warm_start_goes_on():
    est = after(VIME, max_epochs=2, warm_start=True)
    loss = est.loss_curve_[0]
    mean = est.mean_
    est.fit(X)
    assert est.mean_ is mean
    assert est.loss_curve_[0] < loss
    assert est._progress is None


@each_method
def test_after_fit_it_goes_on_with_encoder_and_heads(ssl, monkeypatch):
    est = clone(ssl).set_params(max_epochs=2).fit(X[:500])
    state = {f"encoder.{k}": v.clone() for k, v in est.encoder_.state_dict().items()}
    state |= {k: v.clone() for k, v in est._heads.items()}
    found, loop = [], Engine.fit_loop

    def recorded(self, *args, **kwargs):
        found.append({k: v.detach().clone() for k, v in self.module_.state_dict().items()})
        assert all(not m for o in self.optimizers_ for m in getattr(o, "state", {}).values())
        return loop(self, *args, **kwargs)

    monkeypatch.setattr(Engine, "fit_loop", recorded)
    est.partial_fit(X[500:])  # and no warning
    assert found[0].keys() == state.keys()
    assert all(torch.equal(found[0][k], state[k]) for k in state)
    assert (est.n_iter_, est.n_samples_seen_) == (3, 1000)
    assert est._progress.reservoir.n_seen == 500


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy", "save"])
@each_method
def test_files_and_copies_leave_out_what_training_needs(ssl, way, tmp_path):
    est = after(ssl, CHUNKS[:3])
    if way == "save":
        save(est, tmp_path / "fitted")
    other = {
        "pickle": lambda: pickle.loads(pickle.dumps(est)),
        "copy": lambda: copy.copy(est),
        "deepcopy": lambda: copy.deepcopy(est),
        "save": lambda: load(tmp_path / "fitted"),
    }[way]()
    assert other._progress is other._heads is None
    assert np.array_equal(other.transform(X), est.transform(X))
    before = other.transform(X)
    with pytest.warns(UserWarning, match=r"^partial_fit: the heads .* optimiser and the reservoir"):
        other.partial_fit(CHUNKS[3])
    assert (other.n_iter_, other.n_samples_seen_) == (4, 900)
    assert other._progress.reservoir.n_seen == len(CHUNKS[3])
    assert not np.array_equal(other.transform(X), before)
    other.partial_fit(X)  # and no warning
    # The original has lost nothing.
    assert_same(est.partial_fit(CHUNKS[3]), after(ssl))


def test_a_pickle_is_no_larger_than_after_fit():
    rows = np.tile(X, (5, 1))
    sizes = [
        len(pickle.dumps(e))
        for e in (after(SCARF, [rows]), clone(SCARF).set_params(max_epochs=1).fit(rows))
    ]
    assert abs(sizes[0] - sizes[1]) < 500


def test_a_clone_starts_anew():
    est = after(SCARF)
    assert_same(after(est), est)


def test_an_encoder_that_was_given_away_is_not_touched():
    est = after(SCARF, CHUNKS[:2])
    given = copy.copy(est)
    before = given.transform(X)
    est.partial_fit(CHUNKS[3])
    assert np.array_equal(given.transform(X), before)


# ------------------------------------------------------------------------------ reports


def test_the_example_of_its_docstring_runs():
    (test,) = doctest.DocTestFinder(recurse=False).find(ScarfTransformer.partial_fit, "x", globs={})
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_verbose_prints_a_line_a_call(capsys):
    after(SCARF, CHUNKS[:2], verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "[ScarfTransformer] epoch 1/1",
        "[ScarfTransformer] epoch 2/2",
    ]


@pytest.mark.skipif(not SUPPORTED, reason="callbacks came with scikit-learn 1.9")
def test_callbacks_see_a_task_with_one_epoch_per_call():
    from test_callbacks import Recorder

    recorder = Recorder(stop_at=1)
    est = clone(SCARF).set_callbacks(recorder)
    est.partial_fit(CHUNKS[0]).partial_fit(CHUNKS[1])
    assert [path[-1][1] for path in recorder.ended] == ["epoch", "fit"] * 2
    assert recorder.torn_down == 2
    assert np.array_equal(est.transform(X), after(SCARF, CHUNKS[:2]).transform(X))


def test_a_checkpoint_is_not_written(tmp_path):
    est = after(SCARF, checkpoint=tmp_path / "kept", checkpoint_every=1)
    assert not list(tmp_path.iterdir())
    assert_same(est, after(SCARF))
