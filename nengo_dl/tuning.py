"""Numbers that were measured, or chosen by hand, and change speed or memory but no results.

Each has its unit in its name; where they come from is in ``docs/decisions.md``.
"""

# -- compiler: how operands are put together -------------------------------------------------------

#: a concatenation of more slices than this is a gather instead ...
MOST_SLICES = 24
#: ... and sums of more rows than this are one reduction instead of a chain of additions
MOST_TERMS = 12
#: ... as are those of more gathers than this: one large gather takes less time than several
MOST_GATHERS = 2

#: elements from which on a matrix of rank one is multiplied as a row and a column
OUTER_ELEMENTS = 256
#: rows of at least so many numbers, and up to how many of them, half as many in minibatches, are
#: added as slices (JAX on the processor)
SLICED_WIDTH, SLICED_ROWS = 1024, 32

# -- simulation: chunks of steps -------------------------------------------------------------------

#: most steps in one call of the compiled function ...
CHUNK_STEPS = 1000
#: ... and bytes of inputs and outputs that it may take
CHUNK_BYTES = 16 * 2**20
#: ... and about the seconds that it may take, once it is known how fast the network is ...
CHUNK_SECONDS = 0.5
#: ... before which it runs this many steps
FIRST_CHUNK_STEPS = 50
#: the most steps of a run that has a compiled function, and buffers, for so few
SHORT_RUN_STEPS = 32
#: short runs one after the other for which such a function is compiled, where there is one for any
#: number of steps
SHORT_RUNS = 3
#: steps that a GPU runs before it asks the host whether there are more
GPU_STEPS = 50
#: most steps in the body of the loop: each is compiled, and on no device were more seen to make a
#: step faster
UNROLLED_STEPS = 8
#: the largest buffer that is made for what is only expected; a run of any length may be ended soon
EXPECTED_BYTES = 2**30
#: elements up to which a tensor is packed with others, between two calls of Python
PACKED_ELEMENTS = 4096
#: tensors, the same in each step, up to which a short run is given each by itself: to take them
#: out of a vector makes calls of a small compiled function several times as long
UNPACKED_TENSORS = 8
#: numbers in a step that calls Python up to which its pieces are compiled quickly (JAX)
QUICKLY_COMPILED_NUMBERS = 4096
#: random numbers from which on several processes draw in a thread each: about a millisecond
THREADED_NUMBERS = 50_000
#: dimensions of noise that are filtered faster as numbers of Python, one after the other, than as
#: arrays
FILTERED_DIMENSIONS = 8
#: neurons, of all items, from which on `fused_lif` is faster; with fewer XLA would wake its threads
#: for a loop that is over sooner than they have started
FUSED_NEURONS = 10_000

# -- training --------------------------------------------------------------------------------------

#: most batches in one call of the compiled function
BATCHES_PER_CALL = 25
#: most bytes of a block: so few that the next one is collected while the device computes
BLOCK_BYTES = 2**22
#: steps up to which training without XLA has no loop (TensorFlow): its gradient copies what each
#: step leaves
UNROLLED_TRAINING_STEPS = 16
#: steps of a loop of training that become one on a GPU (JAX), where to start a small operation
#: takes longer than the operation
GPU_TRAINING_STEPS = 8
#: share of the memory that is left which the history of a loop may take, by an estimate of at most
#: twice of what it takes
HISTORY_SHARE = 0.8
#: elements, and warps, of a program of a kernel for all steps (JAX on a GPU), and steps for which
#: it reads before it computes the first of them
KERNEL_ELEMENTS, KERNEL_WARPS, KERNEL_STEPS = 64, 2, 4
#: the least rows, columns and terms of a sum with which it was measured to pay to transpose the
#: left matrix of a product before
TRANSPOSED_ROWS, TRANSPOSED_COLUMNS, TRANSPOSED_TERMS = 4_000, 2_000, 1_000

# -- compiled functions ----------------------------------------------------------------------------

#: functions that are kept; those that were not used for the longest time go first
KEPT_FUNCTIONS = 128
#: functions that are gone for which TensorFlow frees all, if there are no more than twice as many
#: in use
GONE_FUNCTIONS = 64
#: share of all memory maps from which on what is compiled is given up, to be compiled again when it
#: is wanted, and from which on nothing more is compiled
HIGH_SHARE, FULL_SHARE = 0.5, 0.8

#: bytes of a folder of compiled code (JAX) from which on what was not used for the longest time is
#: removed, until half of them are left
CACHE_BYTES = 2**30

# -- processes -------------------------------------------------------------------------------------

#: objects from which on those that are made while Python's collector waits count as old
OLD_OBJECTS = 50_000

#: seconds without any computation after which a forked process is taken to wait for a thread that
#: it does not have, and the seconds of computation that are none
PATIENCE_SECONDS, IDLE_SECONDS = 10.0, 0.05

# -- sweeps ----------------------------------------------------------------------------------------

#: most points that are sent to a worker together, and simulated side by side ...
SWEEP_GROUP_POINTS = 32
#: ... and most elements that all signals of networks side by side have, so that they stay in the
#: cache of a core ...
SWEEP_GROUP_NUMBERS = 80_000
#: ... and that their probes record
SWEEP_RECORDED_NUMBERS = 2**25
#: groups of points for each worker, where there are enough points
SWEEP_GROUPS_PER_WORKER = 4
#: groups for each process of this machine that are sent before one of them is back
SWEEP_GROUPS_AHEAD = 2
