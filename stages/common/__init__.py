"""What several stages share: params, device, seeds, progress, files on disk, intervals, figure style."""
