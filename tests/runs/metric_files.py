"""Files of metric records, written and read the slow way."""

import math

from kplug.runs.records import MetricRecord, RecordReader, RecordWriter


def write(path, steps, size=None, **metrics):
    """Append a record for each step, at a time of its own."""
    writer = RecordWriter(path)
    if size is not None:
        writer.cut(size)
    for step in steps:
        write.clock += 0.125
        writer.write_metrics(MetricRecord(step, step // 10, write.clock, {"loss": 1 / (1 + step), **metrics}))
    writer.close()


write.clock = 1e9


def records_of(arrays):
    """Return columns as records, without the metrics that are NaN."""
    return [
        (
            int(arrays.steps[row]),
            int(arrays.epochs[row]),
            float(arrays.times[row]),
            bool(arrays.epoch_end[row]),
            {name: float(values[row]) for name, values in arrays.metrics.items() if not math.isnan(values[row])},
        )
        for row in range(len(arrays))
    ]


def records_in(path):
    """Return the same of what `RecordReader` reads."""
    return [
        (
            one.step,
            one.epoch,
            one.time,
            one.epoch_end,
            {name: value for name, value in one.metrics.items() if not math.isnan(value)},
        )
        for one in RecordReader(path).read_metrics()
    ]
