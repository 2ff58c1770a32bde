def fit_arguments(dataset, batch_size, seed, execution):
    x, y = dataset.train
    return {"x": x, "y": y, "batch_size": batch_size, "validation_data": dataset.validation}
