"""Cases of training."""

from __future__ import annotations

from dataclasses import replace

from nengo_dl.benchmarks.cases import Case
from nengo_dl.benchmarks.peers.process import Job

OURS, KERAS = "peers.training_nengo_dl", "peers.training_keras"
TORCH, SPYX = "peers.training_torch", "peers.training_spyx"
TORCH_LIBRARIES = "torch", "snntorch", "norse", "spikingjelly"


def training(sizes: tuple[int, ...] = (512, 4_000, 16_000), n_images: int = 20_000) -> list[Case]:
    """An autoencoder, spiking neurons through time, and one large layer of them.

    Parameters
    ----------
    sizes
        Neurons of the one layer.
    n_images
        Images in an epoch of the autoencoder.
    """
    return [_autoencoder(n_images), _spiking(), *(_layer(n_neurons) for n_neurons in sizes)]


def _autoencoder(n_images: int) -> Case:
    arguments = {"n_images": n_images}
    peers = {
        "keras": Job(KERAS, "autoencoder", arguments),
        "keras-fast": Job(KERAS, "autoencoder", {**arguments, "steps_per_execution": 25}),
    }
    ours = Job(OURS, "autoencoder", arguments)
    return Case("autoencoder", "training", ours, peers, n=5, unit="epochs")


def kernels(sizes: tuple[int, ...] = (512, 16_000)) -> list[Case]:
    """What has one kernel for all steps of a layer on a GPU, beside the same without it and all
    others.
    """
    return [_with_kernels(case) for case in (_spiking(), *(_layer(n) for n in sizes))]


def _with_kernels(case: Case) -> Case:
    ours = replace(case.ours, arguments={**case.ours.arguments, "sequence_kernels": True})
    return replace(
        case,
        name=f"{case.name}-kernels",
        set="kernels",
        ours=ours,
        peers={"loops": case.ours, **case.peers},
    )


def _spiking() -> Case:
    peers = {name: Job(TORCH, "spiking", {"library": name}) for name in TORCH_LIBRARIES}
    peers["spyx"] = Job(SPYX, "spiking")
    ours = Job(OURS, "spiking")
    return Case("spiking-training", "training", ours, peers, n=20, unit="updates")


def _layer(n_neurons: int) -> Case:
    size = {"n_neurons": n_neurons}
    large = n_neurons > 10_000  # gigabytes, and minutes an update
    peers = {name: Job(TORCH, "layer", {"library": name, **size}) for name in TORCH_LIBRARIES}
    peers["spyx"] = Job(SPYX, "layer", size)
    return Case(
        f"layer-{n_neurons}",
        "training",
        Job(OURS, "layer", size),
        peers,
        n=1 if large else 20,
        unit="updates",
        calibrate=not large,
        repeats=3 if large else None,
        parameters=size,
        apart=large,
    )
