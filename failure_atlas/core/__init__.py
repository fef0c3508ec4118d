"""What everything stands on: files, arrays, weights, seeds, devices, errors."""
