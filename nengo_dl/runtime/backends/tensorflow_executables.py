"""What XLA compiled for TensorFlow, and how it is freed.

TensorFlow keeps whatever XLA compiled in one resource of the device, also what belongs to functions
that are gone. Without the resource all of it is freed, and what is called again is compiled again.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
import weakref
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from nengo_dl import tuning
from nengo_dl.runtime.backends import memory_maps

logger = logging.getLogger(__name__)
#: the resource: its name, and its type as C++ has it
NAME = "xla_device_compiler"
TYPE = b"N10tensorflow14DeviceCompilerIN3xla15LocalExecutableENS1_11LocalClientEEE"


class Executables:
    """Counts functions compiled by XLA, and frees them where many are gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use = self._gone = 0
        self._warned = False

    def may_compile(self, owner: Any = None) -> bool:
        """Whether XLA may compile one more function, which is gone when ``owner`` is; where it may
        not, a warning says so once.
        """
        if self._gone >= max(tuning.GONE_FUNCTIONS, self._in_use // 2):
            self.free()
        if memory_maps.has_room(self.free):
            if owner is not None:
                self.count(owner)
            return True
        if not self._warned:
            self._warned = True
            warnings.warn(
                "the process has used nearly all of its memory maps, which functions compiled by "
                "XLA need; from now on, new functions run without XLA, and slower. To change this, "
                f"{memory_maps.ADVICE}",
                RuntimeWarning,
                stacklevel=2,
            )
        return False

    def count(self, owner: Any) -> None:
        """A function was compiled that is gone when ``owner`` is."""
        with self._lock:
            self._in_use += 1
        weakref.finalize(owner, self._went).atexit = False

    def _went(self) -> None:
        self._in_use -= 1  # no lock: the collector may come by while it is held
        self._gone += 1

    def free(self) -> None:
        """Free what XLA compiled, on the processor; what is called again is compiled again.

        Not while another thread is in TensorFlow: it may be running what would be freed.
        """
        if _others_in_tensorflow():
            return
        handle = _handle()
        try:
            with tf.device("/cpu:0"):
                tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=False)
        except tf.errors.NotFoundError as error:
            logger.info("there is nothing to free: %s", error)
        self._gone = 0


executables = Executables()


def _others_in_tensorflow() -> bool:
    """Whether another thread of Python is inside TensorFlow."""
    folder, own = str(Path(tf.__file__).parent), threading.get_ident()
    frame: FrameType | None
    for thread, frame in sys._current_frames().items():
        while thread != own and frame is not None:
            if frame.f_code.co_filename.startswith(folder):
                return True
            frame = frame.f_back
    return False


def _handle() -> tf.Tensor:
    """A handle of the resource, for which TensorFlow has no function of its own."""
    proto = type(tf.make_tensor_proto(0))(dtype=tf.resource.as_datatype_enum)
    proto.tensor_shape.SetInParent()
    resource = proto.resource_handle_val.add()
    resource.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    resource.container, resource.name = "localhost", NAME
    resource.hash_code, resource.maybe_type_name = _hash(TYPE), TYPE.decode()
    with tf.device("/cpu:0"):
        return tf.io.parse_tensor(proto.SerializeToString(), tf.resource)


def _hash(text: bytes) -> int:
    """TensorFlow's hash of the name of a type (MurmurHash64A, ``tsl/platform/hash.cc``)."""
    factor, mask = 0xC6A4A7935BD1E995, 2**64 - 1
    result = 0xDECAFCAFFE ^ (len(text) * factor & mask)
    whole = len(text) // 8 * 8
    for start in range(0, whole, 8):
        word = int.from_bytes(text[start : start + 8], "little") * factor & mask
        result = (result ^ (word ^ word >> 47) * factor & mask) * factor & mask
    if text[whole:]:
        result = (result ^ int.from_bytes(text[whole:], "little")) * factor & mask
    result = (result ^ result >> 47) * factor & mask
    return result ^ result >> 47
