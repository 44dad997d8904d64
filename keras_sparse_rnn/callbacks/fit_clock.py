"""Counts the steps of a fit, and predicts how many it will make."""

from keras_sparse_rnn.callbacks.optimizer_state import optimizers_of, updates

COUNTS = ("fit", "optimizer")


class FitClock:
    """Counts the updates of an optimizer from the beginning of epoch 0 of a fit, or of the fit that it resumes.

    Args:
        count_from: `"fit"`, or `"optimizer"` for the optimizer's own count.
    """

    def __init__(self, count_from):
        if count_from not in COUNTS:
            raise ValueError(f"count_from={count_from!r}: must be one of {COUNTS}.")
        self._of_fit = count_from == "fit"
        self.bases = {}  # by id(optimizer): its count at step 0
        self._epochs = self._per_epoch = None

    def wind(self, model):
        """Notes the optimizers' counts at the start of this fit, before BackupAndRestore changes them."""
        if self._of_fit:
            self.bases = {id(optimizer): updates(optimizer) for optimizer in optimizers_of(model)}

    def start(self, optimizer, epoch, params):
        """Returns the first step of a fit whose first epoch is `epoch`."""
        steps, self._epochs = params.get("steps"), params.get("epochs")
        self._per_epoch = steps / (getattr(optimizer, "gradient_accumulation_steps", None) or 1) if steps else None
        step = self.step(optimizer)
        if self._of_fit and epoch and step == 0:
            # fit(initial_epoch=...) of a model that an earlier fit has trained. The optimizer may be new.
            step = updates(optimizer) if self._per_epoch is None else int(epoch * self._per_epoch)
            self.bases[id(optimizer)] = updates(optimizer) - step
        if self._per_epoch is None and epoch and step:
            self._per_epoch = step / epoch
        return step

    def step(self, optimizer):
        return updates(optimizer) - self.bases.get(id(optimizer), 0)

    def learn(self, step, epoch):
        """Learns the number of steps per epoch from an epoch that ended at `step`, if `fit` did not know it."""
        self._per_epoch = self._per_epoch or step / (epoch + 1)

    def last(self, step, epoch):
        """Returns the last step of a fit that is at `step` when `epoch` begins, or None if it is not known."""
        known = self._per_epoch is not None and self._epochs is not None
        return step + int((self._epochs - epoch) * self._per_epoch) if known else None

    def in_steps(self, schedule):
        """Returns `schedule` in steps, or None if the steps are only known after the first epoch."""
        if getattr(schedule, "begin", None) is None:
            return schedule
        if self._per_epoch is not None and self._epochs is not None:
            return schedule.resolve(max(1, round(self._epochs * self._per_epoch)), self._epochs)
        if self._epochs is None or self._epochs == 1:
            raise ValueError(
                f"The schedule begins at begin={schedule.begin} in unit={schedule.unit!r}, but how many steps this fit "
                "makes is unknown: give fit steps_per_epoch, or the schedule begin_step and end_step."
            )
        return None
