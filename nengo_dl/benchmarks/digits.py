"""Images of handwritten digits, from a file, from Keras, or from scikit-learn."""

from __future__ import annotations

import os

import numpy as np

from nengo_dl.optional import installed

Digits = tuple[np.ndarray, np.ndarray]


def load_digits(path: str | None = None, few: bool = False) -> tuple[Digits, Digits]:
    """Images of digits and their classes, for training and for the test.

    Parameters
    ----------
    path
        File in the layout of Keras's ``mnist.npz``; by default what the environment variable
        ``NENGO_DL_MNIST`` names. Where neither is given, Keras downloads MNIST.
    few
        For runs in seconds: 1,000 images for training and 200 for the test; and where there is no
        file those of scikit-learn, enlarged, so that nothing is downloaded.

    Returns
    -------
    ((images, classes), (images, classes))
        Images of shape (n, 28, 28), float32 from 0 (background) to 1; classes (n,), int32.

    Raises
    ------
    FileNotFoundError
        If there is no file at ``path``.
    """
    path = path or os.environ.get("NENGO_DL_MNIST")
    if path is not None:
        train, test = _from_file(path)
    elif few:
        train, test = _from_sklearn()
    else:
        import keras

        train, test = keras.datasets.mnist.load_data()
    if few:
        train, test = ((x[:n], y[:n]) for (x, y), n in ((train, 1000), (test, 200)))
    return _scaled(*train), _scaled(*test)


def _scaled(images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (images / np.float32(255)).astype(np.float32), classes.astype(np.int32)


def _from_file(path: str):
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"there is no file {path!r}; expected an mnist.npz. Without NENGO_DL_MNIST, Keras "
            "downloads it"
        )
    with np.load(path, allow_pickle=False) as data:
        return tuple((data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test"))


def _from_sklearn():
    with installed("demo"):
        from sklearn.datasets import load_digits as sklearn_digits

    data = sklearn_digits()
    # 8 x 8 pixels from 0 to 16, to the format of MNIST
    images = np.kron(data.images * (255 / 16), np.ones((3, 3)))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    order = np.random.RandomState(0).permutation(len(images))
    images, classes = images[order], data.target[order]
    return (images[:-200], classes[:-200]), (images[-200:], classes[-200:])
