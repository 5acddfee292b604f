"""What Nengo's progress bars are told of a run."""

from __future__ import annotations

from typing import Any

from nengo.utils.progress import Progress, ProgressTracker


class RunProgress(Progress):
    """The steps of a run. The first chunk of them also compiles, so that how long the others will
    take is told from those after it.
    """

    def __init__(self, n_steps: int):
        super().__init__("Simulating", "Simulation", n_steps)
        #: the steps and the seconds of the first chunk
        self.first: tuple[int, float] | None = None

    def step(self, n: int = 1) -> None:
        super().step(n)
        if self.first is None:
            self.first = (self.n_steps, self.elapsed_seconds())

    def eta(self) -> float:
        """Seconds until the end; -1 where no speed is known."""
        steps, seconds = self.first or (0, 0.0)
        if self.n_steps <= steps:
            return -1
        speed = (self.elapsed_seconds() - seconds) / (self.n_steps - steps)
        return (self.max_steps - self.n_steps) * speed


class RunTracker(ProgressTracker):
    """Shows a run, and before it, where that is new, its compilation."""

    def __init__(self, progress_bar: Any, n_steps: int, compiles: bool):
        super().__init__(progress_bar, RunProgress(n_steps))
        if compiles:
            self.sub_progress = Progress("Compiling", "Compilation")

    def step(self, n: int) -> None:
        """Tell of a chunk of ``n`` steps."""
        if self.sub_progress is not None:
            self.sub_progress.finished = True  # the bar shows the run from now on
        self.total_progress.step(n=n)
