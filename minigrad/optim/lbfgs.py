"""L-BFGS, with a line search for the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad.autograd import enable_grad, no_grad
from minigrad.creation import zeros
from minigrad.ops.shape import cat, narrow, reshape
from minigrad.optim.optimizer import Optimizer, Params, check_rate
from minigrad.tensor import Tensor


class _Point(NamedTuple):
    """A point of a line search: its distance, and there the loss, the gradient and the slope along the line."""

    t: float
    loss: float
    grad: Tensor
    slope: float


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points with these slopes is least, within bounds (the points), or their middle if nowhere."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = first**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    if a.t > b.t:
        a, b = b, a
    root = square**0.5
    least = b.t - (b.t - a.t) * ((b.slope + root - first) / (b.slope - a.slope + 2 * root))
    return min(max(least, low), high)


def _strong_wolfe(
    evaluate: Callable[[float], _Point], start: _Point, t: float, longest: float, tolerance: float, most: int
) -> tuple[_Point, int]:
    """A point with loss <= start.loss + 1e-4 t start.slope and |slope| <= 0.9 |start.slope|, and the number of evaluations.

    Distances grow until two points have such a one between them; the interval then shrinks around it until it is found,
    `most` evaluations were made after the first, or the interval moves no element by `tolerance` (`longest` is the largest
    element of the direction). Source: Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6; the safeguards
    are those of Schmidt's minFunc.
    """

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + 1e-4 * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -0.9 * start.slope

    before, new = start, evaluate(t)
    rounds = 0
    ends = [start, new]
    while rounds < most:
        ends = [before, new]
        if too_high(new) or (rounds > 1 and new.loss >= before.loss):
            break
        if flat(new):
            return new, rounds + 1
        if new.slope >= 0:
            break
        t = _cubic_minimum(before, new, (new.t + 0.01 * (new.t - before.t), new.t * 10))
        before, new = new, evaluate(t)
        rounds += 1
    else:
        ends = [start, new]
    stalled = False
    low = 0 if ends[0].loss <= ends[1].loss else 1
    while rounds < most and abs(ends[1].t - ends[0].t) * longest >= tolerance:
        t = _cubic_minimum(ends[0], ends[1])
        left, right = sorted(end.t for end in ends)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stalled or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        new = evaluate(t)
        rounds += 1
        if too_high(new) or new.loss >= ends[low].loss:
            ends[1 - low] = new
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        if flat(new):
            return new, rounds + 1
        if new.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = new
    return ends[low], rounds + 1


def _largest(x: Tensor) -> float:
    return float(x.abs().max())


class LBFGS(Optimizer):
    """Limited-memory BFGS: a quasi-Newton method for losses without noise. `step` needs a closure, and calls it several times.

    Each of up to max_iter iterations of a step goes along the direction that the last history_size differences of points and
    gradients give (the two-loop recursion), as far as lr (in the very first iteration lr min(1, 1 / |g|_1)) or, with
    line_search_fn="strong_wolfe", as far as that search finds. It ends where no element of the gradient is above
    tolerance_grad, where neither a parameter nor the loss changes by more than tolerance_change, or after max_eval evaluations
    (max_iter * 5 // 4 if None).

    ValueError for a negative lr or more than one group; RuntimeError, at the step, for another line search. Source: Nocedal,
    "Updating quasi-Newton matrices with limited storage", 1980.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_rate(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def _flat_grad(self) -> Tensor:
        """All gradients in one vector, zeros for a parameter without one."""
        parts = []
        for p in self.param_groups[0]["params"]:
            parts.append(zeros(p.numel(), dtype=p.dtype) if p.grad is None else reshape(p.grad.detach(), -1))
        return cat(parts)

    def _move(self, t: float, d: Tensor) -> None:
        """Adds t d to the parameters."""
        start = 0
        for p in self.param_groups[0]["params"]:
            p.add_(reshape(narrow(d, 0, start, p.numel()), *p.shape), alpha=t)
            start += p.numel()

    def _direction(self, grad: Tensor, state: dict[str, Any], history_size: int) -> Tensor:
        """- H grad, for the estimate H of the inverse Hessian that the history in `state`, which goes on here, makes."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -grad
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = y.dot(s)
        old_dirs, old_stps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if curvature.item() > 1e-10:
            if len(old_dirs) == history_size:
                for history in (old_dirs, old_stps, ro):
                    history.pop(0)
            old_dirs.append(y)
            old_stps.append(s)
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / y.dot(y)
        al = state.setdefault("al", [None] * history_size)
        q = -grad
        for i in reversed(range(len(old_dirs))):
            al[i] = old_stps[i].dot(q) * ro[i]
            q = q - old_dirs[i] * al[i]
        d = q * state["H_diag"]
        for i in range(len(old_dirs)):
            d = d + old_stps[i] * (al[i] - old_dirs[i].dot(d) * ro[i])
        return d

    def _search(self, closure: Callable[[], Any], state: dict[str, Any], slope: float, most: int) -> tuple[_Point, int]:
        """The line search from the parameters as they are, which it leaves as they are."""
        params, d = self.param_groups[0]["params"], state["d"]
        before = [p.detach().clone() for p in params]

        def evaluate(t: float) -> _Point:
            self._move(t, d)
            with enable_grad():
                loss = float(closure())
            grad = self._flat_grad()
            for p, value in zip(params, before, strict=True):
                p.copy_(value)
            return _Point(t, loss, grad, grad.dot(d).item())

        start = _Point(0.0, state["prev_loss"], state["prev_flat_grad"], slope)
        return _strong_wolfe(evaluate, start, state["t"], _largest(d), 1e-9, most)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter iterations; `closure` clears the gradients, computes the loss, calls backward and returns the loss.

        Returns the loss before them. TypeError without a closure.
        """
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        return super().step(closure)

    def _run(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        with no_grad():
            return self._iterate(closure)

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with enable_grad():
            first_loss = closure()
        loss, grad = float(first_loss), self._flat_grad()
        evaluations = 1
        state["func_evals"] += 1
        if _largest(grad) <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            state["d"] = d = self._direction(grad, state, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = grad, loss
            state["t"] = min(1.0, 1.0 / grad.abs().sum().item()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(d).item()
            if slope > -tolerance:
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                point, used = self._search(closure, state, slope, group["max_eval"] - evaluations)
                loss, grad, state["t"] = point.loss, point.grad, point.t
                self._move(state["t"], d)
            else:
                self._move(state["t"], d)
                if iteration != group["max_iter"]:
                    with enable_grad():
                        loss = float(closure())
                    grad = self._flat_grad()
                    used = 1
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or _largest(grad) <= group["tolerance_grad"]
                or _largest(d * state["t"]) <= tolerance
                or abs(loss - state["prev_loss"]) < tolerance
            ):
                break
        return first_loss
